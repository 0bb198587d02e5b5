"""A plan, and the cases that it comes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engines.errors import ConfigError
from engines.evaluation.experiment.dataset import Dataset, Shot
from engines.evaluation.experiment.plan import Condition, Plan, cases, check

JUDGES = ("x", "y")
EVERYONE = {p: [Shot(p, f"{p}/{n}", Path(p)) for n in range(count)] for p, count in (("a", 3), ("b", 2))}


def planned(targets: dict[str, bytes] | None = None, **options: Any) -> list[tuple[Any, ...]]:
    return [
        (*(c.condition.method, c.condition.mode, c.condition.held_out), c.shot.name, c.target, c.compared)
        for c in cases(Plan(**options), JUDGES, EVERYONE, targets or {})
    ]


def test_each_recogniser_is_held_out_in_turn_for_the_first_photo_of_each_person() -> None:
    assert planned(methods=("pgd",)) == [
        ("pgd", "dodge", judge, photo, None, True) for judge in JUDGES for photo in ("a/0", "b/0")
    ]


def test_what_works_against_nobody_is_done_once() -> None:
    found = planned(methods=("clean", "blur"), modes=("dodge", "impersonate"), per_person=2)
    assert [case[:4] for case in found] == [
        (method, "dodge", "", photo) for method in ("clean", "blur") for photo in ("a/0", "a/1", "b/0", "b/1")
    ]


def test_what_is_looked_at_closely_is_done_for_all_photos_and_compares_no_more_of_them() -> None:
    found = planned(methods=("pgd@x", "strong@x"), closely=("pgd",))
    assert [case[3:] for case in found if case[0] == "pgd"] == [
        ("a/0", None, True),
        ("a/1", None, False),
        ("a/2", None, False),
        ("b/0", None, True),
        ("b/1", None, False),
    ]
    assert [case[3] for case in found if case[0] == "strong"] == ["a/0", "b/0"]


def test_where_nobody_has_two_photos_nobody_can_be_told_from_others_but_may_be_made_like_them() -> None:
    alone = {"a": EVERYONE["a"][:1]}
    targets = {"a": b"face"}
    plan = Plan(methods=("clean", "pgd@x"), modes=("dodge", "impersonate"))
    wanted = [Condition("pgd", "impersonate", "x")]
    assert [case.condition for case in cases(plan, JUDGES, alone, targets)] == wanted
    photos = Dataset(tuple(alone["a"]), "ladn", {})
    check(plan, JUDGES, photos)
    with pytest.raises(ConfigError, match="two or more of at least one person"):
        check(Plan(methods=("pgd",)), JUDGES, photos)


def test_only_the_named_ones_impersonate_and_nobody_without_a_target() -> None:
    targets = {"a": b"face"}
    found = planned(targets, methods=("pgd@x", "subtle@x"), modes=("impersonate",), impersonating=("pgd",))
    assert found == [("pgd", "impersonate", "x", "a/0", b"face", True)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"methods": ("magic",)}, "unknown method 'magic': choose from clean, grey"),
        ({"closely": ("magic",)}, "unknown method"),
        ({"impersonating": ("magic",)}, "unknown method"),
        ({"protocols": ("guess",)}, "unknown task 'guess': choose from verification, identification"),
        ({"modes": ("hide",)}, "unknown mode"),
        ({"transforms": ("magic",)}, "unknown transform"),
        ({"methods": ()}, "at least one"),
        ({"distractors": -1}, "0 or more"),
        ({"look_alikes": 1}, "two look-alikes or more"),
        ({"methods": ("pgd", "pgd@dlib-resnet29")}, "named twice"),
        ({"methods": ("subtle",), "modes": ("impersonate",)}, "none of the methods impersonates"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Plan(**options)

"""Rules for kinds of photos: by the site, by the number of faces, by whose faces they are."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Frame, Page, expect

from tests.extension.conftest import HOST, Photo, Serve, Surf
from tests.support.live import wait_for

STRONG = {"site": "", "least": 0, "most": 0, "level": "strong", "faces": ""}
MINE = {**STRONG, "level": "", "faces": "mine"}
PNG = {"Content_Type": "image/png"}


@pytest.fixture
def surf(serve: Serve) -> Surf:
    """Photos wait for a press: what is chosen before it counts."""
    return serve(begin=False)


def enrol(surf: Surf) -> None:
    assert surf.live.ask("POST", "/v1/owner", b"me", **PNG).status == 201


def pick(surf: Surf, *photos: Photo) -> tuple[Page, Frame]:
    page = surf.open("input.html")
    page.set_input_files("#many", [photo.path for photo in photos])
    return page, surf.dialog(page)


def asked(surf: Surf) -> list[tuple[str, str]]:
    """Level and faces of every photo that was to be protected."""
    return [(job.settings["level"], job.settings["faces"]) for job in surf.live.server.service.jobs]


def test_faces_are_counted_before_anything_is_done(surf: Surf) -> None:
    _, dialog = pick(surf, surf.photo(do="faces 7"), surf.photo(do="faces 1"), surf.photo(do="faces 0"))
    dialog.wait_for_selector("text=No face found")
    found = [line.split("\n") for line in dialog.locator(".what p:visible").all_inner_texts()]
    waits = ["Not protected yet"]
    assert found == [waits, ["7 faces found"], waits, ["1 face found"], ["No face found"]]
    assert asked(surf) == []


def test_the_owner_is_told_from_others(surf: Surf) -> None:
    enrol(surf)
    _, dialog = pick(surf, surf.photo(do="faces 7"), surf.photo(do="faces 0"))
    dialog.wait_for_selector("text=7 faces found · you are in it")
    expect(dialog.locator(".state").nth(1)).to_have_text("No face found")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({**STRONG, "site": "localhost"}, ["strong all", "strong all"]),  # hosts below a site belong to it
        ({**STRONG, "site": "other.localhost"}, ["balanced all", "balanced all"]),
        ({**MINE, "least": 6}, ["balanced mine", "balanced all"]),
    ],
)  # fmt: skip
def test_a_rule_counts_for_the_photos_that_it_speaks_of(
    surf: Surf, rule: dict[str, Any], expected: list[str]
) -> None:
    """Which photos those are: extension/unit/photo-rules.test.js."""
    enrol(surf)
    surf.keep(rules=[rule])
    group, one = surf.photo("group.png", do="faces 7"), surf.photo("one.png", do="faces 1")
    page, dialog = pick(surf, group, one)
    dialog.wait_for_selector("text=7 faces found")
    surf.protect(page)
    assert [" ".join(pair) for pair in asked(surf)] == expected
    surf.gets(page, ("group.png", "image/png", group.protected), ("one.png", "image/png", one.protected))


def test_the_later_of_two_rules_counts_and_each_for_what_it_says(surf: Surf) -> None:
    enrol(surf)
    surf.keep(rules=[STRONG, {**MINE, "least": 6}, {**STRONG, "level": "subtle", "least": 7}])
    page, dialog = pick(surf, surf.photo(do="faces 7"), surf.photo(do="faces 6"))
    dialog.wait_for_selector("text=7 faces found · you are in it · By your rules: subtle, only mine")
    dialog.wait_for_selector("text=6 faces found · you are in it · By your rules: strong, only mine")
    surf.protect(page)
    assert asked(surf) == [("subtle", "mine"), ("strong", "mine")]


def test_rules_can_be_left_aside_for_an_upload(surf: Surf) -> None:
    surf.keep(rules=[STRONG])
    page, dialog = pick(surf, surf.photo())
    dialog.wait_for_selector("text=By your rules: strong")
    dialog.uncheck("#by-rules")
    dialog.wait_for_selector("text=By your rules", state="detached")
    surf.protect(page)
    assert asked(surf) == [("balanced", "all")]
    assert surf.stored("local", "rules") == [STRONG]


def test_a_result_of_before_is_not_used_when_the_rules_are_taken_up_again(surf: Surf) -> None:
    surf.keep(rules=[STRONG])
    page, dialog = pick(surf, surf.photo())
    dialog.wait_for_selector("#start:enabled")
    dialog.uncheck("#by-rules")
    surf.press(dialog, "#start")
    dialog.wait_for_selector("#use:enabled")
    dialog.check("#by-rules")
    dialog.wait_for_selector("#use:disabled", state="attached")
    surf.protect(page)
    assert asked(surf) == [("balanced", "all"), ("strong", "all")]


def test_without_rules_there_is_nothing_to_leave_aside(surf: Surf) -> None:
    surf.keep(rules=[{**STRONG, "site": "elsewhere.example"}])
    _, dialog = pick(surf, surf.photo())
    dialog.wait_for_selector("#start:enabled")
    assert not dialog.is_visible("#by-rules")


def test_rules_hold_where_nobody_is_asked(surf: Surf) -> None:
    enrol(surf)
    surf.keep(rules=[{**MINE, "least": 6}])
    surf.rule("always")
    page, photo = surf.open("input.html"), surf.photo(do="faces 9")
    page.set_input_files("#one", photo.path)
    surf.gets(page, ("me.png", "image/png", photo.protected))
    assert asked(surf) == [("balanced", "mine")]


def test_a_rule_for_the_owner_lets_nothing_through_while_nobody_is_enrolled(surf: Surf) -> None:
    surf.keep(rules=[MINE])
    surf.rule("always")
    page, dialog = pick(surf, surf.photo())
    dialog.wait_for_selector("text=The server does not know your face yet")
    assert asked(surf) == []
    surf.gets_nothing(page)


def test_a_photo_whose_faces_cannot_be_counted_is_not_let_through(surf: Surf) -> None:
    surf.keep(rules=[{**STRONG, "least": 6}])
    surf.rule("always")
    page, dialog = pick(surf, surf.photo(do="no"))
    dialog.wait_for_selector(".photo.failed")
    assert asked(surf) == []
    surf.gets_nothing(page)


def test_which_faces_is_chosen_and_remembered_for_the_site(surf: Surf) -> None:
    enrol(surf)
    page, dialog = pick(surf, surf.photo(do="faces 2"))
    dialog.wait_for_selector("#start:enabled")
    dialog.select_option("#faces", "mine")
    surf.protect(page)
    assert asked(surf) == [("balanced", "mine")]
    wait_for(lambda: (surf.stored("local", "choices") or {}).get(HOST))
    assert surf.stored("local", "choices")[HOST]["faces"] == "mine"
    page, dialog = pick(surf, surf.photo())
    dialog.wait_for_selector("#start:enabled")
    assert dialog.input_value("#faces") == "mine"


def test_the_owner_alone_cannot_be_chosen_while_nobody_is_enrolled(surf: Surf) -> None:
    _, dialog = pick(surf, surf.photo())
    dialog.wait_for_selector("#start:enabled")
    assert dialog.locator("#faces option:disabled").get_attribute("value") == "mine"

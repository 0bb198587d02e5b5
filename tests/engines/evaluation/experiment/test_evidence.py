"""Evidence: which evaluation a folder belongs to, and which tasks a plan asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.errors import ConfigError
from engines.evaluation.experiment.dataset import Dataset, Shot
from engines.evaluation.experiment.evidence import fingerprint, gather, recognisers
from engines.evaluation.experiment.plan import Condition, Plan
from engines.evaluation.experiment.results import Store
from engines.evaluation.experiment.tasks import (
    Inspection,
    LookAlikes,
    Networks,
    Protection,
    Result,
    Strangers,
    Task,
)


def test_another_photo_or_another_owner_makes_another_evaluation(tmp_path: Path) -> None:
    def of(data: bytes, person: str) -> str:
        (tmp_path / "1.jpg").write_bytes(data)
        return fingerprint(Dataset((Shot(person, "1.jpg", tmp_path / "1.jpg"),), "folders", {}), Networks())[
            "photos"
        ]

    assert len({of(b"1", "a"), of(b"2", "a"), of(b"1", "b")}) == 3
    assert of(b"1", "a") == of(b"1", "a")


def test_the_recognisers_are_those_of_the_networks() -> None:
    assert list(recognisers(Networks())) == ["mobilefacenet-512", "mobilefacenet-192", "dlib-resnet29"]
    assert list(recognisers(Networks(reference=Path("x")))) == ["ir152", "irse50", "facenet", "mobileface"]


NETWORKS = Networks("cpu")
PHOTOS = {"a": (b"a1", b"a2"), "b": (b"b1", b"wall"), "c": (b"c1",)}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """a has two photos with a face, b one and a wall, c one."""
    shots = []
    for person, photos in PHOTOS.items():
        for number, data in enumerate(photos):
            (tmp_path / f"{person}{number}").write_bytes(data)
            shots.append(Shot(person, f"{person}/{number}", tmp_path / f"{person}{number}"))
    return Dataset(tuple(shots), "folders", {})


def answer(task: Task) -> Result:
    """Made-up results: walls show no face, one protection fails, targets of odd seeds cannot be made."""
    if isinstance(task, Inspection):
        return (
            Result(failed="no face was found")
            if task.clean == b"wall"
            else Result({"of": task.photo.decode()})
        )
    if isinstance(task, Protection):
        if task.photo == b"a2":
            return Result(failed="it broke")
        return Result({}, {"photo": np.frombuffer(b"protected " + task.photo, np.uint8)})
    if isinstance(task, LookAlikes):
        return Result({"of": task.photo.decode()})
    if isinstance(task, Strangers):
        return Result({}, {"mobilefacenet-512": np.full((task.count, 2), task.seed)})
    if task.seed % 2:  # type: ignore[attr-defined]
        return Result(failed="the generated target shows no face")
    return Result({}, {"photo": np.frombuffer(b"target", np.uint8)})


def gathered(
    dataset: Dataset, folder: Path, **options: Any
) -> tuple[Any, list[Task], list[tuple[str, int, int]]]:
    asked: list[Task] = []
    stages: list[tuple[str, int, int]] = []

    def runner(tasks: Sequence[Task]) -> Iterator[tuple[Task, Result]]:
        asked.extend(tasks)
        yield from ((task, answer(task)) for task in tasks)

    plan = Plan(methods=("pgd@dlib-resnet29",), transforms=("none", "blur"), distractors=25, **options)
    evidence = gather(dataset, plan, NETWORKS, Store(folder), runner, lambda *stage: stages.append(stage))
    return evidence, asked, stages


def test_the_evidence_holds_every_result_by_the_photos_name(dataset: Dataset, tmp_path: Path) -> None:
    evidence, asked, stages = gathered(dataset, tmp_path / "report", per_person=2)
    assert evidence.left_out == {"b/1": "no face was found"}
    assert evidence.compared == ("a/0", "a/1")
    protected = evidence.protected[Condition("pgd", "dodge", "dlib-resnet29")]
    assert protected["a/0"][1].values == {"of": "protected a1"}
    assert [result.failed for result in protected["a/1"]] == ["it broke", "it broke"]
    assert evidence.strangers["mobilefacenet-512"].shape == (25, 2)
    assert list(evidence.strangers) == ["mobilefacenet-512"]
    assert [task.transforms for task in asked if isinstance(task, Inspection)][-1] == ("none", "blur")
    stages_of = ["photos and generated people", "look-alikes", "protecting", "looking"]
    assert list(dict.fromkeys(stage for stage, _, _ in stages)) == stages_of
    assert evidence.cohorts["a"].values == {"of": "a2"}  # the last photo, which is the last to be judged
    assert list(evidence.cohorts) == ["a"]


def test_a_second_gathering_asks_for_nothing(dataset: Dataset, tmp_path: Path) -> None:
    first, *_ = gathered(dataset, tmp_path / "report")
    second, asked, _ = gathered(dataset, tmp_path / "report")
    assert asked == [] and second.protected.keys() == first.protected.keys()


def test_a_person_without_a_target_impersonates_no_one(dataset: Dataset, tmp_path: Path) -> None:
    modes = {"modes": ("impersonate",), "impersonating": ("pgd",)}
    evidence, asked, _ = gathered(dataset, tmp_path / "even", **modes)
    assert [task.target for task in asked if isinstance(task, Protection)] == [b"target"]
    assert list(evidence.targets) == ["a", "b"]
    assert evidence.targets["b"].failed is not None


def test_photos_of_which_no_person_has_two_with_a_face_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    rest = Dataset(tuple(shot for shot in dataset.shots if shot.person != "a"), "folders", {})
    with pytest.raises(ConfigError, match="no person has two photos with a face"):
        gathered(rest, tmp_path / "report")

"""Results are kept, found again, and never taken for those of another task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.errors import ConfigError
from engines.evaluation.experiment.results import WORK, Store, claim
from engines.evaluation.experiment.tasks import (
    Inspection,
    Networks,
    Protection,
    Result,
    Strangers,
    TargetPerson,
    key,
)

NETWORKS = Networks("cpu")
TASK = Protection(NETWORKS, b"photo", "pgd", "dodge", "dlib-resnet29", None, 0)
TASKS = [
    TASK,
    Inspection(NETWORKS, b"a", b"b", ("none", "blur")),
    Strangers(NETWORKS, 1, 2),
    TargetPerson(NETWORKS, 3),
]


def answers(tasks: Sequence[Any]) -> Iterator[tuple[Any, Result]]:
    """Made-up work, done backwards as processes may."""
    for task in reversed(tasks):
        yield task, Result({"of": key(task)}, {"numbers": np.arange(3, dtype=np.float32)})


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    store, result = (
        Store(tmp_path),
        Result({"psnr": 31.5, "why": None}, {"a/b": np.eye(2), "empty": np.empty(0)}),
    )
    assert store.get(TASK) is None
    store.put(TASK, result)
    found = Store(tmp_path).get(TASK)
    assert found is not None and found.values == result.values and found.failed is None
    assert {name: array.tolist() for name, array in found.arrays.items()} == {
        "a/b": [[1, 0], [0, 1]],
        "empty": [],
    }


def test_a_failure_is_a_result(tmp_path: Path) -> None:
    Store(tmp_path).put(TASK, Result(failed="no face was found"))
    assert Store(tmp_path).get(TASK) == Result(failed="no face was found")


def test_every_field_of_a_task_is_part_of_its_name() -> None:
    others: dict[str, Any] = {
        "networks": Networks("cuda"),
        "photo": b"other",
        "method": "clean",
        "mode": "impersonate",
        "held_out": "",
        "target": b"face",
        "seed": 7,
        "clean": b"other",
        "transforms": ("none",),
        "prompt": "red lipstick",
        "count": 9,
    }
    names = [key(task) for task in TASKS]
    for task in TASKS:
        names += [key(replace(task, **{item.name: others[item.name]})) for item in fields(task)]
    assert len(set(names)) == len(names)
    assert key(TASK) == key(replace(TASK))


def test_what_is_there_is_not_done_again_and_the_order_is_that_of_the_tasks(tmp_path: Path) -> None:
    store, asked, heard = Store(tmp_path), [], []

    def runner(tasks: Sequence[Any]) -> Iterator[tuple[Any, Result]]:
        asked.append(list(tasks))
        return answers(tasks)

    store.ask(TASKS[:2], runner, lambda done, total: heard.append((done, total)))
    found = store.ask([*TASKS, TASK], runner, lambda done, total: heard.append((done, total)))
    assert [result.values["of"] for result in found] == [key(task) for task in [*TASKS, TASK]]
    assert asked == [TASKS[:2], TASKS[2:]]
    assert heard == [(0, 2), (1, 2), (2, 2), (2, 4), (3, 4), (4, 4)]


def test_what_was_done_before_a_kill_is_kept(tmp_path: Path) -> None:
    def killed(tasks: Sequence[Any]) -> Iterator[tuple[Any, Result]]:
        yield from list(answers(tasks))[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).ask(TASKS, killed, lambda done, total: None)
    assert [Store(tmp_path).get(task) is not None for task in TASKS] == [False, False, True, True]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 and no more", b"not a zip at all"])
def test_a_damaged_result_is_done_again(tmp_path: Path, damage: bytes) -> None:
    store = Store(tmp_path)
    store.put(TASK, Result({"of": "before"}))
    (tmp_path / WORK / f"{key(TASK)}.npz").write_bytes(damage)
    assert store.ask([TASK], answers, lambda done, total: None)[0].values == {"of": key(TASK)}
    assert store.get(TASK) is not None


def test_a_folder_is_claimed_once_and_taken_up_again_only_when_asked(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    claim(folder, {"photos": "1"}, resume=False)
    with pytest.raises(ConfigError, match="--resume"):
        claim(folder, {"photos": "1"}, resume=False)
    claim(folder, {"photos": "1"}, resume=True)
    with pytest.raises(ConfigError, match="other photos"):
        claim(folder, {"photos": "2"}, resume=True)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"photo")
    for resume in (False, True):
        with pytest.raises(ConfigError, match="not an empty folder"):
            claim(tmp_path, {}, resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]

"""The questions of a study, read from a folder that other programs may have changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engines.errors import ConfigError
from engines.evaluation.study.questions import TRIALS, picture, read_trials

TRIAL: dict[str, Any] = {
    "id": "one",
    "kind": "identity",
    "method": "balanced",
    "person": "p1",
    "shown": "c.jpg",
    "options": ["a.jpg", "b.jpg"],
    "answer": 1,
}


def write(folder: Path, *trials: dict[str, Any]) -> Path:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (folder / name).touch()
    (folder / TRIALS).write_text(json.dumps({"trials": trials}))
    return folder


def test_a_trial_comes_back_with_its_pictures(tmp_path: Path) -> None:
    (trial,) = read_trials(write(tmp_path, TRIAL))
    assert trial.options == ("a.jpg", "b.jpg") and trial.pictures == ("a.jpg", "b.jpg", "c.jpg")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "guess"},
        {"options": ["a.jpg"]},
        {"answer": 2},
        {"answer": True},
        {"shown": None},
        {"person": 7},
        {"kind": "retouched"},
    ],
)
def test_a_trial_that_cannot_be_asked_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="is damaged"):
        read_trials(write(tmp_path, TRIAL | change))


def test_no_trials_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        read_trials(tmp_path)
    for trials in ((), (TRIAL, TRIAL)):
        with pytest.raises(ConfigError, match="no trials, or two of one name"):
            read_trials(write(tmp_path, *trials))


@pytest.mark.parametrize("name", ["missing.jpg", "../secret.jpg", "study-trials.json", "link.jpg"])
def test_only_pictures_of_the_folder_are_shown(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "report"
    folder.mkdir()
    (tmp_path / "secret.jpg").touch()
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(ConfigError, match="is no picture of this report"):
        picture(write(folder, TRIAL), name)

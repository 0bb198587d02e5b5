"""How often people were right, beside what a hand comes to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import beta

from engines.errors import ConfigError
from engines.evaluation.study.answers import ANSWERS, read_choices, score

KINDS = ("identity", "retouched")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two trials of each kind, by two methods."""
    trials = []
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).touch()
    for number in range(4):
        kind = KINDS[number % 2]
        trials.append({"id": str(number), "kind": kind, "method": ("balanced", "strong")[number // 2]})
        trials[-1] |= {"person": "p", "shown": "c.png" if kind == "identity" else None}
        trials[-1] |= {"options": ["a.png", "b.png"], "answer": 0}
    (tmp_path / "study-trials.json").write_text(json.dumps({"trials": trials}))
    return tmp_path


def choice(who: str, trial: int, correct: bool, familiar: bool = False) -> dict[str, Any]:
    entry = {"participant": who, "trial": str(trial), "choice": int(not correct), "correct": correct}
    return entry | {"milliseconds": 1000, "familiar": familiar}


def test_no_answers_have_no_score(folder: Path) -> None:
    assert score(folder) is None
    (folder / ANSWERS).write_text("[]")
    assert score(folder) is None


def test_rates_of_choices_people_strangers_and_methods(folder: Path) -> None:
    """Of identity ann has 2 of 2 and bob 0 of 1; bob knows the face.  Of retouched ann has 1 of 1."""
    choices = [choice("ann", 0, True), choice("ann", 2, True), choice("bob", 0, False, familiar=True)]
    (folder / ANSWERS).write_text(json.dumps([*choices, choice("ann", 1, True), choice("x", 99, True)]))
    report = score(folder)
    assert report is not None
    identity = report["identity"]
    assert (identity["value"], identity["n"], identity["people"]) == (2 / 3, 3, 2)
    exact = beta.ppf(0.025, 2, 2), beta.ppf(0.975, 3, 1)
    assert (identity["low"], identity["high"]) == pytest.approx(exact)
    people = report["participants"]["identity"]
    assert (people["value"], people["low"], people["high"]) == (0.5, 0, 1)
    assert report["participants"]["retouched"]["low"] is None  # one person alone
    assert (report["strangers"]["identity"]["value"], report["strangers"]["identity"]["n"]) == (1, 2)
    assert report["methods"]["balanced"]["identity"]["value"] == 0.5
    assert report["methods"]["strong"]["retouched"]["value"] is None


@pytest.mark.parametrize("content", ["no json", "[1]", '[{"participant": "a"}]'])
def test_damaged_answers_are_refused(folder: Path, content: str) -> None:
    (folder / ANSWERS).write_text(content)
    with pytest.raises(ConfigError, match="is damaged"):
        score(folder)


def test_a_choice_of_other_types_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is damaged"):
        read_choices([choice("a", 0, True) | {"correct": 1}], folder / ANSWERS)
    assert read_choices(None, folder / ANSWERS) == []

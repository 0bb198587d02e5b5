"""The pictures and questions that a study is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engines.evaluation.score.trials import judge_of, outcome_of
from engines.evaluation.study.preparation import write_trials
from engines.evaluation.study.questions import TRIALS, read_trials
from tests.support.evaluation import COSINE, sample_evidence


def prepared(folder: Path, method: str = "balanced") -> Path:
    """A study about one method; each picture's bytes say which photo it is of, and by which method."""
    evidence = sample_evidence()
    for name, result in evidence.clean.items():
        result.arrays["face"] = np.frombuffer(f"clean {name}".encode(), np.uint8)
    for condition, results in evidence.protected.items():
        for name, (_, inspection) in results.items():
            inspection.arrays["face"] = np.frombuffer(f"{condition.method} {name}".encode(), np.uint8)
    judge = judge_of(evidence, COSINE)
    outcome = outcome_of(evidence, judge, method, "dodge")
    write_trials(evidence, judge, [] if outcome is None else [outcome], folder)
    return folder


def test_every_compared_photo_has_two_questions_with_the_right_pictures(tmp_path: Path) -> None:
    trials = [t for t in read_trials(prepared(tmp_path)) if t.person == "a"]
    identity, retouched = sorted(trials, key=lambda trial: trial.kind)
    owner, stranger = ((tmp_path / name).read_text() for name in identity.options)
    assert (tmp_path / str(identity.shown)).read_text() == "balanced a/1"
    assert (owner, identity.answer) == ("clean a/2", 0)
    assert stranger.startswith("clean ") and not stranger.startswith("clean a/")
    pictures = [(tmp_path / name).read_text() for name in retouched.options]
    assert (pictures, retouched.answer, retouched.shown) == (["clean a/1", "balanced a/1"], 1, None)


def test_a_study_without_a_method_writes_nothing(tmp_path: Path) -> None:
    prepared(tmp_path, method="pgd")
    assert not (tmp_path / TRIALS).exists() and list(tmp_path.iterdir()) == []

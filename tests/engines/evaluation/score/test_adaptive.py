"""Trackers that learn, where what there is to be learnt was put there."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from skimage.data import astronaut
from sklearn.metrics import roc_auc_score

from engines.errors import ConfigError
from engines.evaluation.experiment.forensics import forensic_features
from engines.evaluation.score.adaptive import adapted_head, adapted_hits, detector_auc, train_head
from engines.evaluation.score.protocols import Faces, Probe, pairs, strangers
from engines.evaluation.score.statistics import rate, threshold_at

DIMENSIONS = 64
FAR = 0.01


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def people(count: int, photos: int = 3) -> Faces:
    centres, noise = normal(count, DIMENSIONS, seed=1), normal(count, photos, DIMENSIONS, seed=2)
    return {
        f"p{i}": {f"p{i}/{k}": centre + 0.4 * noise[i, k] for k in range(photos)}
        for i, centre in enumerate(centres)
    }


def shifted(faces: Faces, *, alike: bool) -> list[Probe]:
    """The first photo of each person, moved by five times its length: in one direction, or in many."""
    ways = normal(len(faces), DIMENSIONS, seed=3)
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    return [
        Probe(person, f"{person}/0", of[f"{person}/0"] + 5 * DIMENSIONS**0.5 * ways[0 if alike else i])
        for i, (person, of) in enumerate(faces.items())
    ]


# --- the recogniser -----------------------------------------------------------------------------------
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_head_recovers_people_it_never_saw_from_a_shift_common_to_all(metric: str) -> None:
    faces, distractors = people(24), normal(600, DIMENSIONS, seed=4)
    probes = shifted(faces, alike=True)
    threshold = threshold_at(strangers(faces, distractors, metric), FAR)
    before = np.mean([pair.similarity > threshold for pair in pairs(probes, faces, metric)])
    folds = adapted_head(faces, probes, distractors, metric, far=FAR)
    after = rate(adapted_hits(folds))
    assert before < 0.3
    assert after.value > 0.9
    assert (after.n, after.people, len(folds)) == (48, 24, 10)
    assert sorted(pair.person for fold in folds for pair in fold.pairs) == sorted([*faces, *faces])
    assert not any(pair.photo == pair.other for fold in folds for pair in fold.pairs)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_there_is_nothing_to_learn_from_shifts_that_have_nothing_in_common(metric: str) -> None:
    faces, distractors = people(24), normal(600, DIMENSIONS, seed=4)
    after = rate(adapted_hits(adapted_head(faces, shifted(faces, alike=False), distractors, metric, far=FAR)))
    assert after.value < 0.4


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_threshold_of_a_head_holds_for_strangers(metric: str) -> None:
    """Faces that no part of it has seen are accepted about as often as was asked for."""
    faces, distractors = people(24), normal(600, DIMENSIONS, seed=4)
    probes = shifted(faces, alike=True)
    fold = adapted_head(faces, probes, distractors, metric, far=FAR)[0]
    left_out = {pair.person for pair in fold.pairs}
    random = np.random.default_rng(0)
    known = distractors[np.array_split(random.permutation(len(distractors)), 2)[0]]
    others = {person: of for person, of in faces.items() if person not in left_out}
    head = train_head(others, [p for p in probes if p.person in others], known, metric)
    seen = {person: {name: head @ face for name, face in of.items()} for person, of in faces.items()}
    accepted = strangers(seen, normal(2000, DIMENSIONS, seed=9) @ head.T, metric) > fold.threshold.value
    assert 0.5 * FAR < accepted.mean() < 1.5 * FAR
    assert "a generated face" in fold.threshold.source


def test_the_same_head_twice() -> None:
    faces, distractors = people(6), normal(50, DIMENSIONS, seed=4)
    probes = shifted(faces, alike=True)
    heads = [train_head(faces, probes, distractors, "cosine") for _ in range(2)]
    assert np.array_equal(*heads)
    assert not np.allclose(heads[0], np.eye(DIMENSIONS), atol=1e-3)


def test_a_head_learns_nothing_from_the_photo_that_was_protected() -> None:
    """Where people have no other photo, and where faces were not found."""
    alone, distractors = people(6, photos=1), normal(50, DIMENSIONS, seed=4)
    probes = shifted(alone, alike=True)
    assert np.array_equal(train_head(alone, probes, distractors, "cosine"), np.eye(DIMENSIONS))
    assert adapted_head(alone, probes, distractors, "cosine") == ()
    faces = people(6)
    lost = [Probe(person, f"{person}/0", None) for person in faces]
    assert np.array_equal(train_head(faces, lost, distractors, "cosine"), np.eye(DIMENSIONS))
    hits = adapted_hits(adapted_head(faces, lost, distractors, "cosine"))
    assert hits == {person: [False, False] for person in faces}


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_protected_photos_own_original_weighs_nothing(metric: str) -> None:
    """Neither as one of the owner's nor as another's: the head stays the same wherever it lies."""
    faces, distractors = people(5), normal(40, DIMENSIONS, seed=4)
    probes = shifted(faces, alike=True)[:1]
    moved = {p: {n: face + (9 if n == "p0/0" else 0) for n, face in of.items()} for p, of in faces.items()}
    heads = [train_head(known, probes, distractors, metric) for known in (faces, moved)]
    assert np.array_equal(*heads)
    assert not np.allclose(heads[0], np.eye(DIMENSIONS), atol=1e-3)


# --- the detector -------------------------------------------------------------------------------------
OWNERS = [f"p{i // 2}" for i in range(60)]


def test_a_detector_finds_a_grid_and_nothing_where_there_is_nothing() -> None:
    """60 noisy crops of a photo; the grid is at 45 dB of them."""
    random, photo = np.random.default_rng(0), astronaut()

    def crop(grid: int) -> np.ndarray:
        y, x = random.integers(0, 512 - 128, size=2)
        part = photo[y : y + 128, x : x + 128] + random.normal(0, 2, size=(128, 128, 3))
        part[::4, ::4] += grid
        return forensic_features(part.clip(0, 255).round().astype(np.uint8))

    clean, same, grid = (np.stack([crop(height) for _ in OWNERS]) for height in (0, 0, 6))
    found = detector_auc(clean, grid, OWNERS)
    assert found.value > 0.97
    assert found.low <= found.value <= found.high
    nothing = detector_auc(clean, same, OWNERS)
    assert nothing.low < 0.5 < nothing.high
    assert abs(nothing.value - 0.5) < 0.15


def test_photos_that_were_not_changed_cannot_be_told() -> None:
    found = detector_auc(normal(60, 5), normal(60, 5), OWNERS)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_one_telling_feature_is_an_area_by_itself() -> None:
    """With the others constant the regression is that feature: the area is its own, within halves or not."""
    clean, protected = np.zeros((400, 3)), np.zeros((400, 3))
    clean[:, 1], protected[:, 1] = normal(400), 1 + normal(400, seed=1)
    found = detector_auc(clean, protected, [str(i) for i in range(400)])
    scores = np.concatenate((clean[:, 1], protected[:, 1]))
    assert found.value == pytest.approx(roc_auc_score([0] * 400 + [1] * 400, scores), abs=0.01)
    error = (found.value * (1 - found.value) / 400) ** 0.5  # an upper bound of Hanley and McNeil's
    assert 1.5 * error < found.high - found.low < 4 * error


def test_a_detector_is_judged_on_people_it_never_saw() -> None:
    """Everybody has a mark of their own: it gives away other photos of theirs, and no one else's."""
    marks = np.repeat(normal(30, 50), 2, axis=0)
    clean, protected = 0.1 * normal(60, 50, seed=1), marks + 0.1 * normal(60, 50, seed=2)
    assert detector_auc(clean, protected, [str(i) for i in range(60)]).value > 0.75
    assert abs(detector_auc(clean, protected, OWNERS).value - 0.5) < 0.15


def test_a_perfect_detector_is_as_sure_as_there_are_people() -> None:
    found = detector_auc(normal(60, 2), 99 + normal(60, 2, seed=1), OWNERS)
    assert found.to_json() == {"value": 1.0, "low": pytest.approx(0.025 ** (1 / 30)), "high": 1.0}


def test_a_detector_needs_four_people() -> None:
    assert detector_auc(normal(6, 2), normal(6, 2), list("aabbcc")) is None


def test_without_scikit_learn_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(ConfigError, match=r"install clip2protect\[eval\]"):
        detector_auc(normal(60, 2), normal(60, 2), OWNERS)

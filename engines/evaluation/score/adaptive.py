"""Trackers that learn: a recogniser trained on protected photos of others, and a detector of protected
photos.

Both are judged on people of whom they saw no photo.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from engines.errors import ConfigError
from engines.evaluation.score.protocols import Faces, Hits, Pair, Probe, impostors, matched, pairs, strangers
from engines.evaluation.score.statistics import DRAWS, Calibration, calibrate, draw, similarities, unanimous
from engines.models.registry import Metric

#: Number of folds, or of people if they are fewer.
FOLDS = 10
#: The most negatives of a head's training; every step uses them all.
NEGATIVES = 500
#: Steps of training, by L-BFGS, and the weight that draws a head back to the identity: three times as much
#: learns little from a dozen people, a third takes three times as long for a few points.
STEPS, DECAY = 60, 0.03
#: Random halvings of the people, and the detector's C: at 0.01 it missed grids that it detects at 1.
_SPLITS, _C = 10, 1.0
_MIN_PEOPLE = 4


# --- the recogniser ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Fold:
    """A fold's people: their pairs after a head trained on the others, and the head's own threshold."""

    pairs: tuple[Pair, ...]
    threshold: Calibration


def adapted_head(
    references: Faces,
    probes: Sequence[Probe],
    distractors: np.ndarray,
    metric: Metric,
    *,
    far: float = 0.01,
    seed: int = 0,
    taught: bool = True,
) -> tuple[Fold, ...]:
    """The pairs of a recogniser that was adapted to the protection of other people, fold by fold.

    Each fold leaves people out, trains a head on the others (`train_head`), and compares the protected photos
    of the people left out with their other photos.  The head gets a threshold of its own at the rate `far`,
    from pairs that it was not trained on: at least one photo shows a person left out, or one is of the half
    of the distractors (K, D) that training does not use.

    Without `taught` the head is the identity; the difference is the effect of training.  There are no folds
    where fewer than two people have a protected photo and another one.
    """
    people = sorted({pair.person for pair in pairs(probes, references, metric)})
    if len(people) < 2:
        return ()
    random = np.random.default_rng(seed)
    known, unknown = (distractors[rows] for rows in np.array_split(random.permutation(len(distractors)), 2))
    folds = []
    for part in np.array_split(random.permutation(people), min(FOLDS, len(people))):
        left_out = {str(person) for person in part}
        others = {person: faces for person, faces in references.items() if person not in left_out}
        head = np.eye(len(next(face for faces in references.values() for face in faces.values())))
        if taught:
            head = train_head(others, [p for p in probes if p.person in others], known, metric, seed=seed)
        folds.append(_judge(head, references, probes, unknown, metric, left_out, far))
    return tuple(folds)


def adapted_hits(folds: Sequence[Fold]) -> Hits:
    """Which pairs match, each at the threshold of its fold."""
    hits: Hits = {}
    for fold in folds:
        hits |= matched(fold.pairs, fold.threshold.value)
    return hits


def train_head(
    references: Faces, probes: Sequence[Probe], distractors: np.ndarray, metric: Metric, *, seed: int = 0
) -> np.ndarray:
    """A linear map (D, D) of embeddings, x -> head @ x, that learns to undo a protection.

    Its training brings every protected photo nearer to other photos of its owner than to `NEGATIVES` or fewer
    of all other photos and distractors (K, D): InfoNCE (van den Oord et al. 2018, equation 4) with several
    positives, in units of the spread of strangers' similarities.  The map starts as the identity and is drawn
    back to it.  Probes without a face or without another photo take no part, and neither does a probe's own
    original.
    """
    queries, gallery, own, other = _lesson(references, probes, distractors, np.random.default_rng(seed))
    start = torch.eye(gallery.shape[1])
    if not other.any():
        return np.asarray(start.numpy(), np.float64)
    spread = float(np.std(similarities(metric, queries, gallery)[other]))
    # In units of the embeddings' length, so that the decay means the same for every recogniser.
    used = gallery[(own | other).any(axis=0)]
    unit = float(np.sqrt(np.square(used).sum(axis=1).mean()))
    queries_, gallery_ = (torch.tensor(x / unit, dtype=torch.float32) for x in (queries, gallery))
    temperature = max(spread, 1e-6) / (unit if metric == "euclidean" else 1)
    positives, candidates = torch.tensor(own), torch.tensor(own | other)

    def loss(head: Tensor) -> Tensor:
        logits = _alike(metric, queries_ @ head.T, gallery_ @ head.T) / temperature
        right = logits.masked_fill(~positives, -torch.inf).logsumexp(dim=1)
        every = logits.masked_fill(~candidates, -torch.inf).logsumexp(dim=1)
        return (every - right).mean() + DECAY / 2 * (head - start).square().sum()

    head = start.clone().requires_grad_()
    search = torch.optim.LBFGS([head], max_iter=STEPS, history_size=20, line_search_fn="strong_wolfe")

    def step() -> float:
        search.zero_grad()
        value = loss(head)
        value.backward()
        return value.item()

    with torch.enable_grad():
        search.step(step)
    return np.asarray(head.detach().numpy(), np.float64)


def _lesson(
    references: Faces, probes: Sequence[Probe], distractors: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Queries (P, D), a gallery (G, D), and masks (P, G): a query's own photos in the gallery, and other
    people's.

    A query's own original is in neither mask.
    """
    lessons = [
        (p, p.embedding)
        for p in probes
        if p.embedding is not None and references.get(p.person, {}).keys() - {p.photo}
    ]
    taught = {probe.person for probe, _ in lessons}
    entries = [(person, name, face) for person, faces in references.items() for name, face in faces.items()]
    gallery = [entry for entry in entries if entry[0] in taught]
    rest = [entry for entry in entries if entry[0] not in taught] + [("", "", face) for face in distractors]
    if len(rest) > NEGATIVES:
        rest = [rest[i] for i in np.sort(random.choice(len(rest), NEGATIVES, replace=False))]
    gallery += rest
    faces = np.stack([face for *_, face in gallery])
    queries = np.array([face for _, face in lessons]).reshape(-1, faces.shape[1])
    shape = len(queries), len(faces)
    same = np.array([[person == p.person for person, *_ in gallery] for p, _ in lessons], bool).reshape(shape)
    itself = np.array([[name == p.photo for _, name, _ in gallery] for p, _ in lessons], bool).reshape(shape)
    return queries, faces, same & ~itself, ~same


def _alike(metric: Metric, a: Tensor, b: Tensor) -> Tensor:
    """`statistics.similarities` of tensors, differentiable."""
    if metric == "cosine":
        return torch.nn.functional.normalize(a) @ torch.nn.functional.normalize(b).T
    squares = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)[None] - 2 * a @ b.T
    return -squares.clamp(min=1e-12).sqrt()


def _judge(
    head: np.ndarray,
    references: Faces,
    probes: Sequence[Probe],
    unknown: np.ndarray,
    metric: Metric,
    left_out: set[str],
    far: float,
) -> Fold:
    """Pairs and threshold of the people left out, after a head."""
    mapped = {
        person: {name: head @ face for name, face in faces.items()} for person, faces in references.items()
    }
    mine = [
        Probe(p.person, p.photo, None if p.embedding is None else head @ p.embedding)
        for p in probes
        if p.person in left_out
    ]
    inside = {person: faces for person, faces in mapped.items() if person in left_out}
    outside = [face for person, faces in mapped.items() if person not in left_out for face in faces.values()]
    real = [impostors(inside, metric)]
    if outside:
        real.append(strangers(inside, np.stack(outside), metric))
    generated = strangers(mapped, unknown @ head.T, metric) if len(unknown) else np.empty(0)
    return Fold(tuple(pairs(mine, mapped, metric)), calibrate(np.concatenate(real), generated, far))


# --- the detector --------------------------------------------------------------------------------------
class AreaReport(TypedDict):
    """An `Area` as reports have it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Area:
    """The area under a ROC curve, 0.5 for guessing, and its 95 % interval over people."""

    value: float
    low: float
    high: float

    def to_json(self) -> AreaReport:
        """The area as a report has it."""
        return {"value": self.value, "low": self.low, "high": self.high}


def detector_auc(
    clean: np.ndarray, protected: np.ndarray, people: Sequence[str], *, seed: int = 0, draws: int = DRAWS
) -> Area | None:
    """How well a detector separates protected photos from clean ones of other people, by features (N, F) of
    both.

    Row i of both is of `people[i]`.  The detector is a logistic regression on standardised features, with an
    L2 penalty.  It learns on one half of the people and is judged on the other, both ways, for several random
    halvings. Only scores of the same regression are compared.  None for fewer than four people.

    Raises:
        ConfigError: scikit-learn is not installed.
    """
    names, owner = np.unique(np.array(people, str), return_inverse=True)
    if len(names) < _MIN_PEOPLE:
        return None
    # By owners (Q, Q): the pairs whose protected photo scores above the clean one, and all pairs.
    above, compared = np.zeros((len(names), len(names))), np.zeros((len(names), len(names)))
    random = np.random.default_rng(seed)
    for _ in range(_SPLITS):
        for half in np.array_split(random.permutation(len(names)), 2):
            judged = np.isin(owner, half)
            weights = _regression(clean[~judged], protected[~judged])
            scores = (protected[judged] @ weights)[:, None] - (clean[judged] @ weights)[None]
            cell = (owner[judged][:, None], owner[judged][None])
            np.add.at(above, cell, (scores > 0) + 0.5 * (scores == 0))
            np.add.at(compared, cell, 1)
    value = float(above.sum() / compared.sum())
    if value in (0, 1):
        return Area(value, *unanimous(value, len(names)))
    areas = []
    for rows in draw(len(names), draws, seed):
        times = np.stack([np.bincount(row, minlength=len(names)) for row in rows]).astype(float)
        # A person drawn twice is not two people: photos of one person are easier to separate.
        again = times * (times - 1)
        sums = [((times @ of) * times).sum(axis=1) - again @ np.diag(of) for of in (above, compared)]
        areas.append(sums[0] / sums[1])
    low, high = np.quantile(np.concatenate(areas), (0.025, 0.975))
    return Area(value, float(low), float(high))


def _regression(clean: np.ndarray, protected: np.ndarray) -> np.ndarray:
    """Weights (F,) of the plain features; a larger sum is more likely a protected photo."""
    features = np.concatenate((clean, protected)).astype(np.float64)
    spread = features.std(axis=0)
    scale = np.where(spread > 1e-9, spread, np.inf)  # what never varies says nothing
    model = _linear_model().LogisticRegression(C=_C, max_iter=1000)
    model.fit((features - features.mean(axis=0)) / scale, np.repeat((0, 1), (len(clean), len(protected))))
    return np.asarray(model.coef_[0] / scale)


def _linear_model() -> Any:
    try:
        return importlib.import_module("sklearn.linear_model")
    except ImportError as error:
        raise ConfigError("a detector needs scikit-learn: install clip2protect[eval]") from error

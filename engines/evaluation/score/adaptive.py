"""Trackers that learn: a recogniser that has seen protected photos of others, and a detector of protected photos.

Both are judged on people whom they never saw.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engines.errors import ConfigError
from engines.evaluation.score.protocols import Faces, Hits, Pair, Probe, impostors, matched, pairs, strangers
from engines.evaluation.score.statistics import DRAWS, Calibration, calibrate, draw, similarities, unanimous
from engines.models.registry import Metric

#: Parts that people are left out in; of fewer people each alone.
FOLDS = 10
#: Others that a head learns to tell people from, at most: one step is over all of them.
NEGATIVES = 500
#: Steps of training, by L-BFGS, and how strongly a head is drawn back to doing nothing: three times as much
#: learns little from a dozen people, a third of it takes thrice the time for a few points.
STEPS, DECAY = 60, 0.03
#: Ways of halving the people that a detector is averaged over, and its C: at 0.01 it missed grids that it sees at 1.
_SPLITS, _C = 10, 1.0
_MIN_PEOPLE = 4
#: Of forensic features: pixels a side at least, bins of the spectrum, where residuals are cut off.
_MIN_SIDE, _BINS, _CUT = 64, 24, 2
#: What is added before a logarithm: to energies an eighth of what rounding to 8 bits brings, and to shares.
_FLAT, _RARE = 0.01, 1e-4


# --- the recogniser ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Fold:
    """People who were left out: their pairs after the head that others trained, and its own threshold."""

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
    """What a recogniser still matches after it was adapted to the protection of other people.

    In turn a part of the people is left out, a head is trained on the rest (`train_head`), and
    the protected photos of those left out are compared with their other photos.  Its threshold at the
    rate `far` is calibrated anew, on pairs that it was not trained on: of photos of which one at least
    shows a person left out, or of a photo and the half of the distractors (K, D) that is kept back.

    Not `taught`, the head does nothing: what training is worth is the difference.  Returns nothing where fewer than two
    people have a protected photo and another one.
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
    """A linear map (D, D) of embeddings, x -> head @ x, that undoes a protection as far as it can be learnt.

    Every protected photo has to be nearer to other photos of its owner than to `NEGATIVES` or fewer of all
    other photos and distractors (K, D): InfoNCE (van den Oord et al. 2018, equation 4) with several
    positives, in units of the spread that similarities of strangers have.  The map starts as the
    identity and is drawn back to it.  Probes without a face or without another photo teach nothing.
    """
    queries, gallery, own, other = _lesson(references, probes, distractors, np.random.default_rng(seed))
    start = torch.eye(gallery.shape[1])
    if not other.any():
        return np.asarray(start.numpy(), np.float64)
    spread = float(np.std(similarities(metric, queries, gallery)[other]))
    # In units of their own length, so that the decay means the same for every recogniser.
    unit = float(np.sqrt(np.square(gallery).sum(axis=1).mean()))
    queries_, gallery_ = (torch.tensor(x / unit, dtype=torch.float32) for x in (queries, gallery))
    temperature = max(spread, 1e-6) / (unit if metric == "euclidean" else 1)
    positives, looked_at = torch.tensor(own), torch.tensor(own | other)

    def loss(head: Tensor) -> Tensor:
        logits = _alike(metric, queries_ @ head.T, gallery_ @ head.T) / temperature
        right = logits.masked_fill(~positives, -torch.inf).logsumexp(dim=1)
        every = logits.masked_fill(~looked_at, -torch.inf).logsumexp(dim=1)
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
    """Queries (P, D), the gallery (G, D) they are looked up in, what of it is theirs and what is others' (P, G).

    The photo that a query was made of is neither.
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
    """Pairs and threshold of the people left out."""
    seen = {
        person: {name: head @ face for name, face in faces.items()} for person, faces in references.items()
    }
    mine = [
        Probe(p.person, p.photo, None if p.embedding is None else head @ p.embedding)
        for p in probes
        if p.person in left_out
    ]
    inside = {person: faces for person, faces in seen.items() if person in left_out}
    outside = [face for person, faces in seen.items() if person not in left_out for face in faces.values()]
    real = [impostors(inside, metric)]
    if outside:
        real.append(strangers(inside, np.stack(outside), metric))
    generated = strangers(seen, unknown @ head.T, metric) if len(unknown) else np.empty(0)
    return Fold(tuple(pairs(mine, seen, metric)), calibrate(np.concatenate(real), generated, far))


# --- the detector --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Area:
    """The area under a ROC curve, 0.5 where nothing can be told, and its 95 % interval over people."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """As a report has it."""
        return {"value": self.value, "low": self.low, "high": self.high}


def detector_auc(
    clean: np.ndarray, protected: np.ndarray, people: Sequence[str], *, seed: int = 0, draws: int = DRAWS
) -> Area | None:
    """How well protected photos can be told from clean ones of other people, by features (N, F) of both.

    Row i of both is of `people[i]`.  A logistic regression on standardised features, with an L2
    penalty, learns on a half of the people and is judged on the other, both ways, for several random
    halvings; only scores of one and the same regression are compared.  None of fewer than four people.

    Raises:
        ConfigError: scikit-learn is not installed.
    """
    names, owner = np.unique(np.array(people, str), return_inverse=True)
    if len(names) < _MIN_PEOPLE:
        return None
    # How often, by owners (Q, Q), a protected photo scores above a clean one; and of how many pairs.
    above, tried = np.zeros((len(names), len(names))), np.zeros((len(names), len(names)))
    random = np.random.default_rng(seed)
    for _ in range(_SPLITS):
        for half in np.array_split(random.permutation(len(names)), 2):
            judged = np.isin(owner, half)
            weights = _regression(clean[~judged], protected[~judged])
            scores = (protected[judged] @ weights)[:, None] - (clean[judged] @ weights)[None]
            cell = (owner[judged][:, None], owner[judged][None])
            np.add.at(above, cell, (scores > 0) + 0.5 * (scores == 0))
            np.add.at(tried, cell, 1)
    value = float(above.sum() / tried.sum())
    if value in (0, 1):
        return Area(value, *unanimous(value, len(names)))
    areas = []
    for rows in draw(len(names), draws, seed):
        times = np.stack([np.bincount(row, minlength=len(names)) for row in rows]).astype(float)
        # Somebody who was drawn twice is not two people: both photos of one person are told apart more easily.
        again = times * (times - 1)
        sums = [((times @ of) * times).sum(axis=1) - again @ np.diag(of) for of in (above, tried)]
        areas.append(sums[0] / sums[1])
    low, high = np.quantile(np.concatenate(areas), (0.025, 0.975))
    return Area(value, float(low), float(high))


def _regression(clean: np.ndarray, protected: np.ndarray) -> np.ndarray:
    """Weights (F,) of features as they are; larger sums are more likely protected."""
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


# --- what the detector looks at ------------------------------------------------------------------------
def forensic_features(pixels: np.ndarray) -> np.ndarray:
    """What gives synthesis away in a face (H, W, 3) uint8 RGB, of 64 px or more: 200 numbers, float64.

    Of light and of colour: logarithms of the 63 energies of an 8x8 block DCT, the bands that JPEG
    works in (Frank et al. 2020 tell generated images by them); how often two neighbouring residuals
    meet (25 each, Fridrich and Kodovsky 2012, section II).  Of light: 24 rings of the power spectrum
    (Durall et al. 2020, equation 2).  Faces to be compared must have one size.

    Raises:
        ConfigError: the face is smaller.
    """
    if min(pixels.shape[:2]) < _MIN_SIDE:
        raise ConfigError(f"forensic features need {_MIN_SIDE} px: give larger faces")
    light, blue, red = np.moveaxis(pixels.astype(np.float64) @ _ycbcr(), 2, 0)
    bands = [_block_energies(light), (_block_energies(blue) + _block_energies(red)) / 2]
    meetings = [_meetings(light), (_meetings(blue) + _meetings(red)) / 2]
    parts = [(band, _FLAT) for band in (*bands, _rings(light))] + [(meeting, _RARE) for meeting in meetings]
    return np.concatenate([np.log(part + floor) for part, floor in parts])


def _ycbcr() -> np.ndarray:
    """RGB to light and colour (3, 3), as columns: ITU-T T.871, without the offsets."""
    return np.array([[0.299, -0.168736, 0.5], [0.587, -0.331264, -0.418688], [0.114, 0.5, -0.081312]])


@cache
def _cosines() -> np.ndarray:
    """The orthonormal DCT-II (8, 8)."""
    waves = np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(8)[None] + 1) / 16) / 2
    waves[0] /= np.sqrt(2)
    return waves


def _block_energies(plane: np.ndarray) -> np.ndarray:
    """Mean squares (63,) of the DCT coefficients of all whole 8x8 blocks, without the mean."""
    height, width = (side // 8 * 8 for side in plane.shape)
    blocks = plane[:height, :width].reshape(height // 8, 8, width // 8, 8)
    found = np.einsum("ui,aibj,vj->uvab", _cosines(), blocks, _cosines(), optimize=True)
    return np.square(found).mean(axis=(2, 3)).ravel()[1:]


def _meetings(plane: np.ndarray) -> np.ndarray:
    """Shares (25,) of pairs of neighbouring residuals, second differences along both axes, cut off at 2."""
    counts = np.zeros((2 * _CUT + 1) ** 2)
    for lines in (plane, plane.T):
        bends = (
            np.rint((lines[:, :-2] + lines[:, 2:]) / 2 - lines[:, 1:-1]).clip(-_CUT, _CUT).astype(int) + _CUT
        )
        counts += np.bincount((bends[:, :-1] * (2 * _CUT + 1) + bends[:, 1:]).ravel(), minlength=len(counts))
    return counts / counts.sum()


def _rings(plane: np.ndarray) -> np.ndarray:
    """Mean power (24,) at frequencies from 0 to half a cycle a pixel, of a plane faded out at its edges."""
    fade = np.hanning(plane.shape[0])[:, None] * np.hanning(plane.shape[1])[None]
    power = np.square(np.abs(np.fft.fft2((plane - plane.mean()) * fade))) / np.square(fade).sum()
    radius = np.hypot(np.fft.fftfreq(plane.shape[0])[:, None], np.fft.fftfreq(plane.shape[1])[None])
    ring = (radius * 2 * _BINS).astype(int).ravel()
    counts = np.bincount(ring, minlength=_BINS)[:_BINS]
    return np.bincount(ring, weights=power.ravel(), minlength=_BINS)[:_BINS] / counts

"""The statistics of a report: thresholds, rates with their uncertainty, distances of sets.

A similarity is larger where two faces are more alike, whatever the metric; a pair matches above a threshold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple, TypedDict

import numpy as np
from scipy.stats import binomtest

from engines.errors import ConfigError
from engines.models.registry import Metric

#: A threshold needs this many impostors above it, in expectation.
MIN_ABOVE = 10
DRAWS = 2000
#: Random halves of the sets that give the deviation of a kernel distance.
_HALVES = 100
_CONFIDENCE = 0.95
_TAIL = (1 - _CONFIDENCE) / 2
_NORMAL = 1.959964  # the normal distribution's quantile of 1 - _TAIL
_BLOCK = 1_000_000  # numbers drawn at once


def similarities(metric: Metric, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """All pairs of embeddings (N, D) and (M, D) -> (N, M) float64: cosine, or negative Euclidean distance."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if metric == "cosine":
        return _unit(a) @ _unit(b).T
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2 * a @ b.T
    return -np.sqrt(squares.clip(min=0))


def threshold_at(impostors: np.ndarray, far: float) -> float:
    """The smallest value that at most a share `far`, in [0, 1), of the similarities (N,) lies above.

    It is one of them, and equal ones are on one side of it: the share may come out lower than asked for.

    Raises:
        ConfigError: there are no similarities.
    """
    if not len(impostors):
        raise ConfigError("a threshold needs pairs of different people: give photos of two people or more")
    allowed = min(math.floor(far * len(impostors) + 1e-9), len(impostors) - 1)
    return float(np.sort(impostors)[::-1][allowed])


def cohort_threshold(scores: np.ndarray, far: float) -> float:
    """A person's own threshold, from the similarities (K,) of K >= 2 look-alikes to that person.

    It is the value that a share `far` of strangers like them would exceed, if their scores are normal: a
    score counts by its distance from the scores of people who look alike (adaptive score normalisation).
    """
    return float(np.mean(scores) + NormalDist().inv_cdf(1 - far) * np.std(scores, ddof=1))


class Calibration(NamedTuple):
    """A threshold, its pairs in words, and the share of them that lies above it."""

    value: float
    source: str
    achieved: float


def calibrate(real: np.ndarray, generated: np.ndarray, far: float) -> Calibration:
    """The threshold at a false accept rate, from similarities (N,) of different people.

    Pairs of two real photos are used if they place `MIN_ABOVE` or more above it (N x far), otherwise
    pairs of a real photo and a generated face.  If those place fewer too, the larger set is used,
    and `source` says that it is too small.

    Raises:
        ConfigError: both are empty.
    """
    kinds = {"pairs of real photos": real, "pairs of a real photo and a generated face": generated}
    needed = math.ceil(MIN_ABOVE / far - 1e-9)
    kind = next((kind for kind, pairs in kinds.items() if len(pairs) >= needed), "")
    short = "" if kind else f", too few for this rate: {needed:,} are needed"
    kind = kind or max(kinds, key=lambda kind: len(kinds[kind]))
    value = threshold_at(kinds[kind], far)
    return Calibration(value, f"{len(kinds[kind]):,} {kind}{short}", float(np.mean(kinds[kind] > value)))


class RateReport(TypedDict):
    """A `Rate` as reports have it."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    people: int


class Extremes(TypedDict):
    """The median of a measure over photos, and the worst."""

    median: float
    worst: float


@dataclass(frozen=True)
class Rate:
    """A share of `n` trials on `people`, with its 95 % interval for other people like them.

    `value`, `low` and `high` are None without trials.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    people: int

    def to_json(self) -> RateReport:
        """The rate as a report has it."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "people": self.people}


def rate(hits: Mapping[str, Sequence[bool]], draws: int = DRAWS, seed: int = 0) -> Rate:
    """The share of hits over all trials of all people, and its interval over people.

    One person's trials are alike, so people are drawn, with replacement and with all of their
    trials, and the interval goes from the 2.5th to the 97.5th percentile of the shares (Efron and
    Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3).  Where all people have the same
    share, this has no width; then people count as trials, each a hit by that share: Clopper and
    Pearson's exact interval for 0 and 1, Wilson's (1927) between.
    """
    tried = [np.asarray(trials, bool) for trials in hits.values() if len(trials)]
    if not tried:
        return Rate(None, None, None, 0, 0)
    hit, total = np.array([trials.sum() for trials in tried]), np.array([len(trials) for trials in tried])
    value, people = float(hit.sum() / total.sum()), len(tried)
    if (hit * total[0] == hit[0] * total).all():
        low, high = unanimous(value, people)
    else:
        shares = np.concatenate(
            [hit[rows].sum(axis=1) / total[rows].sum(axis=1) for rows in draw(people, draws, seed)]
        )
        low, high = np.quantile(shares, (_TAIL, 1 - _TAIL))
    return Rate(value, float(low), float(high), int(total.sum()), people)


def draw(people: int, draws: int = DRAWS, seed: int = 0) -> Iterator[np.ndarray]:
    """Blocks (B, people) of numbers below `people`, drawn with replacement: `draws` rows in all."""
    random, block = np.random.default_rng(seed), max(1, _BLOCK // people)
    for start in range(0, draws, block):
        yield random.integers(people, size=(min(block, draws - start), people))


def unanimous(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of `n` people with one and the same share, as in `rate`."""
    if share in (0, 1):
        exact = binomtest(round(n * share), n).proportion_ci(_CONFIDENCE, method="exact")
        return float(exact.low), float(exact.high)
    square = _NORMAL**2  # SciPy's form of Wilson's interval takes whole hits only
    centre = share + square / (2 * n)
    width = _NORMAL * math.sqrt(share * (1 - share) / n + square / (4 * n**2))
    return (centre - width) / (1 + square / n), (centre + width) / (1 + square / n)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """FID of features (N, D) and (M, D): Heusel et al. 2017, equation 6.

    It is far too large for few photos (its bias falls as 1/N), and comparable at equal N only.

    Raises:
        ConfigError: one of them has fewer than two rows.
    """
    _check_sets(a, b)
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    # Of centred features A, B the root of the covariances' product has the trace of A B^T's singular
    # values.  Triangles R with R^T R = A^T A do as well, and are no larger than (D, D).
    root_a, root_b = (_triangle(x - x.mean(axis=0)) / math.sqrt(len(x) - 1) for x in (a, b))
    means = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    traces = np.square(root_a).sum() + np.square(root_b).sum()
    common = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    return max(0.0, float(means + traces - 2 * common))


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.qr(x, mode="r"))


def kernel_distance(a: np.ndarray, b: np.ndarray, seed: int = 0) -> tuple[float, float | None]:
    """KID of features (N, D) and (M, D), and its standard deviation: Binkowski et al. 2018, section 3.

    The unbiased squared maximum mean discrepancy (Gretton et al. 2012, equation 3) with the kernel
    (x.y / D + 1)^3, of all rows at once: there are few.  It may be below zero.  The deviation is
    that of random halves, which equals the whole's where the sets differ (delete-half jackknife, Shao
    and Wu 1989) and is up to twice as large where they are alike; None below four rows.

    Raises:
        ConfigError: one of them has fewer than two rows.
    """
    _check_sets(a, b)
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    kernels = tuple((x @ y.T / a.shape[1] + 1) ** 3 for x, y in ((a, a), (b, b), (a, b)))
    value = _discrepancy(*kernels)
    if min(len(a), len(b)) < 4:
        return value, None
    random, estimates = np.random.default_rng(seed), []
    for _ in range(_HALVES):
        i, j = (random.permutation(len(x))[: len(x) // 2] for x in (a, b))
        parts = (rows for rows in ((i, i), (j, j), (i, j)))
        estimates.append(_discrepancy(*(k[np.ix_(*rows)] for k, rows in zip(kernels, parts, strict=True))))
    return value, float(np.std(estimates, ddof=1))


def _discrepancy(aa: np.ndarray, bb: np.ndarray, ab: np.ndarray) -> float:
    within = ((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (aa, bb))
    return float(sum(within) - 2 * ab.mean())


def median_worst(values: Iterable[float | None], *, high_is_good: bool = True) -> Extremes | None:
    """Median and worst of the values that were measured; None where there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {"median": float(np.median(known)), "worst": float(min(known) if high_is_good else max(known))}


def _check_sets(a: np.ndarray, b: np.ndarray) -> None:
    if min(len(a), len(b)) < 2:
        raise ConfigError("a distance of two sets needs two faces in each: give more photos")


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True).clip(min=1e-12)

"""Reported numbers, against other programs' and against what can be counted by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.stats import binomtest
from sklearn.metrics import roc_curve

from engines.errors import ConfigError
from engines.evaluation.score.statistics import (
    Rate,
    calibrate,
    cohort_threshold,
    frechet_distance,
    kernel_distance,
    median_worst,
    rate,
    similarities,
    threshold_at,
)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


# --- similarities and thresholds ----------------------------------------------------------------------
@pytest.mark.parametrize("far", [0.1, 0.01])
def test_a_cohorts_threshold_lets_the_asked_share_of_people_like_it_through(far: float) -> None:
    cohort, others = 0.4 + 0.1 * normal(20_000), 0.4 + 0.1 * normal(100_000, seed=1)
    assert np.mean(others > cohort_threshold(cohort, far)) == pytest.approx(far, rel=0.1)


def test_similarities_are_those_of_scipy() -> None:
    a, b = normal(5, 16), normal(7, 16, seed=1).astype(np.float32)
    assert np.allclose(similarities("cosine", a, b), 1 - cdist(a, b, "cosine"))
    assert np.allclose(similarities("euclidean", a, b), -cdist(a, b))
    assert np.allclose(np.diag(similarities("euclidean", 100 * a, 100 * a)), 0, atol=1e-4)


@pytest.mark.parametrize(
    ("far", "value"),
    [(0, 0.9), (0.05, 0.9), (0.1, 0.8), (0.29, 0.5), (0.3, 0.5), (0.5, 0.4), (0.9, 0.0), (0.999, 0.0)],
)
def test_threshold_by_hand(far: float, value: float) -> None:
    """Ten impostors, three of them equal: at 0.3 only two can be above, since the third has equals."""
    impostors = np.array([0.5, 0.9, 0.0, 0.5, 0.8, 0.5, 0.4, 0.3, 0.2, 0.1])
    assert threshold_at(impostors, far) == value
    assert (impostors > value).mean() <= far
    smaller = np.nextafter(value, -1)
    assert far == 0.999 or (impostors > smaller).mean() > far


@pytest.mark.parametrize("far", [0.1, 0.01, 0.001])
@pytest.mark.parametrize("digits", [1, 12])
def test_threshold_is_where_the_roc_curve_has_it(far: float, digits: int) -> None:
    impostors = normal(5000).round(digits)
    scores = np.concatenate((impostors, [10.0]))
    rates, _, points = roc_curve([0] * 5000 + [1], scores, drop_intermediate=False)
    accepted = points[rates <= far].min()  # here a match is a score of at least the point
    assert threshold_at(impostors, far) == impostors[impostors < accepted].max()


def test_threshold_needs_impostors() -> None:
    with pytest.raises(ConfigError, match="give photos of two people or more"):
        threshold_at(np.array([]), 0.1)


def test_calibration_takes_real_pairs_where_there_are_enough() -> None:
    real, generated = normal(1000), 3 + normal(100_000, seed=1)
    for far, used, words in (
        (0.1, real, "1,000 pairs of real photos"),
        (0.01, real, "1,000 pairs of real photos"),
        (0.001, generated, "100,000 pairs of a real photo and a generated face"),
    ):
        value, source, achieved = calibrate(real, generated, far)
        assert value == threshold_at(used, far)
        assert source == words
        assert achieved == pytest.approx(far)


def test_calibration_on_too_few_says_so() -> None:
    real, generated = normal(300), normal(999, seed=1)
    value, source, achieved = calibrate(real, generated, 0.01)
    assert source == "999 pairs of a real photo and a generated face, too few for this rate: 1,000 are needed"
    assert (value, achieved) == (threshold_at(generated, 0.01), 9 / 999)
    value, source, _ = calibrate(real, normal(5), 0.01)
    assert source == "300 pairs of real photos, too few for this rate: 1,000 are needed"
    assert value == threshold_at(real, 0.01)


# --- rates --------------------------------------------------------------------------------------------
def test_a_rate_is_the_share_of_all_trials() -> None:
    found = rate({"a": [True, False, True, True], "b": [False], "nobody": []})
    assert (found.value, found.n, found.people) == (0.6, 5, 2)
    assert found.to_json() == {"value": 0.6, "low": found.low, "high": found.high, "n": 5, "people": 2}


def test_two_people_as_all_their_draws_have_it() -> None:
    """aa, ab, ba and bb are equally likely: the 2.5th and 97.5th percentile are the extremes."""
    hits = {"a": [True, False, True, True], "b": [False, False]}
    shares = sorted(
        np.mean([*hits[first], *hits[second]]) for first, second in itertools.product("ab", repeat=2)
    )
    found = rate(hits)
    assert (found.low, found.high) == (shares[0], shares[-1]) == (0, 0.75)


def test_three_people_as_all_27_draws_have_it() -> None:
    hits = {"a": [True], "b": [True, False, False], "c": [False, False]}
    shares = [np.mean(np.concatenate([hits[p] for p in trio])) for trio in itertools.product("abc", repeat=3)]
    low, high = (np.quantile(shares, q, method="inverted_cdf") for q in (0.025, 0.975))
    found = rate(hits, draws=50_000)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """The rates of 40 people differ, and each one's trials are alike: drawing single trials misses that."""
    random = np.random.default_rng(0)
    inside = 0
    for trial in range(200):
        own = random.beta(0.5, 0.5, size=40)
        found = rate({str(i): random.random(6) < p for i, p in enumerate(own)}, draws=400, seed=trial)
        inside += found.low <= 0.5 <= found.high
    assert 0.9 <= inside / 200 <= 0.99


@pytest.mark.parametrize("people", [1, 2, 13, 50])
@pytest.mark.parametrize("hit", [True, False])
def test_where_all_agree_the_interval_is_exact_over_people(people: int, hit: bool) -> None:
    exact = binomtest(people if hit else 0, people).proportion_ci(0.95, method="exact")
    found = rate({str(i): [hit] * (i + 1) for i in range(people)})
    assert found.value == hit
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize("people", [1, 4, 30])
def test_where_all_have_the_same_share_the_interval_has_a_width(people: int) -> None:
    found = rate({str(i): [True, False] * (1 + i % 2) for i in range(people)})
    assert found.value == 0.5
    if people % 2 == 0:  # scipy takes whole hits only
        exact = binomtest(people // 2, people).proportion_ci(0.95, method="wilson")
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-6)
    assert 0 < found.low < 0.5 < found.high < 1
    assert found.low + found.high == pytest.approx(1)


def test_no_trials_give_no_rate() -> None:
    assert rate({}) == rate({"a": []}) == Rate(None, None, None, 0, 0)


def test_a_rate_is_the_same_twice_and_survives_thousands_of_people() -> None:
    hits = {str(i): [i % 3 == 0] for i in range(3000)}
    found = rate(hits)
    assert found == rate(hits)
    assert found != rate(hits, seed=1)
    spread = 1.96 * math.sqrt(found.value * (1 - found.value) / 3000)
    assert (found.low, found.high) == pytest.approx((found.value - spread, found.value + spread), abs=0.002)


# --- distances ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("n", "m"), [(200, 150), (10, 9), (40, 12)])
def test_frechet_distance_is_the_formula(n: int, m: int) -> None:
    a, b = normal(n, 24) @ normal(24, 24, seed=2), 0.5 + normal(m, 24, seed=1)
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(sqrtm(covariances[0] @ covariances[1] + 1e-13 * np.eye(24)))
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(sum(covariances) - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-3)


def test_frechet_distance_of_what_is_known() -> None:
    """The same set: 0.  Moved: the square of the move.  Twice as wide: the traces' own formula."""
    a = normal(50, 8)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a[::-1] + 3) == pytest.approx(8 * 9)
    wider = a.mean(0) + 2 * (a - a.mean(0))
    assert frechet_distance(a, wider) == pytest.approx(np.trace(np.cov(a, rowvar=False)))


def test_kernel_distance_is_the_sum_over_pairs() -> None:
    a, b = normal(6, 5), 0.3 + normal(4, 5, seed=1)

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (sum(x * y) / 5 + 1) ** 3

    own = [np.mean([kernel(x, y) for x, y in itertools.permutations(s, 2)]) for s in (a, b)]
    across = np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b)[0] == pytest.approx(sum(own) - 2 * across)


@pytest.mark.parametrize(("moved", "low", "high"), [(0.0, 1.0, 2.2), (1.0, 0.8, 1.2)])
def test_kernel_distance_has_no_bias_and_its_deviation_is_not_too_small(
    moved: float, low: float, high: float
) -> None:
    """Over 60 pairs of sets of 40; what a move of 1 amounts to is the mean over far larger sets."""
    measured = [
        kernel_distance(normal(40, 6, seed=2 * i), moved + normal(40, 6, seed=2 * i + 1)) for i in range(60)
    ]
    values, deviations = np.array(measured).T
    expected = kernel_distance(normal(1200, 6, seed=200), moved + normal(1200, 6, seed=201))[0]
    assert abs(values.mean() - expected) < 3 * values.std() / math.sqrt(60)
    assert low < np.median(deviations) / values.std() < high


def test_distances_need_two_rows_and_a_deviation_four() -> None:
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(ConfigError, match="two faces in each"):
            distance(normal(1, 4), normal(5, 4))
    assert kernel_distance(normal(3, 4), normal(5, 4))[1] is None


def test_median_and_worst() -> None:
    assert median_worst([3.0, None, 1.0, 2.5]) == {"median": 2.5, "worst": 1.0}
    assert median_worst([3.0, 1.0, 2.5], high_is_good=False) == {"median": 2.5, "worst": 3.0}
    assert median_worst([None]) is None

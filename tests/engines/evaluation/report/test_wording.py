"""Figures as words."""

from __future__ import annotations

import pytest

from engines.evaluation.report.wording import interval, number, percent, several, threshold_name
from tests.support.evaluation import rate


def test_numbers_counts_and_thresholds_have_their_words() -> None:
    assert (number(1.256), number(1.256, 1), number(None)) == ("1.26", "1.3", "–")
    assert (several(1, "person", "people"), several(2, "person", "people")) == ("1 person", "2 people")
    assert (threshold_name("own"), threshold_name("0.001")) == ("own threshold", "FAR 0.1 %")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (0.004, "0.4 %"),
        (0.0001, "<0.1 %"),
        (0.124, "12 %"),
        (0.996, "99.6 %"),
        (0.99999, ">99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_what_is_not_quite_none_or_all_never_reads_so(value: float | None, shown: str) -> None:
    assert percent(value) == shown


def test_a_rate_has_its_interval_and_none_is_a_dash() -> None:
    assert interval({"value": 0.12, "low": 0.034, "high": 0.3, "n": 9, "people": 3}) == "12 % (3–30)"
    assert interval(rate(None)) == interval(None) == "–"

"""Figures as words: a rate reads `12 % (3–30)`, its value and its 95 % interval; `–` stands for a missing
figure.
"""

from __future__ import annotations

from engines.evaluation.report.cells import NOTHING
from engines.evaluation.score.statistics import RateReport

#: Mode -> its name.
MODES = {"dodge": "dodging", "impersonate": "impersonation"}


def percent(value: float | None) -> str:
    """A share as `12 %`; a share just above none or below all never reads as 0 or 100 %."""
    return NOTHING if value is None else f"{_points(value)} %"


def interval(rate: RateReport | None) -> str:
    """A rate as `12 % (3–30)`."""
    if not rate or rate["value"] is None:
        return NOTHING
    low, high = rate["low"], rate["high"]
    if low is None or high is None:
        return percent(rate["value"])
    return f"{percent(rate['value'])} ({100 * low:.0f}–{100 * high:.0f})"


def number(value: float | None, digits: int = 2) -> str:
    """A figure with this number of digits after the point."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def threshold_name(key: str) -> str:
    """`own` or a false accept rate such as `0.01`, as a column's head."""
    return "own threshold" if key == "own" else f"FAR {percent(float(key))}"


def several(count: int, singular: str, plural: str) -> str:
    """A count with its noun."""
    return f"{count} {singular if count == 1 else plural}"


def _points(value: float) -> str:
    points = 100 * value
    if 0 < points < 1:
        return f"{points:.1f}" if points >= 0.05 else "<0.1"
    if 99 < points < 100:
        return f"{points:.1f}" if points < 99.95 else ">99.9"
    return f"{points:.0f}"

"""What the plots show, read from the drawing and not from its pixels."""

from __future__ import annotations

import copy
import sys
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engines.errors import ConfigError
from engines.evaluation.report import plots
from tests.support.evaluation import METHODS, sample_report
from tests.support.evaluation import rate as spread_rate


def rate(value: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": 33, "people": 7}


def test_every_error_bar_spans_the_interval_of_its_own_rate() -> None:
    rates = [rate(0.9, 0.8, 1.0), rate(0.5, 0.1, 0.7), rate(0.3, None, None), rate(0.0, 0.0, 0.2)]
    below, above = plots._errors(rates)
    assert below == pytest.approx([10, 40, 0, 0])
    assert above == pytest.approx([10, 20, 0, 20])


def test_bars_and_markers_reach_where_the_report_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drawn lines are those of the report: method by method, gallery by gallery."""
    drawn: list[Any] = []
    monkeypatch.setattr(plots, "_png", lambda figure: drawn.append(figure) or b"")
    report = sample_report()
    report["rows"] = [row for row in report["rows"] if row["mode"] == "dodge" and row["held_out"] == "all"]
    plots.plots(report)
    change, _, ranks = (figure.axes[0] for figure in drawn)
    moved = [row for row in report["rows"] if row["method"] != "clean"]
    assert spans(change, axis=1) == wanted([row["verification"]["own"] for row in moved])
    found = [row["identification"] for row in report["rows"] if row["identification"]]
    assert spans(ranks, axis=0) == wanted(
        [of[gallery]["rank1"] for of in found for gallery in ("clean", "mixed")]
    )
    assert {text.get_text() for text in change.texts} >= {
        method[1] for method in METHODS if method[0] != "clean"
    }


def spans(axes: Any, *, axis: int) -> list[tuple[float, float]]:
    """The ends of all error bars of a plot, in order."""
    bars = (
        bar
        for container in axes.containers
        if container.__class__.__name__ == "ErrorbarContainer"
        for bar in container[2]
    )
    ends = (segment[:, axis] for bar in bars for segment in bar.get_segments())
    return sorted((round(float(low), 6), round(float(high), 6)) for low, high in ends)


def wanted(rates: list[dict[str, Any]]) -> list[tuple[float, float]]:
    return sorted((round(100 * of["low"], 6), round(100 * of["high"], 6)) for of in rates)


def test_a_name_with_dollars_is_no_formula() -> None:
    report = sample_report()
    for row in report["rows"]:
        row["title"] = r"costs $\frac$ " + row["title"]
    assert len(plots.plots(report)) == 6


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"pip install 'clip2protect\[eval\]'"):
        plots.plots(sample_report())


def test_only_methods_that_no_other_beats_are_joined() -> None:
    def row(name: str, psnr: float, still: float) -> dict[str, Any]:
        own = {"own": rate(still, None, None)}
        return {"method": name, "verification": own, "naturalness": {"psnr": {"median": psnr, "worst": psnr}}}

    rows = [row("beaten", 30, 0.5), row("likest", 35, 0.4), row("safest", 20, 0.0), row("equal", 20, 0.1)]
    assert [one["method"] for one in plots._best(rows)] == ["likest", "safest"]


def test_every_plot_is_a_picture_of_the_figures() -> None:
    report = sample_report()
    made = plots.plots(report)
    assert len(made) == 6
    for data in made.values():
        image = Image.open(BytesIO(data))
        assert image.format == "PNG" and image.width >= 1000
        assert len(np.unique(np.asarray(image.convert("L")))) > 20
    other = copy.deepcopy(report)
    for row in other["rows"]:
        if row["method"] == "pgd":
            row["verification"]["own"] = spread_rate(0.9)
    assert plots.plots(other) != made

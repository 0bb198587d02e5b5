"""The sentences of a report."""

from __future__ import annotations

import copy

from engines.evaluation.report.summary import headline, limits
from tests.support.evaluation import rate, sample_report


def test_the_sentences_come_from_the_figures() -> None:
    report = sample_report()
    said = " ".join(headline(report))
    assert "6 % of the pairs" in said and "7 people" in said and "36 %" in said and "AUC 0.93" in said
    assert "26 %" in said  # after any of the transforms
    better = copy.deepcopy(report)
    for row in better["rows"]:
        if row["method"] == "balanced":
            row["verification"]["own"] = rate(0.0)
    assert headline(better)[0].startswith("None of the pairs")
    assert headline(better)[0] != headline(report)[0]


def test_the_limits_are_named() -> None:
    report = sample_report()
    said = " ".join(limits(report))
    for part in (
        "13 people",
        "3 recognisers",
        "1 photo was left out",
        "1 result failed",
        "1000 generated faces",
        "come from generated faces",
    ):
        assert part in said, part

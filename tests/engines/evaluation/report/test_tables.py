"""Tables: every figure is that of the report, and empty tables are left out."""

from __future__ import annotations

import copy

import pytest

from engines.evaluation.report import page, plots
from engines.evaluation.report.cells import Table
from engines.evaluation.report.schema import EvaluationReport
from engines.evaluation.report.summary import headline
from engines.evaluation.report.tables import tables
from tests.support.evaluation import METHODS, TRANSFORMS, sample_report


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    return sample_report()


def table(report: EvaluationReport, title: str) -> Table:
    (found,) = (t for t in tables(report) if t.title == title)
    return found


def cell(of: Table, method: str, column: str) -> str:
    (line,) = (row for row in of.rows if row[0] == method)
    return line[of.head.index(column)]


def test_every_figure_of_the_table_is_that_of_the_report(report: EvaluationReport) -> None:
    shown = table(report, "Pairs that still match, all recognisers")
    assert [row[0] for row in shown.rows] == [method[1] for method in METHODS]
    assert shown.head[3:7] == ("own threshold", "FAR 10 %", "FAR 1 %", "FAR 0.1 %")
    assert cell(shown, "ours, balanced", "own threshold").startswith("6 % (")
    assert cell(shown, "ours, balanced", "people") == "7" and shown.head[2] == "comparisons"
    after = table(report, "Pairs that match after a transform, dodging")
    assert cell(after, "ours, balanced", "social") == "20 %"
    assert cell(after, "ours, balanced", "worst").endswith("social")
    assert cell(after, "CLIP2Protect, the paper's schedule", "jpeg-75") == "–"


def test_strangers_and_links_are_shown(report: EvaluationReport) -> None:
    shown = table(report, "A stranger, or the owner's opposite, dodging")
    assert cell(shown, "ours, balanced", "rank against strangers").startswith("33 % (")
    assert cell(shown, "ours, balanced", "match among own look-alikes").startswith("3 % (")
    assert cell(shown, "ours, balanced", "the same after JPEG 75").startswith("6 % (")
    assert cell(shown, "untouched", "rank against strangers").startswith("78 %")
    links = table(report, "Protected photos of one person that are linked, dodging")
    assert [row[0] for row in links.rows] == ["ours, subtle", "ours, balanced", "ours, strong"]
    assert links.head == ("method", "own threshold", "FAR 1 %", "rank", "growing tracker")


def test_impersonation_shows_the_owner_beside_the_target(report: EvaluationReport) -> None:
    shown = table(report, "Target matched, and owner still matched beside it")
    assert shown.head[3:5] == ("target, own threshold", "owner, own threshold")
    assert cell(shown, "PGD, pixels", "owner, own threshold").startswith("42 %")


def test_tables_without_anything_to_say_are_left_out(report: EvaluationReport) -> None:
    bare = copy.deepcopy(report)
    bare["study"] = None
    bare["rows"] = [r for r in bare["rows"] if r["mode"] == "dodge" and r["held_out"] == "all"]
    for row in bare["rows"]:
        row |= {
            "identification": None,
            "transforms": {},
            "mean": None,
            "worst": None,
            "any": None,
            "groups": {},
        }
        row["adaptive"] = {"head": None, "detector_auc": None}
        row["failures"] = []
    titles = [t.title for t in tables(bare)]
    assert "Pairs that still match, all recognisers" in titles
    assert not [t for t in titles if "transform" in t or "found, " in t or t.startswith("By ") or "fail" in t]
    assert page.render(bare, {}, {}) and plots.plots(bare)


def test_one_photo_and_one_method_make_a_report(report: EvaluationReport) -> None:
    lone = copy.deepcopy(report)
    wanted = "clean", "dodge", "all"
    lone["rows"] = [r for r in lone["rows"] if (r["method"], r["mode"], r["held_out"]) == wanted]
    lone["rows"][0]["naturalness"]["kid"] = {"value": 0.1, "deviation": None}
    assert "0.1000" in page.render(lone, plots.plots(lone), {})
    assert headline(lone) == []


def test_the_sample_has_what_is_asked_of_it() -> None:
    assert len(METHODS) == 12 and len(TRANSFORMS) == 8

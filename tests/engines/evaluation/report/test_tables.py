"""The report as people get it: sentences, tables, plots, contact sheets, one page."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engines.evaluation.report import html, plots, sheets
from engines.evaluation.report.cells import Table, to_html, to_markdown
from engines.evaluation.report.summary import headline, limits
from engines.evaluation.report.tables import interval, percent, tables
from tests.support.evaluation import HOSTILE, METHODS, TRANSFORMS, rate, sample_report

VOID = {"meta", "img", "link", "br", "hr", "input"}


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return sample_report()


def table(report: dict[str, Any], title: str) -> Table:
    (found,) = (t for t in tables(report) if t.title == title)
    return found


def cell(of: Table, method: str, column: str) -> str:
    (line,) = (row for row in of.rows if row[0] == method)
    return line[of.head.index(column)]


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


def test_every_figure_of_the_table_is_that_of_the_report(report: dict[str, Any]) -> None:
    shown = table(report, "Pairs that still match, all recognisers")
    assert [row[0] for row in shown.rows] == [method[1] for method in METHODS]
    assert shown.head[3:7] == ("own threshold", "FAR 10 %", "FAR 1 %", "FAR 0.1 %")
    assert cell(shown, "ours, balanced", "own threshold").startswith("6 % (")
    assert cell(shown, "ours, balanced", "people") == "7" and shown.head[2] == "comparisons"
    after = table(report, "Pairs that match after a transform, dodging")
    assert cell(after, "ours, balanced", "social") == "20 %"
    assert cell(after, "ours, balanced", "worst").endswith("social")
    assert cell(after, "CLIP2Protect, the paper's schedule", "jpeg-75") == "–"


def test_impersonation_shows_the_owner_beside_the_target(report: dict[str, Any]) -> None:
    shown = table(report, "Target matched, and owner still matched beside it")
    assert shown.head[3:5] == ("target, own threshold", "owner, own threshold")
    assert cell(shown, "PGD, pixels", "owner, own threshold").startswith("42 %")


def test_tables_without_anything_to_say_are_left_out(report: dict[str, Any]) -> None:
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
    assert html.page(bare, {}, {}) and plots.plots(bare)


def test_one_photo_and_one_method_make_a_report(report: dict[str, Any]) -> None:
    lone = copy.deepcopy(report)
    wanted = "clean", "dodge", "all"
    lone["rows"] = [r for r in lone["rows"] if (r["method"], r["mode"], r["held_out"]) == wanted]
    lone["rows"][0]["naturalness"]["kid"] = {"value": 0.1, "deviation": None}
    assert "0.1000" in html.page(lone, plots.plots(lone), {})
    assert headline(lone) == []


def test_markdown_keeps_its_columns_whatever_a_name_holds(report: dict[str, Any]) -> None:
    for one in tables(report):
        lines = [line for line in to_markdown(one).splitlines() if line.startswith("|")]
        widths = {len(re.split(r"(?<!\\)\|", line)) for line in lines}
        assert len(lines) == len(one.rows) + 2 and len(widths) == 1
        assert "<script>" not in to_markdown(one)


def test_the_sentences_come_from_the_figures(report: dict[str, Any]) -> None:
    said = " ".join(headline(report))
    assert "6 % of the pairs" in said and "7 people" in said and "36 %" in said and "AUC 0.93" in said
    assert "26 %" in said  # after any of the transforms
    better = copy.deepcopy(report)
    for row in better["rows"]:
        if row["method"] == "balanced":
            row["verification"]["own"] = rate(0.0)
    assert headline(better)[0].startswith("None of the pairs")
    assert headline(better)[0] != headline(report)[0]


def test_what_it_does_not_show_is_said(report: dict[str, Any]) -> None:
    said = " ".join(limits(report))
    for part in (
        "13 people",
        "3 recognisers",
        "1 photo was left out",
        "1 result failed",
        "1000 faces",
        "generated",
    ):
        assert part in said, part


class Reader(HTMLParser):
    """Tags that are open, and whatever a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "srcset", "action"):
                (self.links if (value or "").startswith("#") else self.asked).append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(report: dict[str, Any]) -> str:
    face = np.full((90, 70, 3), 120, np.uint8)
    sheet = sheets.contact_sheet([("PGD", [face, None])], [HOSTILE, "b.jpg"])
    return html.page(report, plots.plots(report), {f"dodging {HOSTILE}": sheet})


def test_the_page_is_whole_and_asks_for_nothing(page: str) -> None:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert all(asked.startswith("data:image/") for asked in reader.asked) and len(reader.asked) > 3
    assert {f"#{name}" for name in reader.ids} == set(reader.links)
    assert len(reader.ids) == len(set(reader.ids))
    assert "script" not in reader.tags and "default-src 'none'" in page
    assert "@import" not in page and "url(" not in page


def test_names_of_files_are_shown_and_never_read_as_html(page: str) -> None:
    assert "<script" not in page and "<b>ended" not in page
    assert "&lt;script&gt;" in page


def test_the_same_report_makes_the_same_page(report: dict[str, Any]) -> None:
    assert html.page(report, plots.plots(report), {}) == html.page(report, plots.plots(report), {})


def test_tables_say_what_their_heads_are_for(report: dict[str, Any]) -> None:
    made = to_html(table(report, "Thresholds"))
    assert made.count('<th scope="col">') == 5 and '<th scope="row">' in made and "<caption>" in made


def test_every_plot_is_a_picture_of_the_figures(report: dict[str, Any]) -> None:
    made = plots.plots(report)
    assert len(made) == 6
    for data in made.values():
        image = Image.open(BytesIO(data))
        assert image.format == "PNG" and image.width >= 1000
        assert len(np.unique(np.asarray(image.convert("L")))) > 20
    other = copy.deepcopy(report)
    for row in other["rows"]:
        if row["method"] == "pgd":
            row["verification"]["own"] = rate(0.9)
    assert plots.plots(other) != made


def test_a_contact_sheet_has_a_cell_for_every_face_and_a_hatched_one_where_it_is_missing() -> None:
    red, tall = np.zeros((50, 50, 3), np.uint8), np.zeros((200, 100, 3), np.uint8)
    red[..., 0], tall[..., 1] = 255, 255
    data = sheets.contact_sheet([("one", [red, None]), ("two", [tall, red])], ["a", "b"])
    image = np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(int)
    is_red = (image[..., 0] > 200) & (image[..., 1:].max(axis=2) < 60)
    is_green = (image[..., 1] > 200) & (image[..., ::2].max(axis=2) < 60)
    assert is_red.sum() == pytest.approx(2 * 160**2, rel=0.03)
    assert is_green.sum() == pytest.approx(160 * 80, rel=0.05)


def test_a_sheet_has_no_more_columns_than_one_can_look_at() -> None:
    face = np.zeros((8, 8, 3), np.uint8)
    few, many = (sheets.contact_sheet([("m", [face] * n)], ["x"] * n) for n in (sheets.MAX_COLUMNS, 200))
    assert Image.open(BytesIO(few)).size == Image.open(BytesIO(many)).size


def test_the_sample_has_what_is_asked_of_it() -> None:
    assert len(METHODS) == 12 and len(TRANSFORMS) == 8

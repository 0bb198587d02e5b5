"""The page: it is whole, loads nothing and runs nothing; a browser shows all of it, on a phone too."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from engines.evaluation.report import page, plots, sheets
from engines.evaluation.report.schema import EvaluationReport
from extension.scripts.browser import find_chromium
from tests.support.evaluation import HOSTILE, sample_report

VOID = {"meta", "img", "link", "br", "hr", "input"}


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    return sample_report()


@pytest.fixture(scope="module")
def drawn(report: EvaluationReport) -> dict[str, bytes]:
    return plots.plots(report)


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
def html(report: EvaluationReport, drawn: dict[str, bytes]) -> str:
    face = np.full((90, 70, 3), 120, np.uint8)
    sheet = sheets.contact_sheet([("PGD", [face, None])], [HOSTILE, "b.jpg"])
    return page.render(report, drawn, {f"dodging {HOSTILE}": sheet})


def test_the_page_is_whole_and_asks_for_nothing(html: str) -> None:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    assert all(asked.startswith("data:image/") for asked in reader.asked) and len(reader.asked) > 3
    assert {f"#{name}" for name in reader.ids} == set(reader.links)
    assert len(reader.ids) == len(set(reader.ids))
    assert "script" not in reader.tags and "default-src 'none'" in html
    assert "@import" not in html and "url(" not in html


def test_names_of_files_are_shown_and_never_read_as_html(html: str) -> None:
    assert "<script" not in html and "<b>ended" not in html
    assert "&lt;script&gt;" in html


def test_the_same_report_makes_the_same_page(report: EvaluationReport, drawn: dict[str, bytes]) -> None:
    assert page.render(report, plots.plots(report), {}) == page.render(report, drawn, {})


def test_sentences_keep_their_percentages_whole() -> None:
    made = page.render(sample_report(), {}, {})
    said = made[made.index('class="headline"') : made.index("</ul>", made.index('class="headline"'))]
    assert "6&nbsp;%" in said and " %" not in said


@pytest.fixture(scope="module")
def file(report: EvaluationReport, drawn: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    sheet = sheets.contact_sheet([("balanced", [np.zeros((9, 9, 3), np.uint8)] * 12)], [HOSTILE] * 12)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page.render(report, drawn, {HOSTILE: sheet}), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


def test_a_browser_shows_all_pictures_and_asks_for_nothing_else(browser: Browser, file: Path) -> None:
    tab = browser.new_page()
    asked, complaints = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("dialog", lambda dialog: complaints.append(dialog.message))
    tab.goto(file.as_uri())
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    widths = tab.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(widths) == 7 and min(widths) >= 1000
    assert tab.evaluate("[...document.images].every(image => image.alt.length > 10)")
    assert tab.get_by_text(HOSTILE, exact=True).count() >= 2  # as text
    tab.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_never_wider_than_the_window(browser: Browser, file: Path, width: int) -> None:
    tab = browser.new_page(viewport={"width": width, "height": 800})
    tab.goto(file.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    right = "element => element.getBoundingClientRect().right"
    captions = f"[...document.querySelectorAll('caption > *')].map({right})"
    assert max(tab.evaluate(captions)) <= width  # wide tables scroll, what they are called does not
    tab.close()


def test_it_is_dark_where_that_is_wanted(browser: Browser, file: Path) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        tab = browser.new_page(color_scheme=scheme)
        tab.goto(file.as_uri())
        grounds.append(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        tab.close()
    light, dark = (sum(int(v) for v in ground[4:-1].split(",")) for ground in grounds)
    assert light > 700 and dark < 120

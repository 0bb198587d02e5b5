"""The page in a browser: nothing is asked for, nothing runs, and it fits a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from engines.evaluation.report import html, plots, sheets
from engines.evaluation.report.cells import Table, to_html
from tests.browser.conftest import find_chromium
from tests.support.evaluation import HOSTILE, sample_report


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = sample_report()
    sheet = sheets.contact_sheet([("balanced", [np.zeros((9, 9, 3), np.uint8)] * 12)], [HOSTILE] * 12)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html.page(report, plots.plots(report), {HOSTILE: sheet}), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


def test_a_browser_shows_all_pictures_and_asks_for_nothing_else(browser: Browser, file: Path) -> None:
    page = browser.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(file.as_uri())
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(widths) == 7 and min(widths) >= 1000
    assert page.evaluate("[...document.images].every(image => image.alt.length > 10)")
    assert page.get_by_text(HOSTILE, exact=True).count() >= 2  # as text
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_never_wider_than_the_window(browser: Browser, file: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    right = "element => element.getBoundingClientRect().right"
    captions = f"[...document.querySelectorAll('caption > *')].map({right})"
    assert max(page.evaluate(captions)) <= width  # wide tables scroll, what they are called does not
    page.close()


def test_it_is_dark_where_that_is_wanted(browser: Browser, file: Path) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(file.as_uri())
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    light, dark = (sum(int(v) for v in ground[4:-1].split(",")) for ground in grounds)
    assert light > 700 and dark < 120


def test_sentences_keep_their_percentages_whole() -> None:
    made = html.page(sample_report(), {}, {})
    said = made[made.index('class="said"') : made.index("</ul>", made.index('class="said"'))]
    assert "6&nbsp;%" in said and " %" not in said


def test_a_figure_below_nought_has_its_worst_set_small_too() -> None:
    assert "<td>-0.37<small> (-0.77)</small></td>" in to_html(
        Table("t", "", ("m", "margin"), (("a", "-0.37 (-0.77)"),))
    )

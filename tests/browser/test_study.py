"""The page of a study: choosing by mouse, keys and touch, going on after a reload, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.server.study.test_site import Process, make_report


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return make_report(tmp_path / "report")


@pytest.fixture
def study(report: Path) -> Iterator[Process]:
    process = Process(report)
    yield process
    process.process.kill()
    process.process.communicate()


@pytest.fixture
def page(chromium: Browser, study: Process) -> Iterator[Page]:
    """A page behind the link, that complains of nothing and asks nobody else."""
    context = chromium.new_context(viewport={"width": 900, "height": 700})
    page = context.new_page()
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on(
        "console", lambda message: heard.append(message.text) if "Content Security" in message.text else None
    )
    page.on("request", lambda request: heard.append(request.url) if not own(request.url, study) else None)
    page.goto(link(study))
    yield page
    context.close()
    assert heard == []


def own(url: str, study: Process) -> bool:
    return url.startswith(
        (f"http://127.0.0.1:{study.port}/", f"blob:http://127.0.0.1:{study.port}/", "data:")
    )


def link(study: Process) -> str:
    return f"http://127.0.0.1:{study.port}/#{study.token}"


def begin(page: Page) -> None:
    page.get_by_role("button", name="Begin").click()
    ready(page, 1)


def ready(page: Page, number: int) -> None:
    """The trial of this number can be answered."""
    expect(page.locator("#count")).to_have_text(f"{number} of 4")
    expect(page.locator("#trial.busy, #trial.saving")).to_have_count(0)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def kept(report: Path) -> list[dict[str, Any]]:
    path = report / "study.json"
    return json.loads(path.read_text()) if path.exists() else []


#: Whether the second pixel of the second row is green: so the report's pictures mark the right option.
GREEN = """image => {
  const context = document.createElement('canvas').getContext('2d');
  context.drawImage(image, 0, 0);
  return context.getImageData(2, 2, 1, 1).data[1] > 100;
}"""


def test_choosing_by_mouse_and_keys_to_the_end(page: Page, report: Path) -> None:
    begin(page)
    assert page.url.endswith("/"), "the key does not stay in the address"
    left, right = (page.get_by_role("button", name=f"The {side} one") for side in ("left", "right"))
    keys = page.keyboard
    ways = [
        left.click,
        lambda: keys.press("2"),
        lambda: keys.press("ArrowLeft"),
        lambda: right.press("Enter"),
    ]
    sides, greens = [0, 1, 0, 1], []
    for number, way in enumerate(ways, start=1):
        ready(page, number)
        changed = page.locator("#shown").is_hidden()
        question = "Which of the two was changed?" if changed else "Which of the two is the person above?"
        expect(page.get_by_role("heading", name=question, exact=True)).to_be_visible()
        image = page.locator("#options img").nth(sides[number - 1])
        greens.append(image.evaluate(GREEN))
        if number == 2:
            page.get_by_label("I know this person").check()
        way()
    expect(page.get_by_role("heading", name="Thank you!")).to_be_focused()
    assert [choice["correct"] for choice in kept(report)] == greens
    assert [choice["familiar"] for choice in kept(report)] == [False, True, False, False]
    assert all(0 <= choice["milliseconds"] < 60_000 for choice in kept(report))
    page.get_by_role("button", name="Next participant").click()
    begin(page)
    page.keyboard.press("1")
    ready(page, 2)
    assert len({choice["participant"] for choice in kept(report)}) == 2


def test_a_reload_goes_on_where_it_was(page: Page, report: Path) -> None:
    begin(page)
    page.keyboard.press("1")
    ready(page, 2)
    page.reload()
    ready(page, 2)
    page.keyboard.press("1")
    ready(page, 3)
    assert len({choice["participant"] for choice in kept(report)}) == 1 and len(kept(report)) == 2


def test_a_page_without_the_key_says_where_to_find_it(chromium: Browser, study: Process) -> None:
    context = chromium.new_context()
    page = context.new_page()
    for address in ("", "#wrong"):
        page.goto(f"http://127.0.0.1:{study.port}/{address}")
        if address:
            page.reload()
            page.get_by_role("button", name="Begin").click()
        expect(page.get_by_role("alert")).to_contain_text("Open the link that the terminal shows")
    context.close()


def test_a_choice_that_gets_lost_is_asked_for_again(page: Page, study: Process, report: Path) -> None:
    begin(page)
    page.route("**/choices", lambda route: route.abort())
    page.keyboard.press("1")
    expect(page.get_by_role("alert")).to_contain_text("The study does not answer")
    assert kept(report) == []
    page.unroute("**/choices")
    page.get_by_role("button", name="Try again").click()
    ready(page, 2)
    assert len(kept(report)) == 1


def test_keys_that_belong_to_the_browser_choose_nothing(page: Page, report: Path) -> None:
    begin(page)
    page.keyboard.press("Alt+ArrowUp")
    page.keyboard.press("Control+1")
    page.keyboard.press("3")
    ready(page, 1)
    assert kept(report) == []


SIZES = ((390, 844), (844, 390), (1100, 700), (320, 568))


def test_a_trial_fits_into_the_window(page: Page) -> None:
    begin(page)
    for number in range(1, 5):
        ready(page, number)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            for what in ("#options", "#known", "#question"):
                box = page.locator(what).bounding_box()
                assert box["x"] >= 0 and box["x"] + box["width"] <= width, (what, width)
                assert box["y"] >= 0 and box["y"] + box["height"] <= height, (what, height)
            assert page.locator("#left img").bounding_box()["height"] > 60
        page.keyboard.press("1")

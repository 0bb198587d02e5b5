"""Many photos on the page: one file with all results, cancel and remove all, and the way to other parts."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.live import Live, wait_for

from .conftest import RECOGNISERS, Tab, Visit, face, finish, picture, script, state_is

COLORS = ["red", "green", "blue"]


def test_all_results_come_in_one_file(tab: Tab) -> None:
    photos = [
        picture(color, name) for color, name in zip(COLORS, ["Ä b.webp", "c.png", "c.webp"], strict=True)
    ]
    expect(tab.page.locator("#all")).to_be_hidden()
    tab.send(*photos)
    expect(tab.page.locator("#all-count")).to_have_text("3 of 3 photos are finished")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download all").click()
    assert download.value.suggested_filename == "protected-photos.zip"
    with zipfile.ZipFile(Path(download.value.path())) as archive:
        assert archive.testzip() is None
        names = ["Ä b-protected.webp", "c-protected.webp", "c-protected (2).webp"]
        assert archive.namelist() == names
        for name, photo in zip(names, photos, strict=True):
            assert archive.read(name) == photo["buffer"]


def test_all_are_cancelled_and_removed(tab: Tab) -> None:
    state_is(tab.send(picture()), "Protected")
    tab.send(*[script(f"slow 120 {i}", f"{i}.png") for i in range(12)])
    tab.until(1, "running")
    tab.page.get_by_role("button", name="Cancel all").click()
    expect(tab.page.locator("#all-count")).to_have_text("13 of 13 photos are finished")
    for name in ("0.png", "11.png"):
        state_is(tab.job(name), "Cancelled")
    assert {job.state for job in tab.at_server()} == {"done", "cancelled"}
    expect(tab.page.locator("#all-cancel")).to_be_hidden()
    tab.page.get_by_role("button", name="Remove finished").click()
    expect(tab.jobs).to_have_count(0)
    expect(tab.page.locator("#all")).to_be_hidden()
    wait_for(lambda: tab.at_server()[0].expired)


@pytest.mark.parametrize("width", [900, 390])
def test_the_other_parts_are_reached_from_below_many_photos(live: Live, visit: Visit, width: int) -> None:
    tab = visit(live, viewport={"width": width, "height": 760}).open()
    tab.send(*[picture(color, f"{color}.webp") for color in COLORS])
    expect(tab.page.locator("#all-count")).to_have_text("3 of 3 photos are finished")  # and grow no more
    tab.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    for link, place in (("Teach it my face", "#owner"), ("Who is paired", "#paired")):
        tab.page.get_by_role("navigation").get_by_role("link", name=link).click()
        summary = tab.page.locator(f"{place} summary")
        expect(summary).to_be_in_viewport()
        expect(summary).to_be_focused()
        assert tab.page.evaluate(f"document.querySelector('{place}').open")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [900, 390])
def test_the_verdict_stands_above_a_picture_that_opens_on_the_face(
    live: Live, visit: Visit, width: int
) -> None:
    tab = visit(live, viewport={"width": width, "height": 760}).open()
    boxes = [[10, 10, 40, 45], [120, 70, 160, 110]]
    place = finish(tab, [face(box, RECOGNISERS) for box in boxes])
    expect(place.locator(".verdict")).to_have_text(
        "2 faces protected. Before protection, 4 of 6 recognisers matched. After it, 2 of 6."
    )
    picture_ = place.locator(".photos")
    verdict, frame = place.locator(".verdict").bounding_box(), picture_.bounding_box()
    assert verdict and frame and verdict["y"] + verdict["height"] <= frame["y"]
    zoom = "frame => Number(frame.style.getPropertyValue('--zoom'))"
    button = place.get_by_role("button", name="Face ")
    expect(button).to_have_text("Face 1 of 2")
    first = picture_.evaluate(zoom)
    assert first == pytest.approx(160 * 0.5 / 35)
    button.click()
    expect(button).to_have_text("Face 2 of 2")
    assert picture_.evaluate(zoom) == 2
    place.get_by_role("button", name="Whole photo").click()
    assert picture_.evaluate(zoom) == 1
    picture_.focus()
    tab.page.keyboard.press("+")
    assert picture_.evaluate(zoom) == 1.5
    tab.page.mouse.wheel(0, -100)  # the pointer is elsewhere
    picture_.hover()
    tab.page.mouse.wheel(0, -200)
    wait_for(lambda: picture_.evaluate(zoom) > 1.6)

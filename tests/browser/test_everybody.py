"""The page is for everybody: by keyboard, by ear, on a phone, in the dark, without motion."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, expect

from tests.support.chooser import file_chooser
from tests.support.live import Live

from .conftest import RECOGNISERS, Tab, Visit, face, finish, picture, script, state_is, tab_to


def test_by_keyboard_alone(live: Live, visit: Visit, tmp_path: Path) -> None:
    photo = tmp_path / "portrait.webp"
    photo.write_bytes(picture()["buffer"])
    tab = visit(live).open(code="")
    page, keyboard = tab.page, tab.page.keyboard
    keyboard.type(live.server.code)
    keyboard.press("Enter")
    expect(page.get_by_label("Look")).to_be_focused()
    keyboard.type("My own")
    expect(page.get_by_label("Look")).to_have_value("(own)")
    tab_to(page, page.get_by_label("in your own words"))
    keyboard.type("red lips")
    tab_to(page, page.get_by_label("Strength"))
    keyboard.type("Str")
    expect(page.get_by_label("Strength")).to_have_value("strong")
    tab_to(page, page.locator("#photos"))
    with file_chooser(page) as chooser:
        keyboard.press("Space")
    chooser.value.set_files(photo)
    place = tab.job("portrait.webp")
    state_is(place, "Protected")
    tab_to(page, place.get_by_role("slider"))
    keyboard.press("ArrowRight")
    expect(place.get_by_role("slider")).to_have_value("51")
    tab_to(page, place.get_by_role("link", name="Download"))
    with page.expect_download() as download:
        keyboard.press("Enter")
    assert download.value.suggested_filename == "portrait-protected.webp"
    tab_to(page, place.get_by_role("button", name="Remove"))
    keyboard.press("Enter")
    expect(tab.jobs).to_have_count(0)
    assert [(job.settings["prompt"], job.settings["level"]) for job in tab.at_server()] == [
        ("red lips", "strong")
    ]
    tab_to(page, page.locator("#paired summary"))
    keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Revoke test"))
    keyboard.press("Enter")
    expect(page.locator("#clients li")).to_have_count(1)
    tab_to(page, page.get_by_role("button", name="Unpair this browser"))
    keyboard.press("Enter")
    expect(page.get_by_label("Code")).to_be_focused()


def test_a_photo_can_be_cancelled_by_keyboard(tab: Tab) -> None:
    place = tab.send(script("slow 120"))
    state_is(place, "Working")
    tab_to(tab.page, place.get_by_role("button", name="Cancel photo.png"))
    tab.page.keyboard.press("Space")
    state_is(place, "Cancelled")
    expect(place.get_by_role("button", name="Try again: photo.png")).to_be_focused()


def test_everything_has_a_name_and_shows_its_focus(tab: Tab) -> None:
    tab.page.get_by_text("Your face", exact=True).click()
    tab.page.set_input_files("#owner-files", [script("me")])
    expect(tab.page.locator("#owner li")).to_have_count(1)
    finish(tab, [face([10, 10, 90, 100], RECOGNISERS)])
    tab.page.get_by_text("Paired browsers and programs").click()
    expect(tab.page.locator("#clients li")).to_have_count(2)
    controls = tab.page.locator("input, select, button, a, summary, progress").filter(visible=True).all()
    assert len(controls) > 10
    for control in controls:
        expect(control).to_have_accessible_name(re.compile(r"\w{3}"))
    focusable = tab.page.locator("input, select, button, a, summary").filter(visible=True).all()
    tab.page.get_by_label("Look").focus()
    tab.page.keyboard.press("Shift+Tab")
    for control in focusable:
        tab_to(tab.page, control)
        framed = (
            "element => getComputedStyle("
            "element.id === 'photos' ? element.parentElement : element).outlineStyle"
        )
        assert control.evaluate(framed) == "solid", control


def test_news_is_told_to_those_who_do_not_see(tab: Tab) -> None:
    news = tab.page.locator("#news")
    expect(news).to_have_attribute("aria-live", "polite")
    state_is(tab.send(picture()), "Protected")
    expect(news).to_have_text("photo.webp is protected.")


def fits(tab: Tab) -> bool:
    return tab.page.evaluate(
        """() => {
          const { scrollWidth, clientWidth } = document.documentElement;
          const ends = [...document.querySelectorAll('main *')].map((e) => e.getBoundingClientRect().right);
          return Math.max(scrollWidth, ...ends) <= clientWidth;
        }"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_the_light_and_in_the_dark(live: Live, visit: Visit, scheme: str) -> None:
    phone = {"width": 360, "height": 740}
    tab = visit(live, viewport=phone, color_scheme=scheme, is_mobile=True, has_touch=True).open(code="")
    assert fits(tab)
    tab.page.get_by_label("Code").fill(live.server.code)
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#work")).to_be_visible()
    tab.page.get_by_label("Look").select_option(label="My own words…")
    tab.page.get_by_label("in your own words").fill("wide " * 50)
    assert fits(tab)
    bad = script("no face", f"{'long' * 30}.png")
    tab.page.get_by_text("Your face", exact=True).click()
    tab.page.set_input_files("#owner-files", [bad, script("me")])
    expect(tab.page.locator("#owner-news")).to_have_text("1 of 2 photos were added.")
    assert fits(tab)
    tab.send(bad)
    expect(tab.jobs.filter(has_text="No face found")).to_have_count(1)
    names = {"a-recogniser-with-quite-a-name": RECOGNISERS["beta-2"], **RECOGNISERS}
    finish(tab, [face([10, 10, 90, 100], names)])
    tab.page.set_input_files("#owner-files", [bad])  # the worker is held: it is looked at for good
    expect(tab.page.locator("#owner-news")).to_contain_text("Looking at long")
    tab.page.get_by_text("What these numbers mean").filter(visible=True).click()
    wide = FilePayload(name="wide.webp", mimeType="image/webp", buffer=picture()["buffer"])
    tab.page.set_input_files(
        "#photos", [FilePayload(name="n" * 100, mimeType="text/plain", buffer=b""), wide]
    )
    tab.page.get_by_text("Paired browsers and programs").click()
    expect(tab.page.locator("#clients li")).to_have_count(2)
    assert fits(tab)
    tab.forgive("422")
    back = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", back))) > 3 * 128
    assert light == (scheme == "light")


@pytest.mark.parametrize(("motion", "still"), [("reduce", True), ("no-preference", False)])
def test_nothing_moves_for_those_who_do_not_want_it(
    live: Live, visit: Visit, motion: str, still: bool
) -> None:
    tab = visit(live, reduced_motion=motion).open()
    moving = tab.page.evaluate(
        """() => [...document.querySelectorAll('*')].some((element) => {
          const { transitionDuration, animationName } = getComputedStyle(element);
          return transitionDuration !== '0s' || animationName !== 'none';
        })"""
    )
    assert moving != still

"""The dialog without a mouse, from the first key to the last."""

from __future__ import annotations

import pytest
from playwright.sync_api import Frame, Page

from tests.extension.conftest import Photo, Serve, Surf
from tests.support.live import wait_for


@pytest.fixture
def surf(serve: Serve) -> Surf:
    """Photos wait for a press: what is chosen before it counts."""
    return serve(begin=False)


def pick(surf: Surf, *photos: Photo) -> tuple[Page, Frame]:
    page = surf.open("input.html")
    page.set_input_files("#many", [photo.path for photo in photos])
    dialog = surf.dialog(page)
    dialog.wait_for_selector("#start:enabled")
    dialog.wait_for_selector("html[data-armed=true]")
    return page, dialog


def focused(dialog: Frame) -> str:
    return dialog.evaluate(
        "document.activeElement.id || document.activeElement.className || document.activeElement.type"
    )


def tab_to(page: Page, dialog: Frame, wanted: str, key: str = "Tab") -> list[str]:
    """Go on until something has the focus; what had it on the way."""
    way = [focused(dialog)]
    while way[-1] != wanted:
        assert len(way) < 40, way
        page.keyboard.press(key)
        way.append(focused(dialog))
    return way


def test_a_photo_is_protected_and_handed_over(surf: Surf) -> None:
    photo = surf.photo()
    page, dialog = pick(surf, photo)
    assert tab_to(page, dialog, "start") == [
        "title", "cancel", "look", "level", "faces", "skip", "original plain", "start"
    ]  # fmt: skip
    page.keyboard.press("Enter")
    dialog.wait_for_selector("#use:enabled")
    assert focused(dialog) == "use"
    page.keyboard.press("Enter")
    surf.gets(page, ("me.png", "image/png", photo.protected))


def test_the_slider_moves_by_keys_and_says_where_it_is(surf: Surf) -> None:
    page, dialog = pick(surf, surf.photo())
    tab_to(page, dialog, "start")
    page.keyboard.press("Enter")
    dialog.wait_for_selector("#use:enabled")
    slider = dialog.get_by_role("slider", name="Before and after: me.png")
    tab_to(page, dialog, "range", "Shift+Tab")
    for key, value in (("ArrowRight", "51"), ("Home", "0"), ("End", "100"), ("ArrowLeft", "99")):
        page.keyboard.press(key)
        assert slider.input_value() == value
        assert slider.get_attribute("aria-valuetext") == f"{value} % before"


def test_the_original_needs_a_second_key_and_the_first_offer_is_no(surf: Surf) -> None:
    photo = surf.photo()
    page, dialog = pick(surf, photo)
    tab_to(page, dialog, "original plain")
    page.keyboard.press("Enter")
    assert focused(dialog) == "no"
    page.keyboard.press("Enter")
    assert focused(dialog) == "original plain"
    page.keyboard.press("Enter")
    tab_to(page, dialog, "yes danger", "Shift+Tab")
    page.keyboard.press("Enter")
    tab_to(page, dialog, "use")
    page.keyboard.press("Enter")
    surf.gets(page, ("me.png", "image/png", photo.data))


def test_the_focus_stays_in_the_dialog(surf: Surf) -> None:
    page, _ = pick(surf, surf.photo())
    seen = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id"))
    assert "one" not in seen and "many" not in seen, "nothing of the page is reached while it is open"


def test_esc_gives_up(surf: Surf) -> None:
    page, _ = pick(surf, surf.photo())
    page.keyboard.press("Escape")
    wait_for(lambda: page.evaluate("0") == 0 and not surf.dialogs(page))
    surf.gets_nothing(page)

"""The settings' choice for every upload."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.extension.conftest import HOST, Surf
from tests.support.live import wait_for

from .conftest import OPTIONS, Visit


def test_look_and_strength_are_kept(surf: Surf, visit: Visit) -> None:
    page = visit(OPTIONS)
    page.get_by_label("Look", exact=True).select_option("goth")
    card = page.get_by_role("region", name="Look and strength")
    card.get_by_label("Strength", exact=True).select_option("strong")
    wait_for(
        lambda: surf.stored("local", "defaults") == {"prompt": "goth", "level": "strong", "faces": "all"}
    )
    page.get_by_label("Look", exact=True).select_option(label="My own words…")
    assert surf.stored("local", "defaults")["prompt"] == "goth", "no words are there yet"
    page.get_by_label("Your own words").fill("green lips")
    page.keyboard.press("Tab")
    card.get_by_label("Faces").select_option("largest")
    kept = {"prompt": "green lips", "level": "strong", "faces": "largest"}
    wait_for(lambda: surf.stored("local", "defaults") == kept)
    page.reload()
    expect(page.get_by_label("Your own words")).to_have_value("green lips")
    expect(card.get_by_label("Strength", exact=True)).to_have_value("strong")
    expect(card.get_by_label("Faces")).to_have_value("largest")


def test_every_site_can_begin_with_them_again(surf: Surf, visit: Visit) -> None:
    surf.keep(choices={HOST: {"prompt": "goth", "level": "strong"}})
    visit(OPTIONS).get_by_role("button", name="Use these on every site").click()
    wait_for(lambda: surf.stored("local", "choices") == {})


def test_without_a_server_there_are_no_looks_to_choose(surf: Surf, visit: Visit) -> None:
    surf.tell({"type": "unpair"})
    page = visit(OPTIONS)
    expect(page.locator("#offline")).to_be_visible()
    expect(page.locator("#defaults")).to_be_hidden()

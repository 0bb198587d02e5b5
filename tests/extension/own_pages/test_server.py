"""The server's state, pairing, and the first page, which goes through both."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.extension.conftest import Surf

from .conftest import FIRST, OPTIONS, PAGES, POPUP, Visit, state


@pytest.mark.parametrize("name", PAGES)
def test_pairing_by_keyboard(surf: Surf, visit: Visit, name: str) -> None:
    surf.tell({"type": "unpair"})
    page = visit(name)
    state(page, "unpaired")
    page.focus("#code")
    page.keyboard.type(surf.live.server.code)
    expect(page.locator("#code")).to_have_value(surf.live.server.code)
    page.keyboard.press("Enter")
    state(page, "ready")
    expect(page.locator("#pairing")).to_be_hidden()
    expect(page.locator("#connection")).to_be_focused()  # the field is gone, the place is not
    assert len(surf.live.server.service.clients.listing()) == 2  # the test itself, and this
    assert surf.tell({"type": "status"})["ok"]["state"] == "ready"


@pytest.mark.parametrize("name", PAGES)
def test_a_wrong_code_is_told_and_can_be_mended(surf: Surf, visit: Visit, name: str) -> None:
    surf.tell({"type": "unpair"})
    page = visit(name)
    page.fill("#code", "WRONG")
    page.click("#pair")
    expect(page.get_by_role("alert").filter(has_text="The code is wrong or too old")).to_be_visible()
    state(page, "unpaired")
    page.keyboard.type(surf.live.server.code)  # what is wrong is selected
    page.keyboard.press("Enter")
    state(page, "ready")
    expect(page.locator("#problem")).to_be_empty()


@pytest.mark.parametrize("name", PAGES)
def test_a_server_that_is_down_and_comes_back(surf: Surf, visit: Visit, name: str) -> None:
    address = surf.stored("local", "server")
    surf.keep(server={**address, "address": "http://127.0.0.1:9"})
    page = visit(name)
    state(page, "down")
    expect(page.locator("#advice")).to_contain_text("The address asked was http://127.0.0.1:9.")
    expect(page.locator("#advice")).to_contain_text("clip2protect serve")
    expect(page.get_by_role("button", name="Change the address")).to_be_visible()
    surf.keep(server=address)
    if name == POPUP:
        page.press("#check", "Enter")
    elif name == OPTIONS:
        page.fill("#address", address["address"])
        page.keyboard.press("Enter")
    state(page, "ready")  # the first page looks again by itself


def test_another_program_at_the_address_is_no_server(surf: Surf, visit: Visit) -> None:
    surf.keep(server={"address": f"http://127.0.0.1:{surf.site.port}", "token": "", "client": ""})
    page = visit(POPUP)
    state(page, "down")
    address = f"http://127.0.0.1:{surf.site.port}"
    expect(page.locator("#advice")).to_contain_text(f"Another program answers at {address}.")


def test_a_server_elsewhere_is_refused(surf: Surf, visit: Visit) -> None:
    """Which addresses are elsewhere: extension/unit/sites.test.js."""
    before = surf.stored("local", "server")
    page = visit(OPTIONS)
    page.fill("#address", "http://192.168.1.2:8765")
    page.press("#address", "Enter")
    expect(page.locator("#where-problem")).to_contain_text("must be on this machine")
    assert surf.stored("local", "server") == before


def test_another_address_gets_nothing_of_the_old_one(surf: Surf, visit: Visit) -> None:
    page = visit(OPTIONS)
    state(page, "ready")
    page.fill("#address", f"localhost:{surf.live.port}")
    page.get_by_role("button", name="Test the connection").click()
    state(page, "unpaired")
    address = f"http://localhost:{surf.live.port}"
    assert surf.stored("local", "server") == {"address": address, "token": "", "client": "", "secret": ""}
    expect(page.locator("#address")).to_have_value(address)
    assert len(surf.live.server.service.clients.listing()) == 1  # the old one was given back


def test_unpairing(surf: Surf, visit: Visit) -> None:
    page = visit(OPTIONS)
    page.press("#unpair", "Enter")
    state(page, "unpaired")
    expect(page.locator("#unpair")).to_be_hidden()
    assert len(surf.live.server.service.clients.listing()) == 1


def test_the_first_page_ticks_off_its_steps(surf: Surf, visit: Visit) -> None:
    surf.tell({"type": "unpair"})
    surf.keep(sites={})
    page = visit(FIRST, answer=True)
    done = page.locator(".done > h2 > span")
    expect(done).to_have_text(["Start the server"])
    page.fill("#code", surf.live.server.code)
    page.keyboard.press("Enter")
    expect(done).to_have_text(["Start the server", "Pair this browser"])
    page.get_by_role("button", name="Bluesky").click()
    expect(done).to_have_count(3)
    expect(page.locator("#all")).to_contain_text("Everything is set up")

"""Another program takes the server's port under the open page: it gets no photo and no secret."""

from __future__ import annotations

import asyncio

import pytest
from playwright.sync_api import expect

from server.service.proofs import make_nonce
from tests.support.impostor import Acts, accepting, posing, replaying
from tests.support.live import Live
from tests.support.prover import JSON

from .conftest import Tab, Visit, number, picture, state_is


def recorded(live: Live, client: str) -> object:
    """What the real server said in a session of this browser."""
    body = f'{{"client": "{client}", "nonce": "{make_nonce()}"}}'.encode()
    return live.ask("POST", "/v1/session", body, token=None, **JSON).json


@pytest.mark.parametrize("pose", ["accepts everything", "replays"])
def test_a_photo_of_the_page_does_not_go_to_another_program(live: Live, visit: Visit, pose: str) -> None:
    tab = visit(live).open()
    state_is(tab.send(picture()), "Protected")
    tab.page.get_by_label("Look").select_option("(own)")
    tab.page.fill("#prompt", "words-of-the-user")
    client = number(tab)
    secret = live.server.service.clients.get(client).secret
    acts: Acts = accepting if pose == "accepts everything" else replaying(recorded(live, client))
    asyncio.run_coroutine_threadsafe(live.server.stop(), live.loop).result(30)
    photo = picture("blue", "name-of-the-photo.webp")
    with posing(acts, live.port) as impostor:
        place = tab.send(photo)
        expect(place.locator(".problem")).to_have_text("Another program answers at the address of the server")
        place.get_by_role("button", name="Try again").click()
        state_is(place, "Not protected")
        tab.page.get_by_text("Paired browsers and programs").click()
        expect(tab.page.locator("#clients-problem")).to_contain_text("Another program answers")
        assert impostor.heard
        for heard in impostor.heard:
            told = (photo["buffer"][40:64], secret.encode(), b"name-of-the-photo", b"words-of-the-user")
            assert [word for word in told if word in heard.all] == [], heard.path
            assert heard.method == "GET" or heard.path == "/v1/session"
    assert number(tab) == client, "the pairing is not lost"


def test_the_code_does_not_go_to_another_program(live: Live, visit: Visit) -> None:
    tab: Tab = visit(live).open(code="")
    code = live.server.code
    asyncio.run_coroutine_threadsafe(live.server.stop(), live.loop).result(30)
    with posing(accepting, live.port) as impostor:
        tab.page.get_by_label("Code").fill(code)
        tab.page.keyboard.press("Enter")
        expect(tab.page.locator("#pairing-problem")).to_contain_text("The pairing code is wrong")
        assert impostor.paths() == {"POST /v1/pair/challenge"}
        assert code.encode() not in impostor.heard[0].all
    assert number(tab) is None

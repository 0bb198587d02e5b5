"""Another program holds the server's port: it gets no photo, no token, no name, no words of the user."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Frame, Page

from server.service.proofs import make_nonce
from tests.extension.conftest import HOST, Photo, Serve, Surf
from tests.support.impostor import Acts, Heard, Impostor, accepting, posing, relaying, replaying, says
from tests.support.live import wait_for

#: All that may be asked of a server before it has proved itself.
HARMLESS = {"GET /v1/health", "POST /v1/session"}
PROMPT = "words-of-the-user"


def stop(surf: Surf) -> None:
    asyncio.run_coroutine_threadsafe(surf.live.server.stop(), surf.live.loop).result(30)


def recorded(surf: Surf) -> object:
    """What the real server said in a session of this very browser."""
    client = surf.stored("local", "server")["client"]
    body = json.dumps({"client": client, "nonce": make_nonce()}).encode()
    answer = surf.live.ask("POST", "/v1/session", body, token=None, Content_Type="application/json")
    assert answer.status == 200
    return answer.json


#: How it poses, and whether it does so at the real server's own port, which then is down.
POSES: dict[str, tuple[Callable[[Surf], Acts], bool]] = {
    "accepts everything": (lambda surf: accepting, True),
    "replays": (lambda surf: replaying(recorded(surf)), True),
    "relays to another port": (lambda surf: relaying(surf.live.port), False),
}


def upload(surf: Surf) -> tuple[Page, Photo, Frame]:
    surf.keep(defaults={"prompt": PROMPT, "level": "", "faces": ""})
    page, photo = surf.open("input.html"), surf.photo("name-of-the-photo.png")
    page.set_input_files("#one", photo.path)
    return page, photo, surf.dialog(page)


def learnt_nothing(surf: Surf, impostor: Impostor, photo: Photo, secret: str) -> None:
    # A piece of the pixels is enough: none of it may be there, whatever it is wrapped in.
    pixels = photo.data[len(photo.data) // 2 :][:24]
    for heard in impostor.heard:
        for word in (pixels, secret.encode(), b"name-of-the-photo", PROMPT.encode(), HOST.encode()):
            assert word not in heard.all, (heard.method, heard.path)
        assert "bearer" not in heard.headers.get("Authorization", "").lower()
    assert not [heard for heard in impostor.heard if heard.method == "POST" and heard.path != "/v1/session"]


@pytest.mark.parametrize("pose", POSES)
def test_a_photo_does_not_go_to_another_program(surf: Surf, pose: str) -> None:
    make, same_port = POSES[pose]
    acts, kept = make(surf), surf.stored("local", "server")
    surf.tell({"type": "status"})  # a session is open
    if same_port:
        stop(surf)
    with posing(acts, surf.live.port if same_port else 0) as impostor:
        surf.keep(server={**kept, "address": f"http://127.0.0.1:{impostor.port}"})
        page, photo, dialog = upload(surf)
        dialog.wait_for_selector("#trouble:not([hidden])")
        surf.press(dialog, "#retry")
        dialog.wait_for_selector("#trouble:not([hidden])")
        state = surf.tell({"type": "status"})["ok"]
        assert (state["state"], state["code"]) == ("down", "other")
        surf.gets_nothing(page)
        surf.press(dialog, "#cancel")
        wait_for(lambda: page.evaluate("0") == 0 and not surf.dialogs(page))
        surf.gets_nothing(page)
        learnt_nothing(surf, impostor, photo, kept["secret"])
        unproven = {p for p in impostor.paths() if "job-1" not in p}
        assert "POST /v1/session" in unproven
        if not same_port:  # no session was open with it
            assert unproven <= HARMLESS
        assert not list(surf.live.server.service.jobs)
        assert surf.stored("local", "server")["secret"] == kept["secret"], "the pairing is not lost"


def test_a_program_that_takes_the_port_in_the_middle_gets_no_photo_and_delivers_none(serve: Serve) -> None:
    surf = serve(begin=False)
    kept = surf.stored("local", "server")
    page, photo = surf.open("input.html"), surf.photo("name-of-the-photo.png", do="slow 60")
    page.set_input_files("#one", photo.path)
    dialog = surf.dialog(page)
    dialog.wait_for_selector("#start:enabled")
    surf.press(dialog, "#start")
    dialog.wait_for_selector("text=Searching")
    stop(surf)
    with posing(accepting, surf.live.port) as impostor:
        # The real server may still have said that it stops.
        dialog.wait_for_selector("#trouble:not([hidden]), .failed .problem")
        surf.press(dialog, "#retry" if dialog.is_visible("#retry") else "#start")
        dialog.wait_for_selector("#trouble:not([hidden])")
        assert impostor.heard
        surf.press(dialog, "#cancel")
        wait_for(lambda: page.evaluate("0") == 0 and not surf.dialogs(page))
        surf.gets_nothing(page)
        learnt_nothing(surf, impostor, photo, kept["secret"])


def test_a_revoked_browser_is_told_by_whoever_holds_the_port_and_loses_nothing(surf: Surf) -> None:
    def refusing(heard: Heard) -> tuple[int, dict[str, str], bytes]:
        if heard.path == "/v1/session":
            body = json.dumps({"type": "about:blank", "title": "x", "status": 401, "code": "unpaired"})
            return 401, {"Content-Type": "application/problem+json"}, body.encode()
        return accepting(heard)

    kept = surf.stored("local", "server")
    with posing(refusing) as impostor:
        surf.keep(server={**kept, "address": f"http://127.0.0.1:{impostor.port}"})
        assert surf.tell({"type": "status"})["ok"]["state"] == "unpaired"
        assert impostor.paths() == HARMLESS
    surf.keep(server={**kept, **{"secret": surf.stored("local", "server")["secret"]}})
    assert surf.tell({"type": "status"})["ok"]["state"] == "ready"


@pytest.mark.parametrize("pose", ["accepts everything", "relays to another port"])
def test_the_code_does_not_go_to_another_program(surf: Surf, pose: str) -> None:
    surf.tell({"type": "unpair"})
    code, clients = surf.live.server.code, len(surf.live.server.service.clients.listing())
    with posing(POSES[pose][0](surf)) as impostor:
        address = f"http://127.0.0.1:{impostor.port}"
        surf.keep(server={"address": address, "token": "", "client": "", "secret": ""})
        answer = surf.tell({"type": "pair", "code": code})
        assert answer["trouble"]["code"] == "bad_code"
        assert impostor.paths() == {"POST /v1/pair/challenge"}
        assert [json.loads(heard.body).keys() for heard in impostor.heard] == [{"nonce"}]
        assert code.encode() not in b"".join(heard.all for heard in impostor.heard)
    assert surf.live.server.code == code and len(surf.live.server.service.clients.listing()) == clients


def test_a_token_of_an_older_version_stays_here(surf: Surf) -> None:
    old = "t" * 43
    with posing(accepting) as impostor:
        address = f"http://127.0.0.1:{impostor.port}"
        surf.keep(server={"address": address, "token": old, "client": "old"})
        state = surf.tell({"type": "status"})["ok"]
        assert (state["state"], state["code"]) == ("unpaired", "pair_anew")
        assert impostor.paths() == {"GET /v1/health"}
        assert old.encode() not in b"".join(heard.all for heard in impostor.heard)
    surf.find_server()
    surf.pair()
    assert surf.tell({"type": "status"})["ok"]["state"] == "ready"
    assert surf.stored("local", "server")["token"] == ""


def test_localhost_is_the_same_address_as_127(surf: Surf) -> None:
    """Another program may listen at the other address of that name, and relay."""
    kept = surf.stored("local", "server")
    surf.keep(server={**kept, "address": f"http://localhost:{surf.live.port}"})
    assert surf.tell({"type": "status"})["ok"]["state"] == "ready"


def test_a_server_of_another_version_is_told_so(surf: Surf) -> None:
    kept = surf.stored("local", "server")
    with posing(lambda heard: says({"name": "clip2protect", "protocol": 1})) as impostor:
        surf.keep(server={**kept, "address": f"http://127.0.0.1:{impostor.port}"})
        state = surf.tell({"type": "status"})["ok"]
        assert (state["state"], state["code"]) == ("down", "version")
        assert impostor.paths() == {"GET /v1/health"}

"""Pairing by the code on the console: by a proof, by the code itself, and by guessing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server.service import pairing
from server.service.pairing import GUESSES
from server.service.proofs import is_proven, key_of_code, make_nonce, prove
from tests.support.live import Answer, Live, running
from tests.support.prover import JSON, Prover

EXTENSION = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"
OTHER = "moz-extension://12345678-1234-1234-1234-123456789012"


def post(live: Live, path: str, origin: str = EXTENSION, **body: object) -> Answer:
    headers = {"Origin": origin} if origin else {}
    return live.ask("POST", path, json.dumps(body).encode(), token=None, **JSON, **headers)


def guess(live: Live, origin: str) -> Answer:
    """A wrong proof, or of a program a wrong code."""
    if not origin:
        return post(live, "/v1/pair", "", code="WRONG")
    nonce = post(live, "/v1/pair/challenge", origin, nonce=make_nonce()).json["nonce"]
    return post(live, "/v1/pair/proof", origin, nonce=nonce, proof=make_nonce())


def test_the_code_and_the_secret_are_in_no_message(live: Live) -> None:
    code, said = live.server.code, []
    ask = live.ask

    def heard(*arguments, **headers):
        answer = ask(*arguments, **headers)
        said.append(repr((arguments, headers)) + answer.body.decode() + str(answer.headers))
        return answer

    live.ask = heard
    browser = Prover(live, EXTENSION)
    browser.ask("GET", "/v1/prompts")
    assert len(said) == 4
    for secret in (code, browser.secret, browser.secret[:20]):
        assert secret not in "".join(said)


def test_the_server_proves_first_and_for_the_address_that_was_asked(live: Live) -> None:
    ours, host = make_nonce(), f"127.0.0.1:{live.port}"
    half = post(live, "/v1/pair/challenge", nonce=ours).json
    key = key_of_code(live.server.code, half["salt"])
    assert is_proven(key, half["proof"], "pair server", host, ours, half["nonce"])
    assert not is_proven(key, half["proof"], "pair server", "127.0.0.1:8765", ours, half["nonce"])
    # Each challenge is answered once.
    assert post(live, "/v1/pair/proof", nonce=half["nonce"], proof=make_nonce()).code == "bad_code"
    right = prove(key, "pair client", host, ours, half["nonce"])
    assert post(live, "/v1/pair/proof", nonce=half["nonce"], proof=right).code == "bad_code"


def test_a_proof_of_a_code_that_was_used_is_worth_nothing(live: Live) -> None:
    ours, host = make_nonce(), f"127.0.0.1:{live.port}"
    half = post(live, "/v1/pair/challenge", nonce=ours).json
    right = prove(key_of_code(live.server.code, half["salt"]), "pair client", host, ours, half["nonce"])
    live.pair()
    assert post(live, "/v1/pair/proof", nonce=half["nonce"], proof=right).code == "bad_code"


def test_a_browser_does_not_get_a_token(live: Live) -> None:
    own = f"http://127.0.0.1:{live.port}"
    for origin in (EXTENSION, own):
        answer = post(live, "/v1/pair", origin, code=live.server.code)
        assert answer.code == "bad_request" and "update" in answer.json["detail"]


@pytest.mark.parametrize("guesser", ["", EXTENSION, OTHER])
@pytest.mark.parametrize("reader", ["", EXTENSION])
def test_wrong_guesses_lock_nobody_out(live: Live, guesser: str, reader: str) -> None:
    codes = [guess(live, guesser).code for _ in range(12)]
    assert codes == ["bad_code"] * 5 + ["too_many_attempts"] * 7
    if reader:
        Prover(live, reader)
    else:
        assert live.pair()


def test_the_limit_is_each_origins_own(live: Live) -> None:
    for _ in range(8):
        guess(live, EXTENSION)
    assert guess(live, OTHER).code == guess(live, "").code == "bad_code"


def test_a_code_takes_a_hundred_guesses_and_its_successor_comes_later(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    live.server.service.pairing.show = shown.append
    code = live.server.code
    for _ in range(GUESSES):
        guess(live, "")
    for _ in range(3):
        refused = post(live, "/v1/pair", "", code=code)
        assert refused.code == "too_many_attempts" and int(refused.headers["Retry-After"]) <= 10
    assert post(live, "/v1/pair/challenge", nonce=make_nonce()).code == "too_many_attempts"
    assert shown == [], "whoever guesses on does not make it change its code again and again"
    live.server.service.pairing._ends -= pairing.PAUSE_SECONDS
    assert post(live, "/v1/pair", "", code=code).status in (401, 429), "its own is too old"
    assert shown == [live.server.code] and shown != [code]
    assert live.pair()


@pytest.mark.parametrize(
    "body", [{}, {"nonce": 1}, {"nonce": "x"}, {"nonce": "x" * 44}, {"nonce": "\ud800" * 43}]
)
def test_half_a_challenge_is_refused(live: Live, body: dict[str, object]) -> None:
    for path in ("/v1/pair/challenge", "/v1/pair/proof", "/v1/session"):
        assert post(live, path, **body).code == "bad_request"
    assert post(live, "/v1/pair/proof", nonce="x" * 43, proof=["x"]).code == "bad_code"


def test_challenges_do_not_pile_up(live: Live) -> None:
    for _ in range(100):
        post(live, "/v1/pair/challenge", nonce=make_nonce())
    assert len(live.server.service.pairing._waiting) == pairing._WAITING
    Prover(live, EXTENSION)


def test_a_page_that_came_by_plain_http_from_another_machine_gets_a_token(tmp_path: Path) -> None:
    """Browsers give it no cryptography."""
    with running(tmp_path, host="0.0.0.0") as live:
        host = f"192.168.77.5:{live.port}"
        own = {"Host": host, "Origin": f"http://{host}"}
        body = json.dumps({"code": live.server.code}).encode()
        token = live.ask("POST", "/v1/pair", body, token=None, **JSON, **own).json["token"]
        assert len(live.ask("GET", "/v1/clients", token=token, **own).json["clients"]) == 2
        elsewhere = {"Host": f"192.168.77.6:{live.port}", "Origin": f"http://192.168.77.6:{live.port}"}
        assert live.ask("GET", "/v1/clients", token=token, **elsewhere).code == "wrong_origin"

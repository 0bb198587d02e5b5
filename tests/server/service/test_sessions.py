"""Sessions: a proof is of use once, for one request, at one address; and what an older version left."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from server.service import sessions
from server.service.proofs import is_proven, make_nonce
from tests.support.impostor import accepting, posing
from tests.support.live import Live, running
from tests.support.prover import Prover

EXTENSION = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"


@pytest.fixture
def browser(live: Live) -> Prover:
    return Prover(live, EXTENSION)


def code_of(browser: Prover, header: str, method: str = "GET", path: str = "/v1/prompts") -> str:
    answer = browser.live.ask(method, path, token=None, Authorization=header, X_Clip2Protect="1")
    assert "X-Clip2Protect-Proof" not in answer.headers, "what is refused proves nothing"
    return answer.code


def test_a_request_that_is_sent_again_is_refused(browser: Prover) -> None:
    header = browser.sign("GET", "/v1/prompts")
    assert browser.live.ask("GET", "/v1/prompts", token=None, Authorization=header).status == 200
    assert code_of(browser, header) == "session_over"
    assert browser.ask("GET", "/v1/prompts").status == 200, "the session goes on"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/levels"), ("GET", "/v1/prompts?x=1"), ("DELETE", "/v1/jobs/x")]
)
def test_a_proof_is_of_one_request(browser: Prover, method: str, path: str) -> None:
    assert code_of(browser, browser.sign("GET", "/v1/prompts"), method, path) == "session_over"


def test_a_proof_for_another_address_is_refused(browser: Prover) -> None:
    """As of a relay that listens on another port and passes on what it hears."""
    browser.words = (f"127.0.0.1:{browser.live.port + 1}", *browser.words[1:])
    assert code_of(browser, browser.sign("GET", "/v1/prompts")) == "session_over"


def test_the_servers_proof_is_of_its_own_address(browser: Prover) -> None:
    ours = make_nonce()
    half = browser.post("/v1/session", client=browser.client, nonce=ours).json
    words = (browser.client, ours, half["nonce"])
    assert is_proven(browser.keys.server, half["proof"], "session", browser.host, *words)
    elsewhere = f"127.0.0.1:{browser.live.port + 1}"
    assert not is_proven(browser.keys.server, half["proof"], "session", elsewhere, *words)
    assert not is_proven(browser.keys.client, half["proof"], "session", browser.host, *words)


@pytest.mark.parametrize("words", ["", "x", "..", "a.b.c", "{nonce}.0.x", "{nonce}.-1.x", "{nonce}.99999.x"])
def test_anything_else_is_no_session(browser: Prover, words: str) -> None:
    assert code_of(browser, f"Clip2Protect {words.format(nonce=browser.nonce)}") == "session_over"


def test_a_session_ends(browser: Prover, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SESSION_SECONDS", -1.0)
    browser.begin()
    assert code_of(browser, browser.sign("GET", "/v1/prompts")) == "session_over"
    monkeypatch.undo()
    browser.begin()
    monkeypatch.setattr(sessions, "_REQUESTS", 2)
    assert [browser.ask("GET", "/v1/prompts").status for _ in range(2)] == [200, 200]
    assert code_of(browser, browser.sign("GET", "/v1/prompts")) == "session_over"


def test_sessions_are_in_memory_only(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        browser = Prover(live, EXTENSION)
        browser.ask("GET", "/v1/prompts")
    with running(tmp_path) as again:
        browser.live, browser.host = again, f"127.0.0.1:{again.port}"
        assert code_of(browser, browser.sign("GET", "/v1/prompts")) == "session_over"
        browser.begin()
        assert browser.ask("GET", "/v1/prompts").status == 200


def test_sessions_that_are_never_used_leave_those_that_are(
    browser: Prover, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_OFFERED", 3)
    browser.ask("GET", "/v1/prompts")
    for _ in range(10):
        browser.post("/v1/session", client=browser.client, nonce=make_nonce())
    assert len(browser.live.server.service.sessions._offered) == 3
    assert browser.ask("GET", "/v1/prompts").status == 200


def test_the_file_of_clients_is_private_and_no_program_can_use_its_words_as_a_token(browser: Prover) -> None:
    path = browser.live.server.service.options.folder / "clients.json"
    assert path.stat().st_mode & 0o077 == 0
    for entry in json.loads(path.read_text()):
        for word in (entry["secret"], entry["digest"], entry["id"], "x"):
            assert browser.live.ask("GET", "/v1/prompts", token=word or None).code == "unpaired"


@pytest.mark.parametrize("origin", [EXTENSION, "http://127.0.0.1:8765"])
def test_a_browser_of_an_older_version_is_told_to_pair_anew(tmp_path: Path, origin: str) -> None:
    with running(tmp_path) as live:
        token = live.token
    path = tmp_path / "clients.json"
    (entry,) = json.loads(path.read_text())
    del entry["secret"]
    path.write_text(json.dumps([entry | {"origin": origin}]))
    with running(tmp_path) as live:
        answer = live.ask("GET", "/v1/prompts", token=token)
        assert (answer.status, answer.code) == (401, "pair_anew") and "\n" not in answer.json["title"]
        body = json.dumps({"client": entry["id"], "nonce": make_nonce()}).encode()
        begun = live.ask("POST", "/v1/session", body, token=None, Content_Type="application/json")
        assert begun.code == "pair_anew"


def test_a_program_of_an_older_version_keeps_its_token(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        token = live.token
    path = tmp_path / "clients.json"
    (entry,) = json.loads(path.read_text())
    del entry["secret"]
    path.write_text(json.dumps([entry]))
    with running(tmp_path) as live:
        assert live.ask("GET", "/v1/prompts", token=token).status == 200


def test_the_recipe_for_programs_works(live: Live) -> None:
    text = (Path(__file__).parents[3] / "docs/SERVER.md").read_text("utf-8")
    (recipe,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(recipe.replace("127.0.0.1:8765", f"127.0.0.1:{live.port}"), "recipe", "exec"), names)
    with pytest.raises(SystemExit, match="this is not the server"):
        names["pair"]("WRONG")
    client, secret = names["pair"](live.server.code)
    kind = {"Content-Type": "image/png"}
    assert names["send"](client, secret, "POST", "/v1/protect", b"echo", kind).read() == b"echo"
    with pytest.raises(SystemExit, match="this is not the server"):
        names["send"](client, "x" + secret, "GET", "/v1/prompts")
    # Nothing secret goes to what does not prove itself.
    with posing(accepting) as impostor:
        names["HOST"] = f"127.0.0.1:{impostor.port}"
        with pytest.raises(SystemExit):
            names["send"](client, secret, "POST", "/v1/protect", b"the photo", kind)
        assert impostor.paths() == {"POST /v1/session"}
        assert secret.encode() not in impostor.heard[0].all

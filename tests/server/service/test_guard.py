"""The fourteen rules of a server that any web site can try to reach, each over a real socket."""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
from pathlib import Path

import pytest

from server.cli.main import main
from server.common.problems import CODES
from server.service import pairing
from server.service.proofs import make_nonce
from server.service.routes import OPEN_PATHS
from tests.support.live import Live, running, wait_for
from tests.support.prover import Prover

EXTENSION = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"
PNG = {"Content_Type": "image/png"}


def raw(live: Live, data: bytes, *, ends: bool = True) -> bytes:
    """What comes back for bytes as they are."""
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as connection:
        connection.sendall(data)
        answer = b""
        while b"\r\n\r\n" not in answer or ends:
            part = connection.recv(65536)
            if not part:
                break
            answer += part
        return answer


# 1
def test_it_listens_on_the_loopback_and_elsewhere_only_when_told(
    live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    assert live.server.url == f"http://127.0.0.1:{live.port}"
    for host in ("0.0.0.0", "192.168.1.5", "::"):
        assert main(["serve", "--host", host]) == 2
        assert "--allow-network" in capsys.readouterr().err
    assert main(["serve", "--host", "example.org"]) == 2


# 2
@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["127.0.0.1"],
        ["127.0.0.1:{port}", "127.0.0.1:{port}"],
        ["127.0.0.1:1"],
        ["127.0.0.1.evil.com:{port}"],
        ["localhost.:{port}"],
        ["evil.com:{port}"],
        ["evil.com"],
        [""],
        ["127.0.0.1:{port}@evil.com"],
    ],
)
def test_other_hosts_are_refused_before_the_body(live: Live, hosts: list[str]) -> None:
    lines = "".join(f"Host: {host.format(port=live.port)}\r\n" for host in hosts)
    # The body never comes: who waits for it waits in vain.
    answer = raw(
        live, f"POST /v1/jobs HTTP/1.1\r\n{lines}Content-Length: 1000000\r\n\r\n".encode(), ends=False
    )
    if len(hosts) == 1:
        assert b" 403 " in answer.split(b"\r\n")[0]
    else:  # HTTP itself forbids that, and aiohttp says so before anybody else is asked
        assert b" 403 " in answer.split(b"\r\n")[0] or b" 400 " in answer.split(b"\r\n")[0]


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "LOCALHOST:{port}"])
def test_its_own_hosts_are_taken(live: Live, host: str) -> None:
    assert live.ask("GET", "/v1/health", token=None, Host=host.format(port=live.port)).status == 200


def test_a_configured_name_is_taken(tmp_path: Path) -> None:
    with running(tmp_path, names=("photos.home",)) as live:
        assert live.ask("GET", "/v1/health", Host=f"photos.home:{live.port}").status == 200
        assert live.ask("GET", "/v1/health", Host=f"other.home:{live.port}").code == "forbidden_host"


# 3
@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.com", "http://127.0.0.1", "http://localhost:1", EXTENSION, "file://", "x"],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/prompts"), ("POST", "/v1/jobs"), ("GET", "/v1/health")]
)
def test_other_origins_are_refused(live: Live, origin: str, method: str, path: str) -> None:
    assert (
        live.ask(method, path, b"echo" if method == "POST" else None, Origin=origin, **PNG).code
        == "forbidden_origin"
    )


def test_its_own_page_and_paired_extensions_are_taken(live: Live) -> None:
    own = f"http://127.0.0.1:{live.port}"
    page, extension = Prover(live, own), Prover(live, EXTENSION)
    assert page.ask("POST", "/v1/jobs", b"echo", **PNG).status == 202
    assert extension.ask("POST", "/v1/jobs", b"echo", **PNG).status == 202
    proof = extension.sign("GET", "/v1/prompts")  # an extension's GET carries no origin
    assert live.ask("GET", "/v1/prompts", token=None, Authorization=proof).status == 200
    assert page.ask("GET", "/v1/prompts", Origin=EXTENSION).code == "wrong_origin"
    assert extension.ask("GET", "/v1/prompts", Origin=own).code == "wrong_origin"


# 4
def test_everything_wants_a_token(live: Live) -> None:
    for resource in live.server.connections._runner.app.router.resources():
        path = resource.canonical.replace("{id}", "x")
        if path in OPEN_PATHS:
            continue
        for method in {route.method for route in resource} - {"HEAD"}:
            for token in (None, "x", live.token[:-1], live.token + "x"):
                answer = live.ask(method, path, b"echo", token=token, **PNG)
                assert (answer.status, answer.code) == (401, "unpaired"), (method, path)
    assert live.ask("GET", f"/v1/prompts?token={live.token}", token=None).code == "unpaired"
    head = f"GET /v1/prompts HTTP/1.1\r\nHost: 127.0.0.1:{live.port}\r\nConnection: close\r\n".encode()
    assert b" 401 " in raw(live, head + b"Authorization: Bearer \xff\xfe\r\n\r\n").split(b"\r\n")[0]
    assert len(live.token) * 6 >= 128


def test_tokens_are_kept_hashed_and_only_for_their_owner(live: Live) -> None:
    path = live.server.service.options.folder / "clients.json"
    assert live.token not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_tokens_outlive_the_server_and_a_file_that_others_read_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        token = live.token
    with running(tmp_path) as live:
        assert live.ask("GET", "/v1/prompts", token=token).status == 200
    os.chmod(tmp_path / "clients.json", 0o644)
    with pytest.raises(Exception, match="chmod 600"), running(tmp_path):
        pass


# 5
def test_a_code_pairs_once_and_guessing_is_slow(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def pair(code: str) -> tuple[int, dict]:
        body = json.dumps({"code": code}).encode()
        answer = live.ask("POST", "/v1/pair", body, token=None, Content_Type="application/json")
        return answer.status, answer.json

    code = live.server.code
    assert pair(f" {code.lower()[:4]}-{code.lower()[4:]} ")[0] == 201
    assert pair(code)[1]["code"] == "bad_code"
    monkeypatch.setattr(pairing, "CODE_SECONDS", 0)
    live.server.service.pairing.renew()
    assert pair(live.server.code)[1]["code"] == "bad_code"  # too old
    monkeypatch.undo()
    live.server.service.pairing.renew()
    codes = [pair("WRONG")[1]["code"] for _ in range(8)]
    assert codes[0] == "bad_code" and codes[-1] == "too_many_attempts"
    assert pair(live.server.code)[0] == 201, "wrong guesses lock nobody out who reads the right code"


def test_clients_are_listed_and_revoked(live: Live) -> None:
    own = f"http://127.0.0.1:{live.port}"
    other, page = Prover(live, EXTENSION), Prover(live, own)
    listing = page.ask("GET", "/v1/clients")
    assert [c["origin"] for c in listing.json["clients"]] == ["", EXTENSION, own]
    told = listing.body.decode()
    assert "digest" not in told and "secret" not in told and other.secret not in told
    number = f"/v1/clients/{other.client}"
    assert page.ask("DELETE", number, X_Clip2Protect="1").status == 204
    assert other.post("/v1/session", client=other.client, nonce=make_nonce()).code == "unpaired"
    proof = other.sign("GET", "/v1/prompts")
    assert live.ask("GET", "/v1/prompts", token=None, Authorization=proof).code == "unpaired"
    assert page.ask("DELETE", number, X_Clip2Protect="1").code == "not_found"


def test_only_its_own_page_ends_the_access_of_others_and_forgets_the_owner(live: Live) -> None:
    page, extension = Prover(live, f"http://127.0.0.1:{live.port}"), Prover(live, EXTENSION)
    photo = page.ask("POST", "/v1/owner", b"1", **PNG).json["id"]
    program = live.ask("GET", "/v1/clients").json["you"]
    for ask, own in ((extension.ask, extension.client), (live.ask, program)):
        seen = ask("GET", "/v1/clients").json
        assert [client["id"] for client in seen["clients"]] == [own] == [seen["you"]]
        for path in (f"/v1/clients/{page.client}", "/v1/clients/unheard", f"/v1/owner/{photo}"):
            assert ask("DELETE", path, X_Clip2Protect="1").code == "page_only"
        assert ask("DELETE", f"/v1/clients/{own}", X_Clip2Protect="1").status == 204
    assert page.ask("DELETE", f"/v1/owner/{photo}", X_Clip2Protect="1").status == 204


# 6
def test_health_says_next_to_nothing(live: Live) -> None:
    Prover(live, EXTENSION)
    answer = live.ask("GET", "/v1/health", token=None, Origin=EXTENSION)
    assert answer.json == {"name": "clip2protect", "protocol": 2}
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert "Server" not in answer.headers


# 7
def test_cors_headers_name_paired_origins_only(live: Live) -> None:
    answer = Prover(live, EXTENSION).ask("GET", "/v1/prompts")
    assert answer.headers["Access-Control-Allow-Origin"] == EXTENSION
    assert "Origin" in answer.headers["Vary"]
    stranger = live.ask("GET", "/v1/prompts", Origin="https://evil.com")
    preflight = live.ask(
        "OPTIONS",
        "/v1/jobs",
        token=None,
        Origin="https://evil.com",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Private_Network="true",
    )
    for refused in (stranger, preflight):
        assert refused.status == 403
        assert not [name for name in refused.headers if name.lower().startswith("access-control")]
    assert "Access-Control-Allow-Credentials" not in answer.headers


# 8
@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", None]
)
def test_a_form_of_another_site_changes_nothing(live: Live, kind: str | None) -> None:
    headers = {"Content_Type": kind} if kind else {}
    assert live.ask("POST", "/v1/jobs", b"echo", **headers).code == "unsupported_content"
    assert live.ask("DELETE", "/v1/jobs/x", **headers).code == "unsupported_content"
    job = live.send(b"slow 5")
    assert live.ask("GET", f"/v1/jobs/{job}").json["state"] in ("queued", "running")
    assert live.ask("PUT", f"/v1/jobs/{job}", b"", X_Clip2Protect="1").code == "method_not_allowed"
    assert live.ask("DELETE", f"/v1/jobs/{job}", X_Clip2Protect="1").status == 204


# 9
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_are_refused(live: Live, site: str) -> None:
    assert live.ask("GET", "/", token=None, Sec_Fetch_Site=site).code == "forbidden_site"
    assert live.ask("POST", "/v1/jobs", b"echo", Sec_Fetch_Site=site, **PNG).code == "forbidden_site"
    for own in ("same-origin", "none"):
        assert live.ask("GET", "/", token=None, Sec_Fetch_Site=own).status == 200


# 10
def test_the_real_bytes_are_counted(tmp_path: Path) -> None:
    with running(tmp_path, upload_mb=1) as live:
        assert live.ask("POST", "/v1/jobs", b"x" * (2 << 20), **PNG).code == "too_large"
        assert live.ask("POST", "/v1/jobs", b"echo " + b"x" * 1_000_000, **PNG).status == 202
        head = (
            f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:{live.port}\r\nAuthorization: Bearer {live.token}\r\n"
            "Content-Type: image/png\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        ).encode()
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        with socket.create_connection(("127.0.0.1", live.port), timeout=10) as connection:
            connection.sendall(head)
            answer = b""
            try:
                for _ in range(40):
                    connection.sendall(chunk)
                answer = connection.recv(65536)
            except (BrokenPipeError, ConnectionResetError):
                answer = connection.recv(65536)
        assert b"too_large" in answer


def test_the_parts_of_a_form_are_counted_together(tmp_path: Path) -> None:
    with running(tmp_path, upload_mb=1) as live:
        parts = b"".join(
            b'--b\r\nContent-Disposition: form-data; name="photo"\r\n\r\n%s\r\n' % bytes(600_000)
            for _ in range(4)
        )
        kind = "multipart/form-data; boundary=b"
        answer = live.ask("POST", "/v1/jobs", parts + b"--b--\r\n", Content_Type=kind, X_Clip2Protect="1")
        assert answer.code == "too_large"


# 11
def test_the_queue_is_bounded(tmp_path: Path) -> None:
    with running(tmp_path, queue_length=2) as live:
        first = live.send(b"slow 30")
        live.until(first, "running")
        live.send(b"echo 1")
        live.send(b"echo 2")
        answer = live.ask("POST", "/v1/jobs", b"echo 3", **PNG)
        assert answer.code == "queue_full"
        assert int(answer.headers["Retry-After"]) > 0


def test_a_job_may_not_take_for_ever(tmp_path: Path) -> None:
    with running(tmp_path, job_seconds=1) as live:
        job = live.send(b"slow 30")
        assert live.until(job, "failed")["error"]["code"] == "timeout"
        assert live.ask("GET", f"/v1/jobs/{job}/result").status == 504
        after = live.send(b"echo after")
        assert live.until(after, "done", "failed")["state"] == "done"


def test_whoever_leaves_cancels(live: Live) -> None:
    head = (
        f"POST /v1/protect HTTP/1.1\r\nHost: 127.0.0.1:{live.port}\r\nAuthorization: Bearer {live.token}\r\n"
        "Content-Type: image/png\r\nContent-Length: 7\r\n\r\nslow 60"
    ).encode()
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        connection.sendall(head)
        wait_for(lambda: any(j.state == "running" for j in live.server.service.jobs))
    wait_for(lambda: all(j.state == "cancelled" for j in live.server.service.jobs), 10)


# 12
def test_headers_of_every_answer(live: Live) -> None:
    for path in ("/", "/page.js", "/page.css", "/v1/health", "/v1/prompts", "/v1/nothing"):
        headers = live.ask("GET", path).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    policy = live.ask("GET", "/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy


# 13
def test_nothing_is_written_and_nothing_is_told(
    live: Live, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(tmp_path.rglob("*"))
    with caplog.at_level(logging.DEBUG):
        body = (
            b'--b\r\nContent-Disposition: form-data; name="photo"; filename="secret-name.png"\r\n'
            b"Content-Type: image/png\r\n\r\necho secret-pixels\r\n--b--\r\n"
        )
        answer = live.ask(
            "POST", "/v1/jobs", body, Content_Type="multipart/form-data; boundary=b", X_Clip2Protect="1"
        )
        live.until(answer.json["id"], "done")
        live.ask("GET", f"/v1/jobs/{answer.json['id']}/result")
        live.ask("POST", "/v1/jobs?level=secret-level", b"echo", **PNG)
    assert sorted(tmp_path.rglob("*")) == before
    told = "\n".join(json.dumps(record.__dict__, default=str) for record in caplog.records)
    assert "job" in told
    for secret in ("secret", live.token, live.server.code):
        assert secret not in told


@pytest.mark.parametrize("query", ["?url=http://127.0.0.1/x", "?path=/etc/passwd", "?target=/etc/passwd"])
def test_no_url_and_no_path_is_taken(live: Live, query: str) -> None:
    assert live.ask("POST", f"/v1/jobs{query}", b"echo", **PNG).code == "bad_option"


# 14
def test_unpaired_and_forbidden_are_told_apart(live: Live) -> None:
    codes = {
        live.ask("GET", "/v1/prompts", token=None).code,
        live.ask("GET", "/v1/prompts", Host="evil.com").code,
        live.ask("GET", "/v1/prompts", Origin="https://evil.com").code,
        live.ask("GET", "/v1/prompts", Sec_Fetch_Site="cross-site").code,
    }
    assert codes == {"unpaired", "forbidden_host", "forbidden_origin", "forbidden_site"}


def test_who_is_led_here_reads_why_in_plain_words(live: Live) -> None:
    led = {"Sec_Fetch_Mode": "navigate", "Accept": "text/html,*/*"}
    for code, path, more in (
        ("forbidden_site", "/", {"Sec_Fetch_Site": "cross-site"}),
        ("forbidden_host", "/", {"Host": "<b>.example"}),
        ("unpaired", "/nothing-<b>", {}),
        ("unpaired", "/v1/status", {}),
        ("not_found", "/nothing-<b>", {"Authorization": f"Bearer {live.token}"}),
    ):
        plain = live.ask("GET", path, token=None, **more)
        page = live.ask("GET", path, token=None, **led, **more)
        assert plain.code == code and page.status == plain.status == CODES[code][0]
        assert page.headers["Content-Type"].startswith("text/html")
        text = page.body.decode()
        assert CODES[code][1].replace("'", "&#x27;") in text and "Open clip2protect" in text
        assert "<b>" not in text and "<script" not in text and "{" not in text
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Server" not in page.headers
    scripted = live.ask(
        "GET", "/", token=None, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="cors", **{"Accept": "text/html"}
    )
    assert scripted.code == "forbidden_site"

"""Connections and heads: bounded, and refused in the same words as everything else; bodies stay packed."""

from __future__ import annotations

import gzip
import http.client
import json
import resource
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from server.common.problems import CODES
from server.service import connections
from server.service.guard import FIXED_HEADERS
from server.service.intake import OPTIONS
from tests.support.live import Live, running, wait_for

PNG = {"Content_Type": "image/png"}
FORM = "Content-Type: multipart/form-data; boundary=b"


def head(live: Live, method: str, path: str, *lines: str, host: str = "", token: bool = True) -> bytes:
    own = [f"Host: {host or f'127.0.0.1:{live.port}'}", "X-Clip2Protect: 1"]
    own += [f"Authorization: Bearer {live.token}"] if token else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", *own, *lines, "", ""]).encode("latin-1")


@contextmanager
def sent(live: Live, data: bytes) -> Iterator[http.client.HTTPResponse]:
    """The answer to bytes that are no whole request: who waits for more waits in vain."""
    with socket.create_connection(("127.0.0.1", live.port), timeout=60) as connection:
        with suppress(ConnectionError):
            connection.sendall(data)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        with closing(answer):
            yield answer


def is_problem(answer: http.client.HTTPResponse, code: str) -> None:
    """A problem with the headers of every answer, and no `Server`."""
    assert (answer.status, answer.headers.get_content_type()) == (CODES[code][0], "application/problem+json")
    problem = json.loads(answer.read())
    assert (problem["code"], problem["status"]) == (code, answer.status)
    for name, value in FIXED_HEADERS.items():
        assert answer.headers[name] == value
    assert "Server" not in answer.headers and "Access-Control-Allow-Origin" not in answer.headers


# --- packed bodies


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "GZIP", "gzip, identity", "x"])
def test_a_packed_body_is_refused_before_it_comes(live: Live, coding: str) -> None:
    lines = (f"Content-Encoding: {coding}", "Content-Length: 1000000", "Content-Type: image/png")
    for token in (True, False):
        with sent(live, head(live, "POST", "/v1/jobs", *lines, token=token)) as answer:
            is_problem(answer, "unsupported_content")
    with sent(live, head(live, "POST", "/v1/jobs", *lines, host="evil.example", token=False)) as answer:
        is_problem(answer, "forbidden_host")
    assert live.ask("POST", "/v1/jobs", b"echo", Content_Encoding="identity", **PNG).status == 202


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_packed_body_is_never_inflated(live: Live, coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inflated: list[object] = []
    monkeypatch.setattr("aiohttp.http_parser.DeflateBuffer.feed_data", lambda *a: inflated.append(a))
    bomb = gzip.compress(bytes(50 << 20)) if coding == "gzip" else zlib.compress(bytes(50 << 20))
    answer = live.ask("POST", "/v1/jobs", bomb, Content_Encoding=coding, **PNG)
    assert answer.code == "unsupported_content" and inflated == []
    assert live.ask("GET", "/v1/health", token=None).status == 200


# --- forms


def part(name: str, text: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"".join(part(str(n)) for n in range(len(OPTIONS) + 2)),
        b"".join(part("level", "strong") for _ in range(2)),
        b"\r\n" * 100,
        b"--b\r\n" + b"x: y\r\n" * 20,
        b"--b\r\nx: " + b"y" * 5000 + b"\r\n",
    ],
    ids=["empty parts", "one part twice", "a preamble", "headers of a part", "a long header of a part"],
)
def test_a_form_without_end_is_refused_before_its_end(live: Live, body: bytes) -> None:
    request = head(live, "POST", "/v1/jobs", FORM, "Content-Length: 60000000")
    with sent(live, request + body + part("later", "." * 40_000)) as answer:
        assert answer.status == 400
        assert json.loads(answer.read())["code"] in ("bad_request", "bad_option")
    assert live.ask("GET", "/v1/health", token=None).status == 200
    assert live.server.service.queue._receiving == 0


def test_what_follows_a_form_is_not_kept(live: Live) -> None:
    request = head(live, "POST", "/v1/jobs", FORM, "Content-Length: 60000000")
    after = b"--b--\r\n" + b"more\r\n" * 10_000
    with sent(live, request + part("photo", "echo") + after) as answer:
        assert answer.status == 202
    (job,) = live.server.service.jobs
    assert job.photo is None or job.photo.size == len(b"echo")


def test_a_form_with_every_option_is_taken(live: Live) -> None:
    values = {"mode": "impersonate", "target": "7", "prompt": "none", "source_text": "no makeup"}
    values |= {"level": "strong", "faces": "all", "render": "residual", "steps": "3", "seed": "1"}
    assert set(values) == set(OPTIONS)
    body = (
        b"".join(part(name, value) for name, value in values.items()) + part("photo", "echo") + b"--b--\r\n"
    )
    kind = "multipart/form-data; boundary=b"
    assert live.ask("POST", "/v1/jobs", body, Content_Type=kind, X_Clip2Protect="1").status == 202


def test_a_document_without_end_is_refused_before_its_end(live: Live) -> None:
    lines = ("Content-Type: application/json", "Content-Length: 900000000")
    with sent(live, head(live, "POST", "/v1/pair", *lines, token=False) + b"[" * 5000) as answer:
        is_problem(answer, "too_large")


# --- heads


def test_other_programs_cookies_have_room(live: Live) -> None:
    for length in (9_000, 60_000):
        cookies = "; ".join(f"name{n}={'v' * 80}" for n in range(length // 88))
        for path in ("/", "/page.js", "/v1/health", "/v1/prompts"):
            assert live.ask("GET", path, Cookie=cookies).status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"GET /{long} HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: {host}\r\nX: {longer}\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: {host}\r\n{many}\r\n",
        b"GET /v1/health HTTP/1.1\r\n\r\n",
        b"GET /v1/health HTTP/9.9\r\nHost: {host}\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"{long}\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: {host}\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/pair HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    ],
    ids=["address", "header", "headers", "host", "version", "tls", "noise", "length", "both lengths"],
)
def test_what_is_no_request_is_refused_as_everything_is(
    live: Live, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    host = f"127.0.0.1:{live.port}".encode()
    many = b"".join(b"X-%d: y\r\n" % n for n in range(200))
    data = (
        data.replace(b"{longer}", b"a" * 70_000)
        .replace(b"{host}", host)
        .replace(b"{long}", b"a" * 9_000)
        .replace(b"{many}", many)
    )
    with sent(live, data) as answer:
        code = (
            "forbidden_host"
            if data.startswith(b"GET /v1/health HTTP/1.1\r\n\r\n") and answer.status == 403
            else "bad_request"
        )
        is_problem(answer, code)
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


def test_a_head_without_end_is_refused(live: Live) -> None:
    field = b"X: " + b"y" * 60_000 + b"\r\n"
    begun = head(live, "GET", "/v1/health")[:-2]
    with sent(live, begun + field * 4) as answer:
        is_problem(answer, "bad_request")


def test_a_large_photo_is_no_head(live: Live) -> None:
    assert live.ask("POST", "/v1/jobs", b"echo " + bytes(5 << 20), **PNG).status == 202
    refused = live.ask("POST", "/v1/jobs", bytes(5 << 20), token=None, **PNG)
    assert refused.code == "unpaired", "who was refused may finish sending, and reads why"


def test_an_expectation_at_no_place_is_a_problem(live: Live) -> None:
    with sent(live, head(live, "POST", "/nothing", "Expect: x", "Content-Length: 0")) as answer:
        assert answer.status == 400 and json.loads(answer.read())["code"] == "bad_request"


# --- connections


def half(live: Live) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", live.port), timeout=60)
    connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: 127")
    return connection


def test_half_requests_lock_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_room", lambda: 20)
    with running(tmp_path) as live:
        job = live.send(b"slow 60")
        with sent(live, head(live, "GET", f"/v1/jobs/{job}/events")) as events:
            held = [half(live) for _ in range(100)]
            for _ in range(5):
                assert live.ask("GET", "/v1/health", token=None).status == 200
                assert len(live.server.connections._open) <= 20
            assert events.status == 200 and events.readline().startswith(b"id: "), "whoever is at work stays"
            # The first of them are gone, the last are still there.
            with suppress(ConnectionResetError):
                assert held[0].recv(1) == b""
            held[-1].sendall(b".0.0.1:%d\r\n\r\n" % live.port)
            assert held[-1].recv(100).startswith(b"HTTP/1.1 200 ")
            for connection in held:
                connection.close()
        wait_for(lambda: len(live.server.connections._open) == 0)


def test_slow_bodies_of_strangers_lock_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_room", lambda: 20)
    with running(tmp_path) as live:
        lines = ("Content-Type: application/json", "Content-Length: 4000")
        request = head(live, "POST", "/v1/session", *lines, token=False)
        held = [socket.create_connection(("127.0.0.1", live.port), timeout=60) for _ in range(60)]
        for connection in held:
            with suppress(ConnectionError):
                connection.sendall(request)
        for _ in range(5):
            assert live.ask("GET", "/v1/prompts").status == 200
        for connection in held:
            connection.close()


def test_the_cap_leaves_descriptors_for_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, room in ((256, 160), (1024, 512), (64, 16), (resource.RLIM_INFINITY, 512)):
        monkeypatch.setattr(resource, "getrlimit", lambda which, limit=limit: (limit, limit))
        assert connections._room() == room


def test_a_server_with_few_descriptors_answers_among_three_hundred_half_requests(tmp_path: Path) -> None:
    program = (
        "import asyncio, logging, resource, sys; from pathlib import Path\n"
        "from server.common.log import configure; from server.service.options import Options\n"
        "from server.service.run import Server\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)); configure(logging.INFO)\n"
        "async def main():\n"
        f"    server = await Server.start(Options(port=0, folder=Path({str(tmp_path)!r})), [])\n"
        "    print(server.service.options.port, flush=True)\n"
        "    await asyncio.to_thread(sys.stdin.read)\n"
        "    await server.stop()\n"
        "asyncio.run(main())\n"
    )
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=Path(__file__).parents[3]
    )
    try:
        port = int(process.stdout.readline())
        held = []
        for number in range(300):
            held.append(socket.create_connection(("127.0.0.1", port), timeout=60))
            held[-1].sendall(b"GET /")
            if number % 50 == 49:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("GET", "/v1/health")
                assert connection.getresponse().status == 200
                connection.close()
        for connection in held:
            connection.close()
        _, log = process.communicate("", timeout=60)
    finally:
        process.kill()
    assert 0 < log.count('"crowded"') <= 5 and "asyncio" not in log and len(log) < 2_000

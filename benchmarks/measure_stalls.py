"""The longest pause of the server's event loop under attacks of programs and pages.

    python benchmarks/measure_stalls.py [--seconds 3] [--files 256] [--only NAME] [--json FILE]

The server runs in a process of its own, with no worker and with few file descriptors.  Each attack runs for
some seconds, over four connections or as many as it is about.  For each it prints

- pause: the longest time in which the event loop did nothing else, milliseconds;
- busy: the processor time in that pause, which other programs of the machine do not lengthen;
- health: the longest wait for an answer of `/v1/health` meanwhile, asked again and again over new
  connections, and the number of answers;
- log: bytes that the server wrote to its log.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import logging
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Seconds between two looks at whether the event loop answers.
_TICK = 0.002
_PIECE = bytes(1 << 16)


@dataclass(frozen=True)
class Target:
    """The server that is attacked."""

    port: int
    token: str

    def connect(self) -> socket.socket:
        """A connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def head(self, method: str, path: str, *lines: str, host: str = "", token: bool = True) -> bytes:
        """A request's head."""
        own = [f"Host: {host or f'127.0.0.1:{self.port}'}", "X-Clip2Protect: 1"]
        own += [f"Authorization: Bearer {self.token}"] if token else []
        return "\r\n".join([f"{method} {path} HTTP/1.1", *own, *lines, "", ""]).encode("latin-1")


Attack = Callable[[Target, Callable[[], bool]], None]
ATTACKS: dict[str, Attack] = {}


def attack(name: str) -> Callable[[Attack], Attack]:
    """Put an attack into the table."""
    return lambda function: ATTACKS.setdefault(name, function)


def _bomb(wbits: int, size: int = 1 << 30) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    zeros = bytes(1 << 24)
    return b"".join([*(packer.compress(zeros) for _ in range(size >> 24)), packer.flush()])


def _send(target: Target, data: bytes) -> None:
    """A request, and all that is said to it."""
    with suppress(OSError), target.connect() as connection:
        connection.sendall(data)
        while connection.recv(1 << 16):
            pass


def _pour(target: Target, head: bytes, piece: bytes, goes_on: Callable[[], bool]) -> None:
    """A request whose body does not end."""
    while goes_on():
        with suppress(OSError), target.connect() as connection:
            connection.settimeout(5)
            connection.sendall(head)
            while goes_on():
                connection.sendall(piece)


def _packed(coding: str, wbits: int, host: str, token: bool) -> Attack:
    made: list[bytes] = []

    def run(target: Target, goes_on: Callable[[], bool]) -> None:
        body = made[0] if made else _bomb(wbits)
        made.append(body)
        lines = (f"Content-Encoding: {coding}", f"Content-Length: {len(body)}", "Connection: close")
        kind = "Content-Type: image/png"
        head = target.head("POST", "/v1/jobs", kind, *lines, host=host, token=token)
        while goes_on():
            _send(target, head + body)

    return run


ATTACKS["gzip, 1 MiB to 1 GiB"] = _packed("gzip", 31, "", True)
ATTACKS["gzip, host refused, no token"] = _packed("gzip", 31, "evil.example", False)
ATTACKS["deflate, 1 MiB to 1 GiB"] = _packed("deflate", 15, "", True)
ATTACKS["br and zstd"] = _packed("br, zstd", 15, "", True)


@attack("empty parts without end")
def _parts(target: Target, goes_on: Callable[[], bool]) -> None:
    head = target.head(
        "POST", "/v1/jobs", "Content-Type: multipart/form-data; boundary=b", "Content-Length: 60000000"
    )
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n\r\n'
    _pour(target, head, "".join(part.format(n) for n in range(10_000)).encode(), goes_on)


@attack("a preamble without end")
def _preamble(target: Target, goes_on: Callable[[], bool]) -> None:
    kind = "Content-Type: multipart/form-data; boundary=b"
    _pour(target, target.head("POST", "/v1/jobs", kind, "Content-Length: 60000000"), b"\n" * 65536, goes_on)


@attack("headers of a part without end")
def _part_headers(target: Target, goes_on: Callable[[], bool]) -> None:
    kind = "Content-Type: multipart/form-data; boundary=b"
    head = target.head("POST", "/v1/jobs", kind, "Content-Length: 60000000") + b"--b\r\n"
    _pour(target, head, b"x: y\r\n" * 10_000, goes_on)


@attack("JSON without end")
def _json(target: Target, goes_on: Callable[[], bool]) -> None:
    head = target.head("POST", "/v1/pair", "Content-Type: application/json", "Content-Length: 900000000")
    _pour(target, head, b"[" * 65536, goes_on)


@attack("tiny chunks")
def _chunks(target: Target, goes_on: Callable[[], bool]) -> None:
    head = target.head("POST", "/v1/jobs", "Content-Type: image/png", "Transfer-Encoding: chunked")
    _pour(target, head, b"1\r\nx\r\n" * 40_000, goes_on)


@attack("tiny chunks, host refused")
def _strange_chunks(target: Target, goes_on: Callable[[], bool]) -> None:
    lines = ("Content-Type: image/png", "Transfer-Encoding: chunked")
    head = target.head("POST", "/v1/jobs", *lines, host="evil.example", token=False)
    _pour(target, head, b"1\r\nx\r\n" * 40_000, goes_on)


@attack("photos as large as may be")
def _photos(target: Target, goes_on: Callable[[], bool]) -> None:
    head = target.head("POST", "/v1/jobs", "Content-Type: image/png", f"Content-Length: {60 << 20}")
    _pour(target, head, _PIECE, goes_on)


@attack("addresses of 8,000 to 200,000 letters")
def _addresses(target: Target, goes_on: Callable[[], bool]) -> None:
    lengths = (8_000, 9_000, 60_000, 200_000)
    while goes_on():
        for length in lengths:
            for letters in ("a", "%41", "/", "a=b&"):
                path = f"/v1/jobs?{letters * (length // len(letters))}"
                _send(target, target.head("GET", path, "Connection: close"))
                path = f"/{letters * (length // len(letters))}".replace("&", "x")
                _send(target, target.head("GET", path, "Connection: close"))


@attack("huge headers")
def _headers(target: Target, goes_on: Callable[[], bool]) -> None:
    many = [f"X-{n}: y" for n in range(5_000)]
    large = [f"X-{n}: {'y' * 60_000}" for n in range(90)]
    while goes_on():
        for lines in (many, large, [f"Cookie: {'c=d; ' * 1800}"], ["x" * 60_000], ["X: " + "é" * 60_000]):
            _send(target, target.head("GET", "/v1/health", *lines, "Connection: close"))


@attack("no HTTP at all")
def _noise(target: Target, goes_on: Callable[[], bool]) -> None:
    while goes_on():
        for noise in (
            b"\x16\x03\x01" + bytes(200),
            b"\r\n" * 50_000,
            b"x" * 50_000,
            b"GET / HTTP/9.9\r\n\r\n",
        ):
            _send(target, noise + b"\r\n\r\n")


@attack("many requests in one go")
def _pipeline(target: Target, goes_on: Callable[[], bool]) -> None:
    data = target.head("GET", "/v1/health", token=False) * 500
    while goes_on():
        with suppress(OSError), target.connect() as connection:
            connection.settimeout(5)
            connection.sendall(data)
            while goes_on() and connection.recv(1 << 16):
                pass


@attack("300 half requests")
def _half(target: Target, goes_on: Callable[[], bool]) -> None:
    held: list[socket.socket] = []
    while goes_on():
        with suppress(OSError):
            held.append(target.connect())
            held[-1].sendall(b"GET /v1/health HTTP/1.1\r\nHost: 127")
        if len(held) >= 75:  # of each of the four
            time.sleep(0.05)
            for old in held[:5]:
                old.close()
            del held[:5]
    for connection in held:
        connection.close()


@attack("slow bodies")
def _slow(target: Target, goes_on: Callable[[], bool]) -> None:
    head = target.head(
        "POST", "/v1/session", "Content-Type: application/json", "Content-Length: 4000", token=False
    )
    held: list[socket.socket] = []
    while goes_on():
        with suppress(OSError):
            held.append(target.connect())
            held[-1].sendall(head)
        for connection in held[-75:]:
            with suppress(OSError):
                connection.sendall(b" ")
        if len(held) > 75:
            time.sleep(0.02)
    for connection in held:
        connection.close()


@attack("challenges of strangers")
def _challenges(target: Target, goes_on: Callable[[], bool]) -> None:
    body = json.dumps({"nonce": "n" * 43}).encode()
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close")
    while goes_on():
        _send(target, target.head("POST", "/v1/pair/challenge", *lines, token=False) + body)


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each attack")
    parser.add_argument("--files", type=int, default=256, help="descriptors of the server")
    parser.add_argument("--only", help="attacks whose name has this word")
    parser.add_argument("--json", type=Path, help="also write the figures")
    parser.add_argument("--serve", help=argparse.SUPPRESS)  # the folder of the server that is measured
    args = parser.parse_args()
    if args.serve:
        asyncio.run(_serve(Path(args.serve), args.files))
        return 0
    figures = {}
    print(f"{'attack':<40}{'pause ms':>9}{'busy ms':>9}{'health ms':>11}{'answers':>9}{'log':>10}")
    for name in [name for name in ATTACKS if (args.only or "") in name]:
        figures[name] = shown = _measure(ATTACKS[name], args)
        print(f"{name:<40}{shown['pause_ms']:>9.1f}{shown['busy_ms']:>9.1f}{shown['health_ms']:>11.1f}"
              f"{shown['answers']:>9}{shown['log_bytes']:>10}", flush=True)  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2), "utf-8")
    return 0


def _measure(attack: Attack, args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, __file__, "--serve", folder, "--files", str(args.files)]
        pipe = subprocess.PIPE
        with log.open("wb") as errors:
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True)
        try:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101
            port, code = process.stdout.readline().split()
            target = Target(int(port), _pair(int(port), code))
            warm = time.monotonic() + 0.3  # what it needs is made
            attack(target, lambda: time.monotonic() < warm)
            print("begin", file=process.stdin, flush=True)
            process.stdout.readline()
            ends = time.monotonic() + args.seconds
            threads = [
                threading.Thread(target=attack, args=(target, lambda: time.monotonic() < ends))
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            waits = _ask(int(port), ends)
            for thread in threads:
                thread.join()
            out, _ = process.communicate("end\n", timeout=60)
            pause, busy = map(float, out.split())
            return {
                "pause_ms": 1000 * pause,
                "busy_ms": 1000 * busy,
                "health_ms": 1000 * max(waits),
                "answers": len(waits),
                "log_bytes": log.stat().st_size,
            }
        finally:
            process.kill()


def _pair(port: int, code: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"code": code})
    connection.request("POST", "/v1/pair", body, {"Content-Type": "application/json"})
    return str(json.loads(connection.getresponse().read())["token"])


def _ask(port: int, ends: float) -> list[float]:
    """Seconds that each answer of health took, or that it was waited for in vain."""
    waits = []
    while time.monotonic() < ends:
        begun = time.monotonic()
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/v1/health")
            connection.getresponse().read()
            connection.close()
        waits.append(time.monotonic() - begun)
        time.sleep(0.02)
    return waits


async def _serve(folder: Path, files: int) -> None:
    """The server, in a process of its own; between two words of its input it notes pauses."""
    from server.common.log import configure
    from server.service.options import Options
    from server.service.run import Server

    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    configure(logging.INFO)
    server = await Server.start(Options(port=0, folder=folder), [])
    print(server.service.options.port, server.code, flush=True)
    pause = busy = 0.0

    async def tick() -> None:
        nonlocal pause, busy
        while True:
            begun, worked = time.perf_counter(), time.thread_time()
            await asyncio.sleep(_TICK)
            pause = max(pause, time.perf_counter() - begun - _TICK)
            busy = max(busy, time.thread_time() - worked)

    await asyncio.to_thread(sys.stdin.readline)
    ticking = asyncio.create_task(tick())
    print("begun", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    ticking.cancel()
    print(pause, busy)
    await server.stop()


if __name__ == "__main__":
    sys.exit(main())

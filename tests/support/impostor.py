"""A program that holds the server's port and says that it is the server."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NONCE = "n" * 43
#: What it answers: status, headers, body.
Said = tuple[int, dict[str, str], bytes]


@dataclass
class Heard:
    """A request that it got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def all(self) -> bytes:
        return repr((self.method, self.path, self.headers)).encode() + self.body


Acts = Callable[[Heard], Said]


class Impostor:
    """It notes all that it hears."""

    def __init__(self, acts: Acts, port: int = 0) -> None:
        self.heard: list[Heard] = []
        impostor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                heard = Heard(self.command, self.path, dict(self.headers), body)
                impostor.heard.append(heard)
                status, headers, body = acts(heard)
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def paths(self) -> set[str]:
        return {f"{heard.method} {heard.path}" for heard in self.heard}


@contextmanager
def posing(acts: Acts, port: int = 0) -> Iterator[Impostor]:
    impostor = Impostor(acts, port)
    try:
        yield impostor
    finally:
        impostor.stop()


def says(value: object, status: int = 200) -> Said:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def accepting(heard: Heard) -> Said:
    """It says yes to everything, as the real one would."""
    path = heard.path.partition("?")[0]
    if path == "/v1/health":
        return says({"name": "clip2protect", "protocol": 2})
    if path.endswith(("/result", "/preview")):
        return 200, {"Content-Type": "image/png", "X-Clip2Protect-Proof": NONCE}, b"not what was sent"
    done = {"id": "job-1", "state": "done", "faces": [], "report": {"faces": []}, "progress": 1.0}
    offer = {"nonce": NONCE, "proof": NONCE, "seconds": 300, "salt": NONCE, "rounds": 600_000}
    status, headers, body = says(done | offer | {"client": "x", "photos": [], "trouble": "", "token": NONCE})
    return status, headers | {"X-Clip2Protect-Proof": NONCE}, body


def replaying(session: object) -> Acts:
    """It says what the real one once said."""
    return lambda heard: says(session) if heard.path == "/v1/session" else accepting(heard)


def relaying(port: int) -> Acts:
    """It passes everything on to the real one, at another port."""

    def acts(heard: Heard) -> Said:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        sent = {n: v for n, v in heard.headers.items() if n.lower() not in ("host", "connection")}
        connection.request(heard.method, heard.path, heard.body or None, sent)
        answer = connection.getresponse()
        kept = ("content-type", "x-clip2protect-proof", "access-control-allow-origin")
        headers = {name: value for name, value in answer.getheaders() if name.lower() in kept}
        return answer.status, headers, answer.read()

    return acts

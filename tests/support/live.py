"""A server in a thread of its own, spoken to over real sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from server.service import pairing, proofs
from server.service.options import Options
from server.service.proofs import ROUNDS
from server.service.run import Server
from server.service.work.crew import Worker

SCRIPTED = (sys.executable, str(Path(__file__).with_name("scripted.py")))
#: The real worker, with fewer steps than it takes elsewhere.
QUICK = (sys.executable, "-m", "tests.support.quick", "--device", "cpu")
#: As few as browsers accept: most tests pair, and few are about that.
FEW_ROUNDS = 100_000
#: Seconds that a test waits at most: a busy machine takes its time, and a test that passes does not wait.
PATIENCE = 300.0


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        assert self.headers["Content-Type"].startswith("application/problem+json"), self.body
        assert self.json["status"] == self.status
        return self.json["code"]


class Live:
    """A server that runs."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.server, self.loop = server, loop
        self.port = server.service.options.port
        self.token = self.pair()

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, token: str | None = "", **headers: str
    ) -> Answer:
        """A request with the first client's token (None: with none);

        `_` in names of headers stands for `-`.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self.token}"
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def pair(self, **headers: str) -> str:
        body = json.dumps({"code": self.server.code, "name": "test"}).encode()
        answer = self.ask("POST", "/v1/pair", body, token=None, Content_Type="application/json", **headers)
        assert answer.status == 201, answer.body
        return answer.json["token"]

    def send(self, photo: bytes, query: str = "", **options: Any) -> str:
        answer = self.ask("POST", f"/v1/jobs{query}", photo, Content_Type="image/png", **options)
        assert answer.status == 202, answer.body
        return answer.json["id"]

    def job(self, job: str) -> Any:
        return self.ask("GET", f"/v1/jobs/{job}").json

    def until(self, job: str, *states: str, seconds: float = PATIENCE) -> Any:
        """The job's status when it has one of these states."""

        def reached() -> Any:
            status = self.job(job)
            over = status["state"] in ("done", "failed", "cancelled")
            assert status["state"] in states or not over, status
            return status if status["state"] in states else None

        return wait_for(reached, seconds)


def wait_for(what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What is true, as soon as it is."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if found := what():
            return found
        time.sleep(0.02)
    pytest.fail("it did not come about")


@contextmanager
def running(
    folder: Path,
    *arguments: str,
    workers: int = 1,
    real: bool = False,
    command: Sequence[str] = SCRIPTED,
    rounds: int = FEW_ROUNDS,
    **options: Any,
) -> Iterator[Live]:
    """A server with workers of this command and these arguments, the scripted ones; or a `real` one as it is.

    `rounds` of PBKDF2 make a key of the pairing code.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    chosen = Options(**({"port": 0, "workers": workers, "folder": folder} | options))
    others = None if real else [Worker((*command, *arguments)) for _ in range(workers)]
    try:
        with pytest.MonkeyPatch.context() as patch:
            for module in (pairing, proofs):
                patch.setattr(module, "ROUNDS", ROUNDS if real else rounds)
            server = asyncio.run_coroutine_threadsafe(Server.start(chosen, others), loop).result(30)
            try:
                yield Live(server, loop)
            finally:
                asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    finally:  # of a server that cannot start, too: a thread that runs on keeps Python from ending
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

"""The local server of a study: the page, its trials one by one, their pictures under neutral names."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import socket
from pathlib import Path

from aiohttp import web
from filelock import FileLock, Timeout

from engines.errors import ConfigError
from engines.evaluation.study.questions import PICTURES
from server.common.problems import Problem
from server.service.clients import Client
from server.service.connections import Connections
from server.service.guard import Guard, hosts_of
from server.service.intake import small_json
from server.service.routes import static
from server.study.participants import Participants

#: This machine alone: people look at faces here.
HOST = "127.0.0.1"
#: Paths of the page's files, which need no token, and their types.
_PAGE = {"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript"}


class _LinkHolder:
    """The one client of a study: the holder of its link (`server.service.guard.Callers`)."""

    def __init__(self, origin: str) -> None:
        self.token = secrets.token_urlsafe(32)
        self._client = Client(id="study", name="study", origin=origin, digest="", paired=0.0, used=0.0)

    def caller(self, request: web.Request) -> Client | None:
        """The client, for its token."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        same = hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode())
        return self._client if same and scheme.lower() == "bearer" else None

    def origins(self) -> set[str]:
        """No page but the server's own may ask."""
        return set()


class Study:
    """A server that listens; `link` opens its page."""

    def __init__(self, folder: Path, *, limit: int | None = None, port: int = 0) -> None:
        """Raises ConfigError for a folder that cannot be used or is in use, or a port that is taken."""
        self.participants = Participants(folder, limit)
        self._lock = FileLock(folder / ".study.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(f"another study runs in {folder}: stop it first") from None
        except OSError as error:
            raise ConfigError(f"choices cannot be kept in {folder}: {error.strerror}") from None
        try:
            self._listener = socket.create_server((HOST, port))
        except (OSError, OverflowError) as error:
            self._lock.release()
            raise ConfigError(f"cannot listen on {HOST} port {port}: {error}") from None
        self.port = self._listener.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        self._client = _LinkHolder(self.url)
        # Behind #: browsers send that part nowhere, not even to this server.
        self.link = f"{self.url}/#{self._client.token}"

    async def start(self) -> None:
        """Answer from now on."""
        guard = Guard(self._client, hosts_of(self.port, ()), frozenset(_PAGE))
        app = web.Application(middlewares=[guard.__call__], client_max_size=0)
        app.on_response_prepare.append(guard.finish)
        for path, kind in _PAGE.items():
            app.router.add_get(path, static("server.study", path[1:] or "index.html", kind))
        app.router.add_post("/v1/participants", self._join)
        app.router.add_get("/v1/participants/{who}", self._next)
        app.router.add_post("/v1/participants/{who}/choices", self._choose)
        app.router.add_get("/v1/participants/{who}/pictures/{number:[0-9]{1,6}}/{place}", self._picture)
        self._connections = Connections(app)
        await self._connections.listen(self._listener)

    async def stop(self) -> None:
        """Close."""
        await self._connections.close()
        self._lock.release()

    async def _join(self, request: web.Request) -> web.Response:
        return web.json_response({"participant": self.participants.join()}, status=201)

    async def _next(self, request: web.Request) -> web.Response:
        who = request.match_info["who"]
        turns, number = self.participants.turns(who), self.participants.position(who)
        kind = turns[number].trial.kind if number < len(turns) else None
        return web.json_response({"number": number, "total": len(turns), "kind": kind})

    async def _choose(self, request: web.Request) -> web.Response:
        body = await small_json(request)
        number, side, spent, familiar = (
            body.get(key) for key in ("number", "side", "milliseconds", "familiar")
        )
        if (
            type(number) is not int
            or side not in (0, 1)
            or type(spent) is not int
            or type(familiar) is not bool
        ):
            raise Problem("bad_request", "give number, side, milliseconds and familiar")
        self.participants.choose(request.match_info["who"], number, int(side), spent, familiar=familiar)
        return web.Response(status=204)

    async def _picture(self, request: web.Request) -> web.Response:
        info = request.match_info
        try:
            path = self.participants.picture(info["who"], int(info["number"]), info["place"])
            data = await asyncio.to_thread(path.read_bytes)
        except (ConfigError, OSError):
            raise Problem("not_found") from None
        return web.Response(body=data, content_type=PICTURES[path.suffix.lower()])

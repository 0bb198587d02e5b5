"""Connections: how many, how large a head may be, and what is said to who speaks no HTTP.

aiohttp answers broken requests by itself, before the guard: here they get a problem document with the headers
that every answer has.  It also inflates packed bodies before anybody is asked: here it does not.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from server.common.log import note
from server.common.problems import BY_STATUS, CODES, Problem
from server.service.guard import CALLER, FIXED_HEADERS

#: Seconds that a connection may take from one request to the head of the next, or of its first.
HEAD_SECONDS = 30.0
#: Bytes of an address, of one header, headers, and bytes of the whole head.  Other programs' cookies for
#: this machine come with a browser's requests, and need room.  aiohttp looks for a route at every `/` of an
#: address anew, so that long ones take long.
ADDRESS_BYTES, FIELD_BYTES, HEADERS, HEAD_BYTES = 1 << 13, 1 << 16, 100, 3 << 16
#: Connections at a time, at most and at least, and file descriptors that are left for everything else.
MOST, _LEAST, _RESERVED = 512, 16, 96
#: Connections that wait to be accepted, and those that are accepted at once.
_BACKLOG, _AT_ONCE = 512, 16
#: Bytes that are parsed at once: many tiny pieces take long.
_READ_BYTES = 1 << 13


class Connections:
    """All connections of an application's server."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, handler_cancellation=True, shutdown_timeout=2
        )
        self._open: dict[_Connection, None] = {}
        self.most = _room()

    async def listen(self, listener: socket.socket) -> None:
        """Take connections from now on."""
        loop = asyncio.get_running_loop()
        await self._runner.setup()
        self._server = await loop.create_server(self._make, sock=listener, backlog=_AT_ONCE)
        listener.listen(_BACKLOG)  # asyncio takes as many at once as may wait, which could be too many
        self._sweep = asyncio.create_task(self._close_idle())

    async def close(self) -> None:
        """End what is under way, and take no more."""
        self._sweep.cancel()
        self._server.close()
        await self._runner.cleanup()

    def _make(self) -> web.RequestHandler:
        assert self._runner.server is not None  # noqa: S101
        return _Connection(self._runner.server, self._opened, self._closed)

    def _opened(self, connection: _Connection) -> None:
        self._open[connection] = None
        if len(self._open) > self.most:
            dropped = min(self._open, key=_worth)  # the oldest of its kind: a dictionary keeps the order
            note("crowded", logging.WARNING, connections=self.most)
            self._closed(dropped)
            dropped.abort()

    def _closed(self, connection: _Connection) -> None:
        self._open.pop(connection, None)

    async def _close_idle(self) -> None:
        """Close connections that do not get to a whole request: aiohttp waits for a first one without end."""
        since: dict[tuple[_Connection, int], float] = {}
        while True:
            await asyncio.sleep(HEAD_SECONDS / 3)
            now = time.monotonic()
            idle = [connection for connection in self._open if connection._current_request is None]
            # By the count of requests: one that is only between two is not idle.
            since = {key: since.get(key, now) for key in ((c, c._request_count) for c in idle)}
            for (connection, _), begun in since.items():
                if now - begun > HEAD_SECONDS:
                    connection.abort()


class _Connection(web.RequestHandler):
    """One of them."""

    __slots__ = ("_closed", "_head", "_opened")

    def __init__(
        self, server: web.Server, opened: Callable[[_Connection], None], closed: Callable[[_Connection], None]
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=HEAD_SECONDS,
            auto_decompress=False,
            max_line_size=ADDRESS_BYTES,
            max_field_size=FIELD_BYTES,
            max_headers=HEADERS,
        )
        self._opened, self._closed, self._head = opened, closed, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if hasattr(transport, "max_size"):
            transport.max_size = _READ_BYTES
        super().connection_made(transport)
        self._opened(self)

    def connection_lost(self, error: BaseException | None) -> None:
        self._closed(self)
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        waits = self._waiter is not None and not self._waiter.done()
        self._head = self._head + len(data) if waits else 0
        if self._head > HEAD_BYTES and self.transport is not None:
            self.transport.write(_refusal(Problem("bad_request", "the head of the request is too long")))
            self.force_close()

    def abort(self) -> None:
        """Close at once: a close waits for who does not read."""
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP, or went wrong outside the guard."""
        if status >= 500:
            note("error", logging.ERROR, kind=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun")
        return _Refusal(Problem(BY_STATUS.get(status, "internal")))

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; aiohttp's own errors as problems."""
        if isinstance(resp, web.HTTPException) and resp.status >= 400:
            resp = _Refusal(Problem(BY_STATUS.get(resp.status, "bad_request")))
        return await super().finish_response(request, resp, start_time)


class _Refusal(web.Response):
    """A problem that is sent without the guard."""

    def __init__(self, problem: Problem) -> None:
        text, kind = json.dumps(problem.body()), "application/problem+json"
        headers = FIXED_HEADERS | problem.headers
        super().__init__(status=CODES[problem.code][0], text=text, content_type=kind, headers=headers)
        self.force_close()

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall("Server", None)


def _refusal(problem: Problem) -> bytes:
    """The same as bytes, where nobody can be asked for a whole request."""
    body = json.dumps(problem.body()).encode()
    own = {"Content-Type": "application/problem+json", "Content-Length": str(len(body))}
    lines = [f"{name}: {value}" for name, value in (FIXED_HEADERS | own | {"Connection": "close"}).items()]
    return "\r\n".join(["HTTP/1.1 400 Bad Request", *lines, "", ""]).encode() + body


def _worth(connection: _Connection) -> int:
    """Who goes first when there are too many: 0 without a request, 1 without a client, 2 with one."""
    request = connection._current_request
    return 0 if request is None else 1 + (CALLER in request)


def _room() -> int:
    """So many connections that files can still be opened."""
    try:
        import resource

        limit: Any = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except ImportError:  # Windows has no such limit
        return MOST
    return MOST if limit == resource.RLIM_INFINITY else max(_LEAST, min(MOST, limit - _RESERVED))

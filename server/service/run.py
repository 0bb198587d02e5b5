"""A server that listens: started, told its address, stopped."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web

from engines.errors import ConfigError
from server.service.app import Service, make_app
from server.service.crew import Worker
from server.service.log import note
from server.service.options import Options

#: Seconds that a connection may take from one request to the head of the next, or of its first.
HEAD_SECONDS = 30.0
#: Connections that wait to be accepted.
_BACKLOG = 512


class Server:
    """One that listens; `url` is its address, `code` pairs the next client."""

    def __init__(self, service: Service, runner: web.AppRunner, url: str) -> None:
        self.service, self._runner, self.url = service, runner, url
        self._sweep = asyncio.create_task(_close_idle(runner))

    @classmethod
    async def start(cls, options: Options, workers: Sequence[Worker] | None = None) -> Server:
        """Listen; the workers load behind it.  Raises ConfigError for an address that cannot be had."""
        try:
            listener = socket.create_server(
                (options.host, options.port), family=socket.AF_INET6 if ":" in options.host else socket.AF_INET
            )
        except OSError as error:
            raise ConfigError(f"cannot listen on {options.host} port {options.port}: {error.strerror}") from None
        options = replace(options, port=listener.getsockname()[1])
        if workers is None:
            workers = [Worker.of(options) for _ in range(options.workers)]
        service = Service(options, list(workers))
        runner = web.AppRunner(
            make_app(service), access_log=None, handle_signals=False, handler_cancellation=True,
            keepalive_timeout=HEAD_SECONDS, shutdown_timeout=2,
        )  # fmt: skip
        await runner.setup()
        await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        host = f"[{options.host}]" if ":" in options.host else options.host
        note("started", port=options.port)
        return cls(service, runner, f"http://{host}:{options.port}")

    @property
    def code(self) -> str:
        """The pairing code."""
        return self.service.clients.code

    async def stop(self) -> int:
        """End all jobs and close; how many photos were not finished."""
        lost = [job for job in self.service.jobs if not job.over]
        for job in self.service.queue.clear():
            job.end("failed", code="stopping")
        self._sweep.cancel()
        await self.service.crew.stop()
        await self._runner.cleanup()
        note("stopped", lost=len(lost))
        return len(lost)


async def _close_idle(runner: web.AppRunner) -> None:
    """Close connections that do not get to a whole request: aiohttp waits for its first one without end."""
    since: dict[web.RequestHandler, float] = {}
    while True:
        await asyncio.sleep(HEAD_SECONDS / 3)
        now = time.monotonic()
        idle = [c for c in (runner.server.connections if runner.server else []) if c._current_request is None]
        since = {connection: since.get(connection, now) for connection in idle}
        for connection, begun in since.items():
            if now - begun > HEAD_SECONDS:
                connection.force_close()

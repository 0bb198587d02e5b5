"""A server that listens: started, told its address, stopped."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web

from engines.errors import ConfigError
from server.service.app import Options, Service, make_app
from server.service.crew import Worker
from server.service.log import note

#: Seconds within which a connection must have sent a whole request's head.
_HEAD = 15.0
#: Connections at a time.
_CONNECTIONS = 512


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
            workers = [Worker.of(options.device, options.memory_mb) for _ in range(options.workers)]
        service = Service(options, list(workers))
        runner = web.AppRunner(
            make_app(service), access_log=None, handle_signals=False, handler_cancellation=True, keepalive_timeout=30,
            shutdown_timeout=2,
        )  # fmt: skip
        await runner.setup()
        await web.SockSite(runner, listener, backlog=_CONNECTIONS).start()
        host = f"[{options.host}]" if ":" in options.host else options.host
        note("started", port=options.port)
        return cls(service, runner, f"http://{host}:{options.port}")

    @property
    def code(self) -> str:
        """The pairing code."""
        return self.service.clients.code

    async def stop(self) -> int:
        """End running jobs and close; how many photos were not finished."""
        lost = [job for job in self.service.jobs.values() if not job.over]
        for job in lost:
            if job.state == "queued":
                self.service.queue.drop(job)
                job.end("failed", code="stopping")
        self._sweep.cancel()
        await self.service.crew.stop()
        await self._runner.cleanup()
        note("stopped", lost=len(lost))
        return len(lost)


async def _close_idle(runner: web.AppRunner) -> None:
    """Close connections that never get to a whole request."""
    since: dict[int, float] = {}
    while True:
        await asyncio.sleep(_HEAD / 3)
        server = runner.server
        if server is None:
            continue
        now, alive = time.monotonic(), {}
        for handler in server.connections:
            # A handler that has had a request is aiohttp's to time out.
            if getattr(handler, "_current_request", None) is None and getattr(handler, "_manager", None) is not None:
                begun = since.get(id(handler), now)
                alive[id(handler)] = begun
                if now - begun > 2 * _HEAD:
                    handler.force_close()
        since = alive

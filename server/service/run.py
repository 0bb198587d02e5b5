"""A server that listens: started, told its address, stopped."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aiohttp import web
from filelock import BaseFileLock, FileLock, Timeout

from engines.errors import ConfigError
from server.common.log import note
from server.service.options import Options
from server.service.routes import make_app
from server.service.service import Service
from server.service.work.crew import Worker

#: Seconds that a connection may take from one request to the head of the next, or of its first.
HEAD_SECONDS = 30.0
#: Connections that wait to be accepted.
_BACKLOG = 512


class Server:
    """One that listens; `url` is its address, `code` pairs the next client."""

    def __init__(self, service: Service, runner: web.AppRunner, url: str, lock: BaseFileLock) -> None:
        self.service, self._runner, self.url, self._lock = service, runner, url, lock
        self._sweep = asyncio.create_task(_close_idle(runner))

    @classmethod
    async def start(cls, options: Options, workers: Sequence[Worker] | None = None) -> Server:
        """Listen; the workers load behind it.

        Raises ConfigError for an address that cannot be had, a folder that another server uses, or lists in
        it that cannot be used.
        """
        lock = _lock(options.folder)
        try:
            listener = _listen(options.host, options.port)
            options = replace(options, port=listener.getsockname()[1])
            if workers is None:
                workers = _workers(options)
            service = Service(options, list(workers))
        except BaseException:
            lock.release()
            raise
        runner = web.AppRunner(
            make_app(service),
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            keepalive_timeout=HEAD_SECONDS,
            shutdown_timeout=2,
        )
        await runner.setup()
        await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        note("started", port=options.port)
        return cls(service, runner, f"http://{_shown(options.host)}:{options.port}", lock)

    @property
    def code(self) -> str:
        """The pairing code."""
        return self.service.pairing.code

    async def stop(self) -> int:
        """End all jobs and close; how many photos were not finished."""
        self.service.stopping = True
        self._sweep.cancel()
        unfinished = [job for job in self.service.jobs if not job.over]
        await self.service.crew.stop()
        for job in self.service.queue.clear():
            job.end("failed", code="stopping")
        await self._runner.cleanup()
        self._lock.release()
        lost = sum(job.state != "done" for job in unfinished)
        note("stopped", lost=lost)
        return lost


def _workers(options: Options) -> list[Worker]:
    """The workers of a server; they share the processor's cores.

    With 0 threads torch takes its own number.
    """
    threads = max(1, (os.cpu_count() or 1) // options.workers) if options.workers > 1 else 0
    return [Worker.protecting(options.device, threads, options.memory_mb) for _ in range(options.workers)]


def _lock(folder: Path) -> BaseFileLock:
    """One server a folder: two would each write their own list of clients."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(folder / "server.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(f"another server runs with the lists in {folder}: stop it first") from None
    return lock


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror}") from None


def _shown(host: str) -> str:
    """The host in a link for this machine: an address that stands for all addresses cannot be opened."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


async def _close_idle(runner: web.AppRunner) -> None:
    """Close connections that do not get to a whole request: aiohttp waits for a first one without end."""
    since: dict[tuple[web.RequestHandler, int], float] = {}
    while True:
        await asyncio.sleep(HEAD_SECONDS / 3)
        now = time.monotonic()
        idle = [c for c in (runner.server.connections if runner.server else []) if c._current_request is None]
        # By the count of requests: one that is only between two is not idle.
        since = {key: since.get(key, now) for key in ((c, c._request_count) for c in idle)}
        for (connection, _), begun in since.items():
            if now - begun > HEAD_SECONDS and connection.transport is not None:
                connection.transport.abort()  # not closed: that would wait for who does not read

"""A server that listens: started, told its address, stopped."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from engines.errors import ConfigError
from server.common.log import note
from server.common.network import links_of
from server.service.connections import Connections
from server.service.options import Options
from server.service.routes import make_app
from server.service.service import Service
from server.service.work.crew import Worker


class Server:
    """One that listens; `urls` are its addresses, `url` the first, `code` pairs the next client."""

    def __init__(
        self, service: Service, connections: Connections, urls: list[str], lock: BaseFileLock
    ) -> None:
        self.service, self.connections, self.urls, self._lock = service, connections, urls, lock
        self.url = urls[0]

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
        connections = Connections(make_app(service))
        await connections.listen(listener)
        note("started", port=options.port)
        return cls(service, connections, links_of(options.host, options.port), lock)

    @property
    def code(self) -> str:
        """The pairing code."""
        return self.service.pairing.code

    async def stop(self) -> int:
        """End all jobs and close; how many photos were not finished."""
        self.service.stopping = True
        unfinished = [job for job in self.service.jobs if not job.over]
        await self.service.crew.stop()
        for job in self.service.queue.clear():
            job.end("failed", code="stopping")
        await self.connections.close()
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

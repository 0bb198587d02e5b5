"""The workers: started, fed, watched, stopped, and started anew when they die."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from server.service import wire
from server.service.jobs import Job, Queue, Result

#: Seconds that a worker has to answer a cancel or to end before it is killed.
GRACE = 5.0
#: Seconds before a worker that died at its start is started again, doubled each time up to the last.
_PAUSES = (0.5, 30.0)


class Ended(Exception):
    """The worker is no more."""


class Worker:
    """One process, `server.service.worker`."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    def of(cls, device: str, memory_mb: int) -> Worker:
        """The worker that protects photos."""
        return cls((sys.executable, "-m", "server.service.worker", "--device", device, "--memory-mb", str(memory_mb)))

    @property
    def pid(self) -> int | None:
        """The process's number."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the process.  It is of no terminal's group: Ctrl-C ends the server, which ends it."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )

    async def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Raises Ended where there is nobody to send to."""
        if self._process is None or self._process.stdin is None:
            raise Ended
        try:
            self._process.stdin.write(wire.pack(header, body))
            self._process.stdin.write(body)
            await self._process.stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            raise Ended from error

    async def receive(self) -> wire.Frame:
        """The next frame.  Raises Ended at the end of them, or where one is none."""
        if self._process is None or self._process.stdout is None:
            raise Ended
        try:
            header, body = wire.sizes(await self._process.stdout.readexactly(wire.PREFIX))
            text = await self._process.stdout.readexactly(header)
            return wire.parse(text), await self._process.stdout.readexactly(body)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            raise Ended from error

    async def stop(self) -> None:
        """End the process, gently at first."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 1.0)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class Crew:
    """Takes jobs from the queue, one for each worker at a time."""

    def __init__(self, queue: Queue, workers: Sequence[Worker], *, limit: float, on_end: Callable[[Job], None]) -> None:
        """`limit` is the seconds that a job may run; `on_end` hears of every job that a worker had."""
        self._queue, self._workers, self._limit, self._on_end = queue, workers, limit, on_end
        self._tasks: list[asyncio.Task[None]] = []
        #: What the workers are: starting, ready, busy, unusable; and why the last could not be used.
        self.states = ["starting"] * len(workers)
        self.trouble = ""
        self.restarts = 0

    def start(self) -> None:
        """Start all workers; returns at once."""
        self._tasks = [asyncio.create_task(self._keep(i, worker)) for i, worker in enumerate(self._workers)]

    async def stop(self) -> None:
        """End all workers and the jobs that they have."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    async def _keep(self, number: int, worker: Worker) -> None:
        pause, longest = _PAUSES
        while True:
            begun = time.monotonic()
            self.states[number] = "starting"
            await worker.start()
            with suppress(Ended):
                await self._until_ready(number, worker)
                while True:
                    self.states[number] = "ready"
                    job = await self._queue.get()
                    self.states[number] = "busy"
                    await self._do(worker, job)
            await worker.stop()
            self.restarts += 1
            if time.monotonic() - begun > 60 or self.states[number] == "busy":
                pause = _PAUSES[0]
            if self.states[number] != "unusable":
                self.states[number] = "starting"
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    async def _until_ready(self, number: int, worker: Worker) -> None:
        """A photo that waits while no worker can be had fails with what is missing."""
        header, _ = await worker.receive()
        if header["event"] == "ready":
            self.trouble = ""
            return
        self.states[number], self.trouble = "unusable", header.get("detail", "")
        while len(self._queue):
            job = await self._queue.get()
            job.end("failed", code="models_missing", detail=self.trouble)
            self._on_end(job)
        raise Ended

    async def _do(self, worker: Worker, job: Job) -> None:
        """One job.  Raises Ended where the worker does not outlive it."""
        job.update(state="running")
        follow = asyncio.create_task(self._follow(worker, job))
        unwanted = asyncio.create_task(job.unwanted.wait())
        try:
            await asyncio.wait({follow, unwanted}, timeout=self._limit, return_when=asyncio.FIRST_COMPLETED)
            if not follow.done():
                end = ("cancelled", "cancelled") if unwanted.done() else ("failed", "timeout")
                with suppress(Ended):
                    await worker.send({"do": "cancel", "job": job.id})
                await asyncio.wait({follow}, timeout=GRACE)
                job.end(end[0], code=end[1])  # type: ignore[arg-type]
                if not follow.done():
                    raise Ended  # it hangs
            follow.result()
        except Ended:
            job.end("failed", code="worker_failed")
            raise
        except asyncio.CancelledError:
            job.end("failed", code="stopping")
            raise
        finally:
            follow.cancel()
            unwanted.cancel()
            self._on_end(job)

    async def _follow(self, worker: Worker, job: Job) -> None:
        await worker.send({"do": "protect", "job": job.id, "settings": job.settings}, job.photo)
        preview = b""
        while True:
            header, body = await worker.receive()
            if header.get("job") != job.id:
                continue
            event = header["event"]
            if event == "progress":
                if not job.over:
                    job.progress(header)
            elif event == "preview":
                preview = body
            elif event == "done":
                job.end("done", result=Result(body, preview, header["report"]))
                return
            elif event == "cancelled":
                return  # whoever asked for it says why
            else:
                job.end("failed", code=header["code"], detail=header["detail"])
                return

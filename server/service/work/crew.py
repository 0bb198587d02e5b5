"""The crew of workers: it starts, feeds, watches and stops them, and replaces dead ones."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from server.common.log import note
from server.common.problems import CODES
from server.service.work import wire
from server.service.work.jobs import Job, Photo, Queue, Result, State

#: Seconds that a worker has to answer a cancel or to end before it is killed.
GRACE = 5.0
#: Bytes of a result that are read at a time.
_PIECE = 1 << 18
#: A worker that died at its start so many times in a row is of no use: photos do not wait for it, nor is one
#: given to more workers that are dead before they begin it.
_ATTEMPTS = 3
NOTHING = Photo()
#: Where the worker is started: Python runs what lies in the folder that it is started in, and that may be
#: anybody's.
_HOME = Path(__file__).parents[3]
#: Seconds that a worker may take to load its networks, which are fetched at the first time.
_LOADING = 1800.0
#: Seconds before a worker that died at its start is started again, doubled each time up to the last.
_PAUSES = (0.5, 30.0)


class Ended(Exception):
    """The worker is no more."""


class Unusable(Exception):
    """The worker cannot load its networks: the message names the missing part."""


class Worker:
    """One process, `server.service.work.worker`."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._sending = asyncio.Lock()

    @classmethod
    def protecting(cls, device: str, threads: int, memory_mb: int) -> Worker:
        """A worker that protects photos; for the values see `server.service.work.worker`."""
        module = "server.service.work.worker"
        values = "--device", device, "--threads", str(threads), "--memory-mb", str(memory_mb)
        return cls((sys.executable, "-m", module, *values))

    @property
    def pid(self) -> int | None:
        """The process's number."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the process.

        It is of no terminal's group: Ctrl-C ends the server, which ends it.  Nobody reads its standard error:
        libraries may say there what they found in a photo.
        """
        pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=nowhere, start_new_session=True, cwd=_HOME
        )

    async def send(self, header: dict[str, Any], photo: Photo = NOTHING) -> None:
        """Send a frame.  Raises Ended where the process is gone."""
        if self._process is None or self._process.stdin is None:
            raise Ended
        stream = self._process.stdin
        async with self._sending:  # a frame amid another would be read as a part of it
            try:
                stream.write(wire.pack(header, photo.size))
                for piece in photo.pieces:
                    stream.write(piece)
                    await stream.drain()
            except (ConnectionError, RuntimeError) as error:
                raise Ended from error

    async def receive(self) -> tuple[dict[str, Any], bytearray]:
        """The next frame.  Raises Ended at the end of them, or where one is none."""
        if self._process is None or self._process.stdout is None:
            raise Ended
        stream = self._process.stdout
        try:
            header_size, size = wire.sizes(await stream.readexactly(wire.PREFIX))
            header = wire.parse(await stream.readexactly(header_size))
            body = bytearray()
            while len(body) < size:
                body += await stream.readexactly(min(_PIECE, size - len(body)))
            return header, body
        except Exception as error:  # the end, or the nonsense of a worker that a photo has taken over
            raise Ended from error

    async def gone(self) -> None:
        """Return when the process has ended."""
        if self._process is not None:
            await self._process.wait()

    async def stop(self) -> None:
        """End the process, gently at first; it does not outlive this call, even a cancelled one."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):  # not wait_for, which in Python 3.11 may lose a cancellation
                    await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


class Crew:
    """Takes jobs from the queue, one for each worker at a time."""

    def __init__(
        self, queue: Queue, workers: Sequence[Worker], *, limit: float, on_end: Callable[[Job], None]
    ) -> None:
        """`limit` is the seconds that a job may run; `on_end` hears of every job that a worker had."""
        self._queue, self._workers, self._limit, self._on_end = queue, workers, limit, on_end
        self._tasks: list[asyncio.Task[None]] = []
        #: What the workers are: starting, ready, busy, unusable; and why the last could not be used.
        self.states = ["starting"] * len(workers)
        self.trouble = ""
        self.restarts = 0

    @property
    def pids(self) -> list[int | None]:
        """The numbers of the workers' processes; None for one that does not run."""
        return [worker.pid for worker in self._workers]

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
        """Keep one worker at work until this is cancelled; a dead process is replaced."""
        pause, longest = _PAUSES
        failures = 0
        while True:
            self.states[number] = "starting"
            try:
                await worker.start()
                await self._until_ready(worker)
                failures, pause = 0, _PAUSES[0]
                while True:
                    self.states[number] = "ready"
                    job = await self._next(worker)
                    self.states[number] = "busy"
                    if not job.over:  # by a cancelling that came in between
                        await self._do(worker, job)
            except (Ended, OSError):
                failures += self.states[number] == "starting"
            except Unusable as error:
                failures, self.trouble = _ATTEMPTS, str(error)
            await worker.stop()
            note("worker", logging.WARNING, state="ended", was=self.states[number])
            self.restarts += 1
            self.states[number] = "unusable" if failures >= _ATTEMPTS else "starting"
            self._let_down()
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    async def _until_ready(self, worker: Worker) -> None:
        """Return when its networks are loaded.  Raises Unusable where they cannot be, Ended where it died."""
        try:
            async with asyncio.timeout(_LOADING):
                header, _ = await worker.receive()
        except TimeoutError:
            raise Unusable("loading the networks takes too long") from None
        if header.get("event") != "ready":
            raise Unusable(str(header.get("detail", "")))
        self.trouble = ""
        note("worker", state="ready", device=str(header.get("device")))

    async def _next(self, worker: Worker) -> Job:
        """A job.  Raises Ended, and keeps the job for another, where the worker dies while there is none."""
        job, gone = asyncio.create_task(self._queue.get()), asyncio.create_task(worker.gone())
        try:
            await asyncio.wait({job, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not gone.done():
                return job.result()
            if job.done():
                self._queue.put_back(job.result())
            raise Ended
        except asyncio.CancelledError:
            if job.done():
                self._queue.put_back(job.result())
            raise
        finally:
            job.cancel()
            gone.cancel()

    def _let_down(self) -> None:
        """Fail the waiting photos while no worker is usable, with the cause."""
        if set(self.states) == {"unusable"}:
            for job in self._queue.clear():
                job.end(
                    "failed", code="models_missing", detail=self.trouble or "the worker dies at its start"
                )
                self._on_end(job)

    async def _do(self, worker: Worker, job: Job) -> None:
        """One job.  Raises Ended where the worker does not outlive it."""
        job.start()
        follow = asyncio.create_task(self._follow(worker, job))
        unwanted = asyncio.create_task(job.unwanted.wait())
        try:
            await asyncio.wait({follow, unwanted}, timeout=self._limit, return_when=asyncio.FIRST_COMPLETED)
            if not follow.done():
                state: State = "cancelled" if unwanted.done() else "failed"
                code = "cancelled" if unwanted.done() else "timeout"
                with suppress(Ended, TimeoutError):
                    async with asyncio.timeout(GRACE):
                        await worker.send({"do": "cancel", "job": job.id})
                await asyncio.wait({follow}, timeout=GRACE)
                if not job.over:  # it may have been done at the last moment
                    job.end(state, code=code)
                if not follow.done():
                    raise Ended  # it hangs
            follow.result()
            if not job.over:
                job.end("failed", code="worker_failed")
        except Ended:
            job.attempts += 1
            if not job.over:
                if job.begun or job.attempts == _ATTEMPTS:
                    job.end("failed", code="worker_failed")
                else:  # it was dead already: the photo had no part in it
                    self._queue.put_back(job)
            raise
        except asyncio.CancelledError:
            if not job.over:
                job.end("failed", code="stopping")
            raise
        finally:
            follow.cancel()
            unwanted.cancel()
            if job.over:
                self._on_end(job)

    async def _follow(self, worker: Worker, job: Job) -> None:
        """Hear of a job until it is over.  Raises Ended where the worker dies, or talks nonsense."""
        asked = {"do": job.kind, "job": job.id, "settings": job.settings, "owner": job.owner}
        await worker.send(asked, job.photo)
        preview = bytearray()
        while True:
            header, body = await worker.receive()
            try:
                if header["job"] != job.id:
                    continue
                event = header["event"]
                if event == "begun":
                    job.begun = True
                elif event == "progress":
                    job.progress(header)
                elif event == "preview":
                    preview = body
                elif event == "done":
                    return job.end("done", result=Result(body, preview, header["report"]))
                elif event == "cancelled":
                    return None  # the caller that cancelled it gives the reason
                else:
                    if header["where"]:
                        note("error", logging.ERROR, where=[_place(entry) for entry in header["where"][:4]])
                    return job.end("failed", code=_known(header["code"]), detail=header["detail"])
            except Exception as error:  # as in `receive`
                raise Ended from error


def _place(entry: object) -> str:
    """A place in the program, and nothing else that a worker might say."""
    return entry if isinstance(entry, str) and re.fullmatch(r"[\w<>]{1,60}(:\d{1,6})?", entry) else "?"


def _known(code: str) -> str:
    return code if code in CODES else "internal"

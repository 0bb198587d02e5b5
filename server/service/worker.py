"""The process that does the work: `python -m server.service.worker`, started by the server, one photo at a time.

It reads frames from standard input (`server.service.wire`) and writes them to standard output; whatever else
prints goes to standard error.  A photo is decoded here and nowhere else, so that what kills a decoder kills
one job and not the server.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
import traceback
from typing import Any, BinaryIO

from server.service import wire

#: Exceptions of the engines -> codes of `problems`.
_CODES = {"ConfigError": "bad_option", "ImageError": "bad_image", "NoFaceError": "no_face", "OutputError": "bad_image"}


class Cancelled(Exception):
    """The job that runs is no longer wanted."""


class Worker:
    """Jobs in, progress and results out."""

    def __init__(self, inbox: BinaryIO, outbox: BinaryIO, device: str) -> None:
        self._inbox, self._outbox, self._device = inbox, outbox, device
        self._jobs: queue.Queue[wire.Frame | None] = queue.Queue()
        self._unwanted: set[str] = set()

    def run(self) -> None:
        """Load the networks, then work until the input ends."""
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            stack = self._load()
        except Exception as error:
            self._tell({"event": "unusable", "detail": _line(error)})
            return
        self._tell({"event": "ready", "device": str(stack.device)})
        while (frame := self._jobs.get()) is not None:
            header, body = frame
            self._attempt(header, body, stack)

    def _listen(self) -> None:
        while True:
            frame = wire.read(self._inbox)
            if frame is not None and frame[0]["do"] == "cancel":
                self._unwanted.add(frame[0]["job"])
                continue
            self._jobs.put(frame)
            if frame is None:
                os._exit(0)  # the server is gone: nobody waits for what is being done

    def _load(self) -> Any:
        from engines.runtime import tune_allocator
        from engines.stack import Stack

        tune_allocator()
        stack = Stack.embedded(self._device)
        _ = stack.prompter  # its libraries take seconds to import
        return stack

    def _attempt(self, header: dict[str, Any], body: bytes, stack: Any) -> None:
        job = header["job"]
        try:
            self._protect(header, body, stack)
        except Cancelled:
            self._tell({"event": "cancelled", "job": job})
        except Exception as error:
            code = next((_CODES[k.__name__] for k in type(error).__mro__ if k.__name__ in _CODES), "internal")
            if isinstance(error, MemoryError):
                code = "worker_failed"
            if code == "internal":
                traceback.print_tb(error.__traceback__)  # where, not what: a message may hold a name
            self._tell(
                {"event": "failed", "job": job, "code": code, "detail": "" if code == "internal" else _line(error)}
            )
        finally:
            self._unwanted.discard(job)

    def _protect(self, header: dict[str, Any], body: bytes, stack: Any) -> None:
        from engines import imaging
        from engines.config import Settings
        from engines.pipeline import Event, protect

        job = header["job"]

        def tell(event: Event) -> None:
            if job in self._unwanted:
                raise Cancelled
            self._tell({
                "event": "progress", "job": job, "stage": event.stage, "face": event.face, "faces": event.faces,
                "done": event.done, "total": event.total, "similarity": event.similarity,
            })  # fmt: skip

        if job in self._unwanted:
            raise Cancelled
        protected = protect(imaging.decode(body), stack, Settings(**header["settings"]), tell)
        if job in self._unwanted:
            raise Cancelled
        from server.cli.compare import comparison

        self._tell({"event": "preview", "job": job}, comparison(protected))
        self._tell({"event": "done", "job": job, "report": protected.report}, protected.data)

    def _tell(self, header: dict[str, Any], body: bytes = b"") -> None:
        self._outbox.write(wire.pack(header, body))
        self._outbox.write(body)
        self._outbox.flush()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def main() -> int:
    """Parse, keep standard output for frames, limit memory, work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--memory-mb", type=int, default=0, help="most memory that it may take, 0 for any")
    args = parser.parse_args()
    outbox = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if args.memory_mb:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (args.memory_mb << 20, args.memory_mb << 20))
    Worker(sys.stdin.buffer, outbox, args.device).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

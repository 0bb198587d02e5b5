"""The process that does the work, one photo at a time: `python -m server.service.work.worker`.

It reads frames from standard input (`server.service.work.wire`) and writes them to standard output; whatever
else prints goes to standard error.  A photo is decoded here and nowhere else, so that what kills a decoder
kills one job and not the server.  Its memory is limited, so that a photo that takes too much fails alone.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
import traceback
from typing import Any, BinaryIO

from engines.errors import (
    ConfigError,
    CrowdError,
    ImageError,
    ModelError,
    NoFaceError,
    NotMineError,
    OutputError,
)
from server.common.errors import out_of_memory, reason
from server.service.work import wire

#: What the engines raise -> code of `problems`; the first that fits counts.
_CODES: dict[type[Exception], str] = {
    ConfigError: "bad_option",
    ImageError: "bad_image",
    NotMineError: "not_mine",
    CrowdError: "several_faces",
    NoFaceError: "no_face",
    OutputError: "bad_image",
    ModelError: "models_missing",
}


class Cancelled(Exception):
    """The job that runs is no longer wanted."""


class JobRunner:
    """Jobs in, progress and results out."""

    def __init__(
        self, inbox: BinaryIO, outbox: BinaryIO, *, device: str, threads: int, memory_mb: int
    ) -> None:
        """`threads` 0: torch's own choice; `memory_mb` 0: three quarters of the machine's."""
        self._inbox, self._outbox = inbox, outbox
        self._device, self._threads, self._memory_mb = device, threads, memory_mb
        self._jobs: queue.Queue[wire.Frame | None] = queue.Queue()
        self._unwanted: set[str] = set()

    def run(self) -> None:
        """Load the networks, then work until the input ends."""
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            stack = self._load()
        except Exception as error:
            self._tell({"event": "unusable", "detail": reason(error)})
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
        import torch

        from engines.load import embedded_stack
        from engines.runtime import limit_memory, tune_allocator

        tune_allocator()
        if self._threads:
            torch.set_num_threads(self._threads)
        stack = embedded_stack(self._device)
        _ = stack.prompter  # its libraries take seconds to import
        if stack.device.type == "cpu":  # CUDA reserves more addresses than there is memory
            limit_memory(self._memory_mb)
        return stack

    def _attempt(self, header: dict[str, Any], body: bytes, stack: Any) -> None:
        from engines.runtime import release_memory

        job = header["job"]
        self._tell({"event": "begun", "job": job})
        try:
            {"protect": self._protect, "enrol": self._enrol, "look": self._look}[header["do"]](
                header, body, stack
            )
        except Cancelled:
            self._tell({"event": "cancelled", "job": job})
        except Exception as error:
            code, detail, where = _failure(error)
            self._tell({"event": "failed", "job": job, "code": code, "detail": detail, "where": where})
        finally:
            self._unwanted.discard(job)
            release_memory()  # of a photo that failed, too

    def _protect(self, header: dict[str, Any], body: bytes, stack: Any) -> None:
        from engines.config import Settings
        from engines.photo.decode import decode
        from engines.pipeline import Event, protect
        from server.common.compare import comparison
        from server.common.enrolled import owner_of

        job = header["job"]

        def tell(event: Event) -> None:
            if job in self._unwanted:
                raise Cancelled
            self._tell(
                {
                    "event": "progress",
                    "job": job,
                    "stage": event.stage,
                    "face": event.face,
                    "faces": event.faces,
                    "done": event.done,
                    "total": event.total,
                    "similarity": event.similarity,
                }
            )

        if job in self._unwanted:
            raise Cancelled
        owner = owner_of(header["owner"])
        protected = protect(decode(body), stack, Settings.from_options(header["settings"]), tell, owner)
        if job in self._unwanted:
            raise Cancelled
        self._tell({"event": "preview", "job": job}, comparison(protected, "JPEG"))
        self._tell({"event": "done", "job": job, "report": protected.report}, protected.data)

    def _enrol(self, header: dict[str, Any], body: bytes, stack: Any) -> None:
        from engines.owner import enrol
        from engines.photo.decode import decode
        from server.common.enrolled import plain

        identity = enrol(stack, decode(body))
        self._tell({"event": "done", "job": header["job"], "report": {"embeddings": plain(identity)}})

    def _look(self, header: dict[str, Any], body: bytes, stack: Any) -> None:
        from engines.owner import label_faces
        from engines.photo.decode import decode
        from server.common.enrolled import owner_of

        found = label_faces(stack, decode(body), owner_of(header["owner"]))
        faces = [{"box": [round(float(side), 1) for side in face.box], "mine": mine} for face, mine in found]
        self._tell({"event": "done", "job": header["job"], "report": {"faces": faces}})

    def _tell(self, header: dict[str, Any], body: bytes = b"") -> None:
        self._outbox.write(wire.pack(header, len(body)))
        self._outbox.write(body)
        self._outbox.flush()


def _failure(error: Exception) -> tuple[str, str, list[str]]:
    """Code, detail and, where nobody foresaw it, the place: a foreign message may hold anything."""
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code, " ".join(str(error).split()), []
    if out_of_memory(error):
        return "out_of_memory", "", []
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return "internal", "", [type(error).__name__, *(f"{frame.name}:{frame.lineno}" for frame in frames)]


def main() -> int:
    """Parse, keep standard output for frames, work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--memory-mb", type=int, default=0)
    args = parser.parse_args()
    outbox = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    JobRunner(
        sys.stdin.buffer, outbox, device=args.device, threads=args.threads, memory_mb=args.memory_mb
    ).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Jobs: what was asked, how far it is, what came of it; the queue they wait in and the results that are kept."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, Literal

from server.service.problems import CODES, Problem

State = Literal["queued", "running", "done", "failed", "cancelled"]
#: Stages of a face in their order, and the part of its time that each takes.
STAGES = {"invert": 0.3, "tune": 0.0, "search": 0.7}


@dataclass(frozen=True)
class Result:
    """A protected photo, the picture of before and after, and the engines' report."""

    data: bytes
    preview: bytes
    report: dict[str, Any]

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self.data) + len(self.preview)


@dataclass(eq=False)
class Job:
    """One photo on its way.  All of it lives on the event loop."""

    client: str
    settings: dict[str, Any]
    photo: bytes
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = "queued"
    stage: str = ""
    face: int = 0
    faces: int = 0
    fraction: float = 0.0
    similarity: float | None = None
    code: str = ""
    detail: str = ""
    result: Result | None = None
    cached: bool = False
    expired: bool = False
    created: float = field(default_factory=time.time)
    ended: float | None = None
    #: Counts changes, so that whoever watches knows what was seen.
    number: int = 0
    unwanted: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("done", "failed", "cancelled")

    def update(self, **changes: Any) -> None:
        """Change fields and wake those who watch."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.number += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def end(self, state: State, *, code: str = "", detail: str = "", result: Result | None = None) -> None:
        """The last change; the photo is let go."""
        if not self.over:
            fraction = 1.0 if state == "done" else self.fraction
            self.photo = b""
            self.update(state=state, code=code, detail=detail, result=result, ended=time.time(), fraction=fraction)

    def progress(self, event: dict[str, Any]) -> None:
        """A step of the engines."""
        before, share = 0.0, 0.0
        for stage, part in STAGES.items():
            if stage == event["stage"]:
                share = part * event["done"] / max(event["total"], 1)
                break
            before += part
        else:
            before = 1.0
        face, faces = event["face"], max(event["faces"], 1)
        fraction = max(self.fraction, min(0.99, (face - 1 + before + share) / faces))
        self.update(stage=event["stage"], face=face, faces=faces, fraction=fraction, similarity=event["similarity"])

    async def change(self, seen: int) -> None:
        """Return when there is more than change number `seen`."""
        while self.number <= seen:
            await self._changed.wait()

    def status(self) -> dict[str, Any]:
        """What a client may see of it, ready for JSON."""
        status: dict[str, Any] = {
            "id": self.id, "state": self.state, "stage": self.stage, "face": self.face, "faces": self.faces,
            "progress": round(self.fraction, 4), "similarity": self.similarity, "created": self.created,
            "ended": self.ended, "cached": self.cached, "expired": self.expired,
        }  # fmt: skip
        if self.code:
            status["error"] = Problem(self.code, self.detail).body()
        if self.result is not None:
            status["report"] = self.result.report
        return status

    def failure(self) -> Problem:
        """Why there is no result."""
        return Problem(self.code if self.code in CODES else "internal", self.detail)


class Queue:
    """Waiting jobs, bounded in number and bytes; clients take turns, each with its jobs in order."""

    def __init__(self, length: int, size: int) -> None:
        self.length, self.size = length, size
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._waiting.values())

    def check(self, more: int = 0) -> None:
        """Raises Problem `queue_full` where a photo of so many bytes has no room."""
        held = sum(len(job.photo) for jobs in self._waiting.values() for job in jobs)
        if len(self) >= self.length or held + more > self.size:
            raise Problem("queue_full", headers={"Retry-After": "10"})

    def put(self, job: Job) -> None:
        """Raises as `check`."""
        self.check(len(job.photo))
        self._waiting.setdefault(job.client, deque()).append(job)
        self._some.set()

    async def get(self) -> Job:
        """The next client's first job; that client is then last in turn."""
        while True:
            for client, jobs in list(self._waiting.items()):
                job = jobs.popleft()
                del self._waiting[client]
                if jobs:
                    self._waiting[client] = jobs
                if not job.over:
                    return job
            self._some.clear()
            await self._some.wait()

    def drop(self, job: Job) -> None:
        """Forget a job that waits; nothing happens where it does not."""
        jobs = self._waiting.get(job.client)
        if jobs is not None and job in jobs:
            jobs.remove(job)
            if not jobs:
                del self._waiting[job.client]


class Results:
    """Results by what was asked, in memory, the least lately asked for go first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._known: OrderedDict[str, tuple[float, Result]] = OrderedDict()

    @staticmethod
    def key(photo: bytes, settings: dict[str, Any]) -> str:
        """What makes two requests the same."""
        asked = json.dumps(settings, sort_keys=True).encode()
        return hashlib.sha256(hashlib.sha256(photo).digest() + asked).hexdigest()

    def get(self, key: str) -> Result | None:
        """The result, if it is kept."""
        if key not in self._known:
            return None
        self._known.move_to_end(key)
        return self._known[key][1]

    def put(self, key: str, result: Result) -> None:
        """Keep a result, if there is room for it at all."""
        self._known.pop(key, None)
        self._known[key] = time.monotonic(), result
        while sum(kept.size for _, kept in self._known.values()) > self.size:
            self._known.popitem(last=False)

    def expire(self, seconds: float) -> None:
        """Drop what is older."""
        oldest = time.monotonic() - seconds
        for key in [key for key, (since, _) in self._known.items() if since < oldest]:
            del self._known[key]

"""Jobs, with their state and result; the queue in which they wait; the results that are kept."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from server.common.problems import Problem

State = Literal["queued", "running", "done", "failed", "cancelled"]
#: Jobs that are remembered; the oldest ended ones are forgotten first.
REMEMBERED = 4096
#: Faces of a photo that are told apart.
MOST_FACES = 1000


@dataclass(frozen=True)
class Photo:
    """A photo in the pieces of its upload, with its size in bytes and its sha256.

    The pieces are never joined: that would hold up the event loop.
    """

    pieces: tuple[bytes, ...] = ()
    size: int = 0
    digest: str = ""


@dataclass(frozen=True)
class Result:
    """A protected photo, the picture of before and after (JPEG), and the engines' report."""

    data: bytes | bytearray
    preview: bytes | bytearray
    report: dict[str, Any]

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self.data) + len(self.preview)


@dataclass
class FaceStatus:
    """One face of a job: `state` is waiting, working or done; `similarity` as in `engines.pipeline.Event`."""

    state: str = "waiting"
    stage: str = ""
    progress: float = 0.0
    similarity: float | None = None


@dataclass(eq=False)
class Job:
    """One photo on its way.  All of it lives on the event loop."""

    client: str
    settings: dict[str, Any]
    photo: Photo
    key: str
    #: What a worker does with it: protect the photo, learn the owner's face from it, or say which faces it
    #: shows.
    kind: Literal["protect", "enrol", "look"] = "protect"
    #: The owner's embeddings, where that face is to be told from others.
    owner: list[Any] = field(default_factory=list)
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = "queued"
    face: int = 0
    faces: list[FaceStatus] = field(default_factory=list)
    code: str = ""
    detail: str = ""
    result: Result | None = None
    cached: bool = False
    expired: bool = False
    created: float = field(default_factory=time.time)
    ended: float | None = None
    #: Whether a worker has taken it up, and to how many it was given that had not.
    begun: bool = False
    attempts: int = 0
    #: Number of changes so far; a watcher names the last one that it knows.
    number: int = 0
    unwanted: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("done", "failed", "cancelled")

    def start(self) -> None:
        """A worker takes the job."""
        self.state = "running"
        self._notify()

    def wait_again(self) -> None:
        """The job goes back into the queue."""
        self.state = "queued"
        self._notify()

    def end(self, state: State, *, code: str = "", detail: str = "", result: Result | None = None) -> None:
        """The last change of a job that is not over; the photo is let go."""
        if self.over:
            raise ValueError(f"the job is over: {self.state}")
        self.photo = Photo()
        for face in self.faces if state == "done" else ():
            face.state, face.progress = "done", 1.0
        self.state, self.code, self.detail, self.result, self.ended = state, code, detail, result, time.time()
        self._notify()

    def require_result(self) -> Result:
        """The result.  Raises Problem where there is none: not yet, no more, or the job's own."""
        if self.result is not None:
            return self.result
        if self.expired:
            raise Problem("expired")
        raise Problem(self.code, self.detail) if self.over else Problem("not_ready")

    def drop_result(self) -> None:
        """Let the result go; a later request for it is told so."""
        if self.result is not None:
            self.result, self.expired = None, True
            self._notify()

    def progress(self, event: dict[str, Any]) -> None:
        """A step of the engines: the fields of `engines.pipeline.Event`.

        A job that is over does not change.
        """
        if self.over:
            return
        if not self.faces:
            self.faces = [FaceStatus() for _ in range(min(event["faces"], MOST_FACES))]
        for number, face in enumerate(self.faces, 1):
            if number < event["face"]:
                face.state, face.progress = "done", 1.0
            elif number == event["face"]:
                progress = max(
                    face.progress, _part(self.settings, event["stage"], event["done"], event["total"])
                )
                similarity = face.similarity if event["similarity"] is None else event["similarity"]
                self.faces[number - 1] = FaceStatus("working", event["stage"], progress, similarity)
        self.face = event["face"]
        self._notify()

    async def change(self, seen: int) -> None:
        """Return when there is more than change number `seen`."""
        while self.number <= seen:
            await self._changed.wait()

    def _notify(self) -> None:
        """Count a change, and wake those who wait for it."""
        self.number += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def status(self) -> dict[str, Any]:
        """What a client may see of it, ready for JSON."""
        now = self.faces[self.face - 1] if self.face else FaceStatus()
        part = sum(face.progress for face in self.faces) / max(len(self.faces), 1)
        status: dict[str, Any] = {
            "id": self.id,
            "state": self.state,
            "stage": now.stage,
            "face": self.face,
            "faces": [vars(face) for face in self.faces],
            "progress": 1.0 if self.state == "done" else min(0.99, round(part, 4)),
            "similarity": now.similarity,
            "created": self.created,
            "ended": self.ended,
            "cached": self.cached,
            "expired": self.expired,
        }
        if self.code:
            status["error"] = Problem(self.code, self.detail).body()
        if self.result is not None:
            status["report"] = self.result.report
        return status


def _part(settings: dict[str, Any], stage: str, done: int, total: int) -> float:
    """Part of a face's work that is done: weighted by the seconds of each stage on two cores of a CPU."""
    generator, chosen = settings["render"] == "generator", "auto" in (settings["prompt"], settings["target"])
    seconds = {
        "invert": 1.6,
        "tune": 72.0 if generator else 0.0,
        "choose": 17.0 if chosen else 0.0,
        "search": 23.0 if generator else 10.0,
        "render": 0.5,
    }
    stages = list(seconds)
    before = sum(seconds[name] for name in stages[: stages.index(stage)])
    return round((before + seconds[stage] * done / max(total, 1)) / sum(seconds.values()), 4)


class Queue:
    """Waiting jobs, bounded in number and bytes; clients take turns, each with its jobs in order.

    What takes a moment goes before what takes seconds.
    """

    def __init__(self, length: int, size: int) -> None:
        """`length` is the most jobs, `size` the most bytes of photos that wait or are being received."""
        self._length, self._size = length, size
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()
        self._some = asyncio.Event()
        self._receiving = 0

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._waiting.values())

    def receive(self, more: int) -> None:
        """Count bytes of a photo that comes in (negative: it is here, or gave up).

        Raises Problem `queue_full` where they, or the job that they will be, have no room.
        """
        held = sum(job.photo.size for jobs in self._waiting.values() for job in jobs)
        if more >= 0 and (len(self) >= self._length or held + self._receiving + more > self._size):
            raise Problem("queue_full", headers={"Retry-After": "10"})
        self._receiving += more

    def put(self, job: Job) -> None:
        """Raises as `receive`."""
        self.receive(job.photo.size)
        self.receive(-job.photo.size)
        waiting = self._waiting.setdefault(job.client, deque())
        waiting.insert(
            len(waiting) if job.kind == "protect" else sum(w.kind != "protect" for w in waiting), job
        )
        self._some.set()

    async def get(self) -> Job:
        """The next client's first job; that client is then last in turn."""
        while True:
            for client, jobs in list(self._waiting.items()):
                job = jobs.popleft()
                del self._waiting[client]
                if jobs:
                    self._waiting[client] = jobs
                return job
            self._some.clear()
            await self._some.wait()

    def put_back(self, job: Job) -> None:
        """Make a job that was taken, and not begun, the next."""
        if job.over:
            return
        job.wait_again()
        self._waiting.setdefault(job.client, deque()).appendleft(job)
        self._waiting.move_to_end(job.client, last=False)
        self._some.set()

    def clear(self) -> list[Job]:
        """Forget all jobs that wait, and return them."""
        jobs = [job for waiting in self._waiting.values() for job in waiting]
        self._waiting.clear()
        return jobs

    def drop(self, job: Job) -> None:
        """Forget a job that waits; nothing happens where it does not."""
        jobs = self._waiting.get(job.client)
        if jobs is not None and job in jobs:
            jobs.remove(job)
            if not jobs:
                del self._waiting[job.client]


class Jobs:
    """Every job that is remembered, and with them the results, bounded in bytes and in time."""

    def __init__(self, size: int, keep: float) -> None:
        """`size` is the most bytes of results, `keep` the seconds that one is kept."""
        self._size, self._keep = size, keep
        self._known: OrderedDict[str, Job] = OrderedDict()

    def __iter__(self) -> Iterator[Job]:
        return iter(self._known.values())

    def add(self, job: Job) -> None:
        """Remember a job."""
        self._known[job.id] = job
        self.tidy()

    def find(self, number: str, client: str) -> Job:
        """A client's job.  Raises Problem where there is none, or it is another's."""
        job = self._known.get(number)
        if job is None or job.client != client:
            raise Problem("not_found")
        return job

    def same(self, key: str) -> Result | None:
        """The result of a job that asked for the same: content addresses it."""
        return next(
            (j.result for j in reversed(self._known.values()) if j.key == key and j.result is not None), None
        )

    def tidy(self) -> None:
        """Let go results that are too old or too many; the latest one stays, however large."""
        now, held, seen = time.time(), 0, set[int]()
        over = [job for job in self._known.values() if job.ended is not None]
        over.sort(key=lambda job: job.ended or 0, reverse=True)
        for job in over:
            age = now - (job.ended or now)
            if job.result is not None:
                held += 0 if id(job.result) in seen else job.result.size
                seen.add(id(job.result))
                if age > self._keep or (held > self._size and len(seen) > 1):
                    job.drop_result()
            if age > 4 * self._keep:
                del self._known[job.id]
        excess = max(0, len(self._known) - REMEMBERED)
        for job in reversed(over[-excess:] if excess else ()):
            self._known.pop(job.id, None)

"""The service: the life of jobs, from the queue to an expired result; `routes` hands requests to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Literal

from engines.errors import ConfigError
from server.common.enrolled import Enrolled, EnrolledPhoto
from server.common.log import note
from server.common.problems import Problem
from server.service.clients import Client, Clients
from server.service.figures import Figures
from server.service.options import Options
from server.service.pairing import Pairing
from server.service.sessions import Sessions
from server.service.work.crew import Crew, Worker
from server.service.work.jobs import Job, Jobs, Photo, Queue, Result

#: Seconds between two searches for expired results.
_SWEEP = 5.0


class Service:
    """Clients, the enrolled owner, the queue, the workers and the results of one server."""

    def __init__(self, options: Options, workers: Sequence[Worker]) -> None:
        """Raises ConfigError for a list of clients that cannot be used."""
        self.options = options
        self.clients = Clients(options.folder / "clients.json")
        self.pairing, self.sessions = Pairing(self.clients), Sessions(self.clients)
        self.enrolled = Enrolled(options.folder / "owner.json")
        self.jobs = Jobs(options.keep_mb << 20, options.keep_seconds)
        self.queue = Queue(options.queue_length, options.queue_mb << 20)
        self.figures = Figures()
        self.stopping = False
        self.crew = Crew(self.queue, workers, limit=options.job_seconds, on_end=self._job_ended)

    def submit(self, client: Client, photo: Photo, settings: dict[str, Any]) -> Job:
        """A new job that protects a photo; a cached result ends it at once.

        Raises Problem where there is no room, the client was revoked in the meantime, or no owner is
        enrolled.
        """
        self._require(client)
        owner = self.owner_photos() if settings["faces"] == "mine" else []
        if settings["faces"] == "mine" and not owner:
            raise Problem("nobody_enrolled")
        request = json.dumps([client.id, settings, [photo.id for photo in owner]], sort_keys=True)
        embeddings = [photo.embeddings for photo in owner]
        job = Job(client.id, settings, photo, photo.digest + request, owner=embeddings)
        cached = self.jobs.same(job.key) if self.options.cache else None
        if cached is None:
            self.queue.put(job)
        else:
            job.cached = True
            job.end("done", result=cached)
            self._job_ended(job)
        self.jobs.add(job)
        return job

    async def ask(
        self,
        client: Client,
        photo: Photo,
        settings: dict[str, Any],
        kind: Literal["enrol", "look"],
        owner: Sequence[EnrolledPhoto] = (),
    ) -> Result:
        """The answer of a worker about a photo that is not to be protected.  Raises Problem as `submit`."""
        self._require(client)
        embeddings = [photo.embeddings for photo in owner]
        job = Job(client.id, settings, photo, "", kind=kind, owner=embeddings)
        self.queue.put(job)
        return await self.finished(job)

    async def finished(self, job: Job) -> Result:
        """A job's result, as soon as it has one; a caller that is cancelled cancels the job.

        Raises Problem where the job ends without a result.
        """
        try:
            while not job.over:
                await job.change(job.number)
        except asyncio.CancelledError:
            self.cancel(job)
            raise
        return job.require_result()

    def cancel(self, job: Job) -> None:
        """End a job, wherever it is: a worker hears of it at its next step."""
        if job.state == "queued":
            self.queue.drop(job)
            job.end("cancelled", code="cancelled")
            self._job_ended(job)
        job.unwanted.set()

    def revoke(self, client: str) -> bool:
        """Forget a client, its jobs and its results; False if there is no such client."""
        if not self.clients.revoke(client):
            return False
        for job in [job for job in self.jobs if job.client == client]:
            self.cancel(job)
            job.drop_result()
        note("revoked")
        return True

    def owner_photos(self) -> list[EnrolledPhoto]:
        """The enrolled photos of the owner.  Raises Problem where their file cannot be used."""
        try:
            return self.enrolled.photos()
        except ConfigError:
            raise Problem("owner_unusable") from None

    async def sweep(self) -> None:
        """Let results expire; runs until it is cancelled."""
        while True:
            await asyncio.sleep(min(self.options.keep_seconds / 4, _SWEEP))
            self.jobs.tidy()

    def _require(self, client: Client) -> None:
        """Raises Problem where no more jobs may begin for a client."""
        if self.stopping:
            raise Problem("stopping")
        if self.clients.get(client.id) is None:
            raise Problem("unpaired")

    def _job_ended(self, job: Job) -> None:
        if job.unwanted.is_set():  # it was cancelled at the moment of its end
            job.drop_result()
        self.figures.ended(job)
        seconds = round((job.ended or 0) - job.created, 3)
        note("job", state=job.state, code=job.code, cached=job.cached, seconds=seconds)
        self.jobs.tidy()

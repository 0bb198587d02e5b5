"""The application: routes under /v1 and the page at /."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from importlib.resources import files
from typing import Any, Literal, get_args

from aiohttp import web

from engines import config
from engines.config import AUTO, NO_PROMPT, Settings
from engines.errors import ConfigError
from engines.makeup.presets import PRESETS
from server.common.enrolled import Enrolled, EnrolledPhoto
from server.service.clients import Client, Clients
from server.service.figures import Figures
from server.service.guard import CALLER, PAGE, Guard, hosts_of
from server.service.intake import later, photo_and_options, small_json
from server.service.log import note
from server.service.options import Options
from server.service.problems import Problem
from server.service.work.crew import Crew, Worker
from server.service.work.jobs import Job, Jobs, Photo, Queue, Result

PROTOCOL = 1
NAME = "clip2protect"
_MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
#: Seconds between two signs of life of a stream of events, and between two looks for what has expired.
_BEAT, _SWEEP = 15.0, 5.0
#: Seconds that a client may take to read a piece of an answer.
READ_SECONDS = 60.0
#: Bytes that are handed to a connection at a time, so that none holds up the others.
_PIECE = 1 << 18


class Service:
    """What the handlers share."""

    def __init__(self, options: Options, workers: list[Worker]) -> None:
        self.options = options
        self.clients = Clients(options.folder / "clients.json")
        self.enrolled = Enrolled(options.folder / "owner.json")
        self.jobs = Jobs(options.keep_mb << 20, options.keep_seconds)
        self.queue = Queue(options.queue_length, options.queue_mb << 20)
        self.figures = Figures()
        self.stopping = False
        self.crew = Crew(self.queue, workers, limit=options.job_seconds, on_end=self._ended)

    # --- jobs --------------------------------------------------------------------------------------------

    def submit(self, client: Client, photo: Photo, settings: dict[str, Any]) -> Job:
        """A new job.  Raises Problem where there is no room, or the client was revoked in the meantime."""
        self._check(client)
        owner = self.owner_photos() if settings["faces"] == "mine" else []
        if settings["faces"] == "mine" and not owner:
            raise Problem("nobody_enrolled")
        asked = json.dumps([client.id, settings, [photo.id for photo in owner]], sort_keys=True)
        job = Job(
            client.id, settings, photo, photo.digest + asked, owner=[photo.embeddings for photo in owner]
        )
        known = self.jobs.same(job.key) if self.options.cache else None
        if known is None:
            self.queue.put(job)
        else:
            job.cached = True
            job.end("done", result=known)
            self._ended(job)
        self.jobs.add(job)
        return job

    def owner_photos(self) -> list[EnrolledPhoto]:
        """The photos by which the owner is known.  Raises Problem where their file cannot be used."""
        try:
            return self.enrolled.photos()
        except ConfigError:
            raise Problem("owner_unusable") from None

    def cancel(self, job: Job) -> None:
        """End a job, wherever it is: a worker hears of it at its next step."""
        if job.state == "queued":
            self.queue.drop(job)
            job.end("cancelled", code="cancelled")
            self._ended(job)
        job.unwanted.set()

    def _check(self, client: Client) -> None:
        """Raises Problem where nothing more may be begun for a client."""
        if self.stopping:
            raise Problem("stopping")
        if client.id not in {known["id"] for known in self.clients.listing()}:
            raise Problem("unpaired")

    def _ended(self, job: Job) -> None:
        if job.unwanted.is_set():  # it was done at the very moment
            job.drop_result()
        self.figures.ended(job)
        note(
            "job",
            state=job.state,
            code=job.code,
            cached=job.cached,
            seconds=round((job.ended or 0) - job.created, 3),
        )
        self.jobs.tidy()

    async def sweep(self) -> None:
        """Let results expire, for ever."""
        while True:
            await asyncio.sleep(min(self.options.keep_seconds / 4, _SWEEP))
            self.jobs.tidy()

    # --- handlers ----------------------------------------------------------------------------------------

    async def health(self, request: web.Request) -> web.Response:
        """Name and protocol, for anybody."""
        return _json({"name": NAME, "protocol": PROTOCOL})

    async def pair(self, request: web.Request) -> web.Response:
        """A token for the code on the console."""
        body = await small_json(request)
        code, name = body.get("code"), body.get("name", "")
        if not isinstance(code, str) or not isinstance(name, str) or len(name) > 100:
            raise Problem("bad_request", "give code and name as strings, the name in at most 100 characters")
        name = "".join(c for c in name if c.isprintable())
        token, client = self.clients.pair(code, name=name, origin=request.headers.get("Origin", ""))
        note("paired")
        return _json({"token": token, "client": client.id}, status=201)

    async def status(self, request: web.Request) -> web.Response:
        """What the server is doing."""
        crew = self.crew
        return _json(
            {
                "workers": crew.states,
                "trouble": crew.trouble,
                "waiting": len(self.queue),
                "restarts": crew.restarts,
            }
        )

    async def metrics(self, request: web.Request) -> web.Response:
        """Figures in Prometheus' text format."""
        text = self.figures.text(
            waiting_jobs=len(self.queue),
            busy_workers=self.crew.states.count("busy"),
            worker_restarts=self.crew.restarts,
            clients=len(self.clients.listing()),
        )
        return web.Response(text=text, content_type="text/plain", charset="utf-8")

    async def list_clients(self, request: web.Request) -> web.Response:
        """Who is paired."""
        return _json({"clients": self.clients.listing(), "you": request[CALLER].id})

    async def revoke(self, request: web.Request) -> web.Response:
        """Forget one that was paired, and what it sent."""
        client = request.match_info["id"]
        if not self.clients.revoke(client):
            raise Problem("not_found")
        for job in [job for job in self.jobs if job.client == client]:
            self.cancel(job)
            job.drop_result()
        note("revoked")
        return web.Response(status=204)

    async def owner(self, request: web.Request) -> web.Response:
        """The photos by which the owner is known."""
        return _json({"photos": [{"id": photo.id, "added": photo.added} for photo in self.owner_photos()]})

    async def enrol(self, request: web.Request) -> web.Response:
        """Learn the owner's face from a photo: what recognisers make of it is kept, the photo is not."""
        result = await self._ask(request, "enrol")
        try:
            enrolled = self.enrolled.add(result.report["embeddings"])
        except ConfigError as error:
            raise Problem("too_many_enrolled", str(error)) from None
        return _json({"id": enrolled.id, "added": enrolled.added}, status=201)

    async def forget(self, request: web.Request) -> web.Response:
        """Forget one of the owner's photos."""
        self.owner_photos()
        if not self.enrolled.remove(request.match_info["id"]):
            raise Problem("not_found")
        return web.Response(status=204)

    async def faces(self, request: web.Request) -> web.Response:
        """The faces of a photo, the largest first, and which are the owner's."""
        result = await self._ask(request, "look", [photo.embeddings for photo in self.owner_photos()])
        return _json(result.report)

    async def _ask(
        self, request: web.Request, kind: Literal["enrol", "look"], owner: Sequence[Any] = ()
    ) -> Result:
        """What a worker makes of a photo that is not to be protected."""
        self.owner_photos()
        photo, settings = await photo_and_options(request, self.queue, self.options.upload_mb)
        self._check(request[CALLER])
        job = Job(request[CALLER].id, settings, photo, "", kind=kind, owner=list(owner))
        self.queue.put(job)
        return await self._ended_job(job)

    async def prompts(self, request: web.Request) -> web.Response:
        """Looks that have names."""
        return _json({"default": Settings().prompt, "auto": AUTO, "none": NO_PROMPT, "presets": PRESETS})

    async def levels(self, request: web.Request) -> web.Response:
        """How much may be seen."""
        return _json(
            {
                "default": Settings().level,
                "levels": get_args(config.Level),
                "modes": get_args(config.Mode),
                "faces": get_args(config.Faces),
            }
        )

    async def create(self, request: web.Request) -> web.Response:
        """Take a photo and put it into the queue."""
        job = await self._accept(request)
        return _json(job.status(), status=202, headers={"Location": f"/v1/jobs/{job.id}"})

    async def _accept(self, request: web.Request) -> Job:
        photo, settings = await photo_and_options(request, self.queue, self.options.upload_mb)
        return self.submit(request[CALLER], photo, settings)

    async def protect(self, request: web.Request) -> web.StreamResponse:
        """Take a photo and answer with the protected one; whoever leaves cancels."""
        job = await self._accept(request)
        await self._ended_job(job)
        return await _photo(request, job)

    async def _ended_job(self, job: Job) -> Result:
        """A job's result, as soon as it has one; whoever leaves cancels.  Raises Problem where there is none."""
        try:
            while not job.over:
                await job.change(job.number)
        except asyncio.CancelledError:
            self.cancel(job)
            raise
        return _result(job)

    def _job(self, request: web.Request) -> Job:
        return self.jobs.find(request.match_info["id"], request[CALLER].id)

    async def show(self, request: web.Request) -> web.Response:
        """How far a job is."""
        return _json(self._job(request).status())

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The same whenever it changes; an event is all there is to know, so that resuming needs no memory."""
        job = self._job(request)
        last = request.headers.get("Last-Event-ID", "")
        seen = min(int(last), job.number) if last.isascii() and last.isdigit() and len(last) < 20 else -1
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await stream.prepare(request)
        with suppress(ConnectionError):
            async for text in _events(job, seen):
                await _write(request, stream, text.encode())
        return stream

    async def result(self, request: web.Request) -> web.StreamResponse:
        """The protected photo."""
        return await _photo(request, self._job(request))

    async def preview(self, request: web.Request) -> web.StreamResponse:
        """A picture of the photo and its faces, before and after."""
        return await _send(request, _result(self._job(request)).preview, "image/jpeg")

    async def delete(self, request: web.Request) -> web.Response:
        """Cancel a job, or drop its result."""
        job = self._job(request)
        self.cancel(job)
        job.drop_result()
        return web.Response(status=204)


def make_app(service: Service) -> web.Application:
    """The application of a service; it starts and stops the workers."""
    options = service.options
    guard = Guard(service.clients, hosts_of(options.port, (options.host, *options.names)))
    app = web.Application(middlewares=[service.figures.count, guard.__call__], client_max_size=0)
    app.on_response_prepare.append(guard.finish)
    add = app.router.add_route
    for path, kind in PAGE.items():
        add("GET", path, _static(path[1:] or "index.html", kind))
    add("GET", "/v1/openapi.json", _static("openapi.json", "application/json"))
    for method, path, handler in (
        ("GET", "/v1/health", service.health),
        ("POST", "/v1/pair", service.pair),
        ("GET", "/v1/status", service.status),
        ("GET", "/v1/metrics", service.metrics),
        ("GET", "/v1/clients", service.list_clients),
        ("DELETE", "/v1/clients/{id}", service.revoke),
        ("GET", "/v1/owner", service.owner),
        ("POST", "/v1/owner", service.enrol),
        ("DELETE", "/v1/owner/{id}", service.forget),
        ("POST", "/v1/faces", service.faces),
        ("GET", "/v1/prompts", service.prompts),
        ("GET", "/v1/levels", service.levels),
        ("POST", "/v1/jobs", service.create),
        ("POST", "/v1/protect", service.protect),
        ("GET", "/v1/jobs/{id}", service.show),
        ("DELETE", "/v1/jobs/{id}", service.delete),
        ("GET", "/v1/jobs/{id}/events", service.events),
        ("GET", "/v1/jobs/{id}/result", service.result),
        ("GET", "/v1/jobs/{id}/preview", service.preview),
    ):
        add(method, path, handler, expect_handler=later)

    async def work(app: web.Application) -> AsyncIterator[None]:
        service.crew.start()
        sweep = asyncio.create_task(service.sweep())
        yield
        sweep.cancel()
        await service.crew.stop()

    app.cleanup_ctx.append(work)
    return app


async def _events(job: Job, seen: int) -> AsyncIterator[str]:
    while not (job.over and job.number <= seen):
        try:
            async with asyncio.timeout(_BEAT):
                await job.change(seen)
        except TimeoutError:
            yield ": still there\n\n"
            continue
        seen = job.number
        yield f"id: {seen}\nevent: {job.state}\ndata: {json.dumps(job.status())}\n\n"


def _result(job: Job) -> Result:
    """Raises Problem where there is none."""
    if job.result is not None:
        return job.result
    if job.expired:
        raise Problem("expired")
    raise Problem(job.code, job.detail) if job.over else Problem("not_ready")


async def _photo(request: web.Request, job: Job) -> web.StreamResponse:
    result = _result(job)
    return await _send(request, result.data, _MIME[result.report["photo"]["format"]], {"X-Job": job.id})


async def _send(
    request: web.Request, data: bytes | bytearray, kind: str, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    """Bytes, a piece at a time."""
    response = web.StreamResponse(headers={"Content-Type": kind, **(headers or {})})
    response.content_length = len(data)
    await response.prepare(request)
    view = memoryview(data)
    with suppress(ConnectionError):
        for start in range(0, len(data), _PIECE):
            await _write(request, response, view[start : start + _PIECE])
    return response


async def _write(request: web.Request, response: web.StreamResponse, data: bytes | memoryview) -> None:
    """Write to whoever still listens.  Raises ConnectionError where nobody reads on."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            await response.write(data)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("nobody reads on") from None


def _json(value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        text=json.dumps(value), status=status, content_type="application/json", headers=headers
    )


def _static(name: str, kind: str) -> Any:
    data = files("server").joinpath("page", name).read_bytes()

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=data, content_type=kind, charset="utf-8")

    return serve

"""The routes under /v1 and the page at /: each handler reads a request, calls the service, and answers."""

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
from server.common.enrolled import EnrolledPhoto
from server.common.log import note
from server.common.network import EVERYWHERE
from server.common.problems import Problem
from server.service.clients import can_prove
from server.service.guard import CALLER, OWN_PAGE, Guard, hosts_of
from server.service.intake import later, photo_and_options, small_json
from server.service.proofs import is_nonce
from server.service.service import Service
from server.service.work.jobs import Job, Photo, Result

PROTOCOL = 2
NAME = "clip2protect"
_MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_SCRIPTS = ("page", "parts", "server", "proof", "pairing", "owner", "job", "scores", "zoom", "zip", "all")
#: Paths of the page's files, and their types.
PAGE = {"/": "text/html", "/page.css": "text/css", **{f"/{name}.js": "text/javascript" for name in _SCRIPTS}}
#: Paths that need neither a token nor a proof.
OPEN_PATHS = frozenset(
    {*PAGE, "/v1/health", "/v1/pair", "/v1/pair/challenge", "/v1/pair/proof", "/v1/session"}
)
#: Seconds between two signs of life in a stream of events.
_BEAT = 15.0
#: Seconds that a client may take to read a piece of an answer.
READ_SECONDS = 60.0
#: Bytes that are handed to a connection at a time, so that no answer holds up the others.
_PIECE = 1 << 18


class Routes:
    """The handlers of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def table(self) -> list[tuple[str, str, Any]]:
        """Method, path and handler of every route."""
        return [
            ("GET", "/v1/health", self.health),
            ("POST", "/v1/pair", self.pair),
            ("POST", "/v1/pair/challenge", self.challenge),
            ("POST", "/v1/pair/proof", self.prove),
            ("POST", "/v1/session", self.session),
            ("GET", "/v1/status", self.status),
            ("GET", "/v1/metrics", self.metrics),
            ("GET", "/v1/clients", self.list_clients),
            ("DELETE", "/v1/clients/{id}", self.revoke),
            ("GET", "/v1/owner", self.owner),
            ("POST", "/v1/owner", self.enrol),
            ("DELETE", "/v1/owner/{id}", self.forget),
            ("POST", "/v1/faces", self.faces),
            ("GET", "/v1/prompts", self.prompts),
            ("GET", "/v1/levels", self.levels),
            ("POST", "/v1/jobs", self.create),
            ("POST", "/v1/protect", self.protect),
            ("GET", "/v1/jobs/{id}", self.show),
            ("DELETE", "/v1/jobs/{id}", self.delete),
            ("GET", "/v1/jobs/{id}/events", self.events),
            ("GET", "/v1/jobs/{id}/result", self.result),
            ("GET", "/v1/jobs/{id}/preview", self.preview),
        ]

    async def health(self, request: web.Request) -> web.Response:
        """Name and protocol, for everybody."""
        return _json({"name": NAME, "protocol": PROTOCOL})

    async def pair(self, request: web.Request) -> web.Response:
        """A token for the code on the console, for programs."""
        body = await small_json(request)
        code, name, origin = body.get("code"), _name_in(body), request.headers.get("Origin", "")
        if not isinstance(code, str):
            raise Problem("bad_request", "give the code as a string")
        if can_prove(origin):
            raise Problem("bad_request", "browsers pair by proofs: update the extension, or reload the page")
        token, client = self._service.pairing.by_code(code, name=name, origin=origin)
        note("paired")
        return _json({"token": token, "client": client.id}, status=201)

    async def challenge(self, request: web.Request) -> web.Response:
        """The server's proof that it knows the code on the console, for browsers."""
        nonce = _nonce_in(await small_json(request))
        return _json(await self._service.pairing.challenge(nonce, _address(request)))

    async def prove(self, request: web.Request) -> web.Response:
        """Pair a browser that proves that it knows the code."""
        body = await small_json(request)
        nonce, proof, name = _nonce_in(body), str(body.get("proof", "")), _name_in(body)
        host, origin = _address(request), request.headers.get("Origin", "")
        client = self._service.pairing.by_proof(nonce, proof, host=host, name=name, origin=origin)
        note("paired")
        return _json({"client": client.id}, status=201)

    async def session(self, request: web.Request) -> web.Response:
        """The server's proof for a client, which begins a session."""
        body = await small_json(request)
        client, nonce = str(body.get("client", "")), _nonce_in(body)
        return _json(self._service.sessions.offer(client, nonce, _address(request)))

    async def status(self, request: web.Request) -> web.Response:
        """States of the workers, and the number of waiting jobs."""
        crew = self._service.crew
        waiting = len(self._service.queue)
        states = {"workers": crew.states, "trouble": crew.trouble, "restarts": crew.restarts}
        return _json(states | {"waiting": waiting})

    async def metrics(self, request: web.Request) -> web.Response:
        """Figures in Prometheus' text format."""
        text = self._service.figures.text(
            waiting_jobs=len(self._service.queue),
            busy_workers=self._service.crew.states.count("busy"),
            worker_restarts=self._service.crew.restarts,
            clients=len(self._service.clients.listing()),
        )
        return web.Response(text=text, content_type="text/plain", charset="utf-8")

    async def list_clients(self, request: web.Request) -> web.Response:
        """The paired clients: all of them for the server's own page, itself for any other."""
        you = request[CALLER].id
        known = [c for c in self._service.clients.listing() if request[OWN_PAGE] or c["id"] == you]
        return _json({"clients": known, "you": you})

    async def revoke(self, request: web.Request) -> web.Response:
        """Forget a client, its jobs and its results."""
        client = request.match_info["id"]
        if client != request[CALLER].id:
            _require_page(request)
        if not self._service.revoke(client):
            raise Problem("not_found")
        return web.Response(status=204)

    async def owner(self, request: web.Request) -> web.Response:
        """The enrolled photos of the owner."""
        photos = self._service.owner_photos()
        return _json({"photos": [{"id": photo.id, "added": photo.added} for photo in photos]})

    async def enrol(self, request: web.Request) -> web.Response:
        """Learn the owner's face from a photo: its embeddings are kept, the photo is not."""
        result = await self._ask(request, "enrol")
        try:
            enrolled = self._service.enrolled.add(result.report["embeddings"])
        except ConfigError as error:
            raise Problem("too_many_enrolled", str(error)) from None
        return _json({"id": enrolled.id, "added": enrolled.added}, status=201)

    async def forget(self, request: web.Request) -> web.Response:
        """Forget one of the owner's photos."""
        _require_page(request)
        self._service.owner_photos()
        if not self._service.enrolled.remove(request.match_info["id"]):
            raise Problem("not_found")
        return web.Response(status=204)

    async def faces(self, request: web.Request) -> web.Response:
        """The faces of a photo, largest first, each with whether it is the owner's."""
        result = await self._ask(request, "look", self._service.owner_photos())
        return _json(result.report)

    async def prompts(self, request: web.Request) -> web.Response:
        """The presets of prompts."""
        return _json({"default": Settings().prompt, "auto": AUTO, "none": NO_PROMPT, "presets": PRESETS})

    async def levels(self, request: web.Request) -> web.Response:
        """The values of the settings `level`, `mode` and `faces`."""
        kinds = {"levels": config.Level, "modes": config.Mode, "faces": config.Faces}
        return _json({"default": Settings().level} | {name: get_args(kind) for name, kind in kinds.items()})

    async def create(self, request: web.Request) -> web.Response:
        """Take a photo and put it into the queue."""
        job = await self._submit(request)
        return _json(job.status(), status=202, headers={"Location": f"/v1/jobs/{job.id}"})

    async def protect(self, request: web.Request) -> web.StreamResponse:
        """Take a photo and answer with the protected one; a client that leaves cancels the job."""
        job = await self._submit(request)
        await self._service.finished(job)
        return await _send_photo(request, job)

    async def show(self, request: web.Request) -> web.Response:
        """The state of a job."""
        return _json(self._job(request).status())

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The state of a job at every change.  An event holds all of it, so that resuming needs no memory."""
        job = self._job(request)
        last = request.headers.get("Last-Event-ID", "")
        number = min(int(last), job.number) if last.isascii() and last.isdigit() and len(last) < 20 else -1
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await stream.prepare(request)
        with suppress(ConnectionError):
            async for text in _events(job, number):
                await _write(request, stream, text.encode())
        return stream

    async def result(self, request: web.Request) -> web.StreamResponse:
        """The protected photo."""
        return await _send_photo(request, self._job(request))

    async def preview(self, request: web.Request) -> web.StreamResponse:
        """A picture of the photo and its faces, before and after."""
        return await _send(request, self._job(request).require_result().preview, "image/jpeg")

    async def delete(self, request: web.Request) -> web.Response:
        """Cancel a job, or drop its result."""
        job = self._job(request)
        self._service.cancel(job)
        job.drop_result()
        return web.Response(status=204)

    def _job(self, request: web.Request) -> Job:
        return self._service.jobs.find(request.match_info["id"], request[CALLER].id)

    async def _intake(self, request: web.Request) -> tuple[Photo, dict[str, Any]]:
        return await photo_and_options(request, self._service.queue, self._service.options.upload_mb)

    async def _submit(self, request: web.Request) -> Job:
        photo, settings = await self._intake(request)
        return self._service.submit(request[CALLER], photo, settings)

    async def _ask(
        self, request: web.Request, kind: Literal["enrol", "look"], owner: Sequence[EnrolledPhoto] = ()
    ) -> Result:
        """A worker's answer about the photo of a request.

        An unusable list of the owner's photos comes first.
        """
        self._service.owner_photos()
        photo, settings = await self._intake(request)
        return await self._service.ask(request[CALLER], photo, settings, kind, owner)


def make_app(service: Service) -> web.Application:
    """The application of a service; it starts and stops the workers."""
    options = service.options
    hosts = hosts_of(options.port, (options.host, *options.names))
    everywhere = options.port if options.host in EVERYWHERE else None
    guard = Guard(service.sessions, hosts, OPEN_PATHS, literal_port=everywhere)
    app = web.Application(middlewares=[service.figures.count, guard.__call__], client_max_size=0)
    app.on_response_prepare.append(guard.finish)
    for path, kind in PAGE.items():
        app.router.add_route("GET", path, static("server", f"page/{path[1:] or 'index.html'}", kind))
    app.router.add_route("GET", "/v1/openapi.json", static("server", "page/openapi.json", "application/json"))
    for method, path, handler in Routes(service).table():
        app.router.add_route(method, path, handler, expect_handler=later)

    async def work(app: web.Application) -> AsyncIterator[None]:
        service.crew.start()
        sweep = asyncio.create_task(service.sweep())
        yield
        sweep.cancel()
        await service.crew.stop()

    app.cleanup_ctx.append(work)
    return app


def static(package: str, name: str, kind: str) -> Any:
    """A handler that answers with a file of a package, read once."""
    data = files(package).joinpath(name).read_bytes()

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=data, content_type=kind, charset="utf-8")

    return serve


def _require_page(request: web.Request) -> None:
    """What ends the access of others, or forgets the owner, is for the server's own page."""
    if not request[OWN_PAGE]:
        raise Problem("page_only")


def _address(request: web.Request) -> str:
    """The server's address as the client has it; the guard has compared it with ours."""
    return request.headers["Host"].lower()


def _name_in(body: dict[str, Any]) -> str:
    name = body.get("name", "")
    if not isinstance(name, str) or len(name) > 100:
        raise Problem("bad_request", "give the name as a string of at most 100 characters")
    return "".join(c for c in name if c.isprintable())


def _nonce_in(body: dict[str, Any]) -> str:
    if not is_nonce(body.get("nonce")):
        raise Problem("bad_request", "give the nonce as 43 letters: 256 bits in base64url")
    return str(body["nonce"])


async def _events(job: Job, number: int) -> AsyncIterator[str]:
    """The events of a job after change `number`."""
    while not (job.over and job.number <= number):
        try:
            async with asyncio.timeout(_BEAT):
                await job.change(number)
        except TimeoutError:
            yield ": still there\n\n"
            continue
        number = job.number
        yield f"id: {number}\nevent: {job.state}\ndata: {json.dumps(job.status())}\n\n"


async def _send_photo(request: web.Request, job: Job) -> web.StreamResponse:
    result = job.require_result()
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
    """Write to a client that reads.  Raises ConnectionError where it has stopped reading."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            await response.write(data)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client has stopped reading") from None


def _json(value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    text = json.dumps(value)
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)

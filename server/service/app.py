"""The application: routes under /v1 and the page at /."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from aiohttp import BodyPartReader, web

from engines import config
from engines.config import AUTO, NO_PROMPT, Settings
from engines.errors import ConfigError
from engines.prompts import PRESETS, resolve
from server.service.clients import Client, Clients
from server.service.crew import Crew, Worker
from server.service.figures import Figures
from server.service.guard import CALLER, Guard, dumps, hosts_of
from server.service.jobs import Job, Queue, Result, Results
from server.service.log import note
from server.service.problems import Problem

PROTOCOL = 1
NAME = "clip2protect"
_MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_IMAGES = frozenset(_MIME.values()) | {"application/octet-stream"}
#: Options of a job, which are fields of `Settings`.
OPTIONS = ("mode", "level", "faces", "render", "prompt", "source_text", "seed", "target")
#: Seconds that an upload may stall, and between two signs of life of a stream of events.
_STALL, _BEAT = 20.0, 15.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a server behaves; `server.config` reads them."""

    host: str = "127.0.0.1"
    port: int = 8765
    names: tuple[str, ...] = ()
    device: str = "auto"
    workers: int = 1
    queue_length: int = 128
    queue_mb: int = 512
    upload_mb: int = 64
    job_seconds: float = 300.0
    keep_seconds: float = 900.0
    cache_mb: int = 256
    memory_mb: int = 0
    clients: Path = field(default_factory=Path)


class Service:
    """What handlers share."""

    def __init__(self, options: Options, workers: list[Worker]) -> None:
        self.options = options
        self.clients = Clients(options.clients)
        self.jobs: dict[str, Job] = {}
        self.keys: dict[str, str] = {}
        self.queue = Queue(options.queue_length, options.queue_mb << 20)
        self.results = Results(options.cache_mb << 20)
        self.figures = Figures()
        self.crew = Crew(self.queue, workers, limit=options.job_seconds, on_end=self._ended)

    # --- jobs --------------------------------------------------------------------------------------------

    def submit(self, client: Client, photo: bytes, settings: dict[str, Any]) -> Job:
        """A new job.  Raises Problem where there is no room."""
        job = Job(client.id, settings, photo)
        key = Results.key(photo, settings)
        known = self.results.get(key) if self.options.cache_mb else None
        if known is None:
            self.queue.put(job)
        else:
            job.cached = True
            job.end("done", result=known)
        self.jobs[job.id], self.keys[job.id] = job, key
        return job

    def job(self, request: web.Request) -> Job:
        """The job of the path, if it is the caller's.  Raises Problem."""
        job = self.jobs.get(request.match_info["id"])
        if job is None or job.client != request[CALLER].id:
            raise Problem("not_found")
        return job

    def cancel(self, job: Job) -> None:
        """End a job, wherever it is."""
        if job.state == "queued":
            self.queue.drop(job)
            job.end("cancelled", code="cancelled")
        job.unwanted.set()

    def _ended(self, job: Job) -> None:
        self.figures.ended(job)
        note("job", state=job.state, code=job.code, seconds=round((job.ended or 0) - job.created, 3))
        if job.result is not None and self.options.cache_mb:
            self.results.put(self.keys[job.id], job.result)

    async def sweep(self) -> None:
        """Let results expire, for ever."""
        keep = self.options.keep_seconds
        while True:
            await asyncio.sleep(min(keep / 4, 30))
            now = time.time()
            self.results.expire(keep)
            for job in [j for j in self.jobs.values() if j.ended is not None]:
                if now - (job.ended or now) > 4 * keep:
                    del self.jobs[job.id], self.keys[job.id]
                elif now - (job.ended or now) > keep and job.result is not None:
                    job.update(result=None, expired=True)

    # --- handlers ----------------------------------------------------------------------------------------

    async def health(self, request: web.Request) -> web.Response:
        """Name and protocol, for anybody."""
        return _json({"name": NAME, "protocol": PROTOCOL})

    async def pair(self, request: web.Request) -> web.Response:
        """A token for the code on the console."""
        body = await _small_json(request)
        code, name = body.get("code"), body.get("name", "")
        if not isinstance(code, str) or not isinstance(name, str) or len(name) > 100:
            raise Problem("bad_request", "give code and name as strings")
        name = "".join(c for c in name if c.isprintable())
        token, client = self.clients.pair(code, name=name, origin=request.headers.get("Origin", ""))
        return _json({"token": token, "client": client.id}, status=201)

    async def status(self, request: web.Request) -> web.Response:
        """What the server is doing."""
        return _json({
            "workers": self.crew.states, "trouble": self.crew.trouble, "waiting": len(self.queue),
            "restarts": self.crew.restarts,
        })  # fmt: skip

    async def metrics(self, request: web.Request) -> web.Response:
        """Figures in Prometheus' text format."""
        return web.Response(text=self.figures.text(self), content_type="text/plain", charset="utf-8")

    async def list_clients(self, request: web.Request) -> web.Response:
        """Who is paired."""
        return _json({"clients": self.clients.listing(), "you": request[CALLER].id})

    async def revoke(self, request: web.Request) -> web.Response:
        """Forget one that was paired."""
        if not self.clients.revoke(request.match_info["id"]):
            raise Problem("not_found")
        return web.Response(status=204)

    async def prompts(self, request: web.Request) -> web.Response:
        """Looks that have names."""
        return _json({"default": Settings().prompt, "auto": AUTO, "none": NO_PROMPT, "presets": PRESETS})

    async def levels(self, request: web.Request) -> web.Response:
        """How much may be seen."""
        return _json({"default": Settings().level, "levels": get_args(config.Level), "modes": get_args(config.Mode)})

    async def create(self, request: web.Request) -> web.Response:
        """Take a photo and put it into the queue."""
        job = await self._accept(request)
        location = f"/v1/jobs/{job.id}"
        return _json(job.status(), status=202, headers={"Location": location})

    async def _accept(self, request: web.Request) -> Job:
        self.queue.check()
        photo, options = await self._read(request)
        return self.submit(request[CALLER], photo, _settings(options))

    async def protect(self, request: web.Request) -> web.Response:
        """Take a photo and answer with the protected one; whoever leaves cancels."""
        job = await self._accept(request)
        try:
            while not job.over:
                await job.change(job.number)
        except asyncio.CancelledError:
            self.cancel(job)
            raise
        return _photo(job)

    async def show(self, request: web.Request) -> web.Response:
        """How far a job is."""
        return _json(self.job(request).status())

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The same whenever it changes; an event is all there is to know, so that resuming needs no memory."""
        job = self.job(request)
        last = request.headers.get("Last-Event-ID", "-1")
        seen = int(last) if last.lstrip("-").isdigit() else -1
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await stream.prepare(request)
        with suppress(ConnectionError):
            async for text in _stream(job, seen):
                await stream.write(text.encode())
            await stream.write_eof()
        return stream

    async def result(self, request: web.Request) -> web.Response:
        """The protected photo."""
        return _photo(self.job(request))

    async def preview(self, request: web.Request) -> web.Response:
        """A picture of before and after."""
        return web.Response(body=_result(self.job(request)).preview, content_type="image/png")

    async def delete(self, request: web.Request) -> web.Response:
        """Cancel a job, or drop its result."""
        job = self.job(request)
        self.cancel(job)
        if job.over:
            job.update(result=None, expired=True)
        return web.Response(status=204)

    # --- reading -----------------------------------------------------------------------------------------

    async def _read(self, request: web.Request) -> tuple[bytes, dict[str, str]]:
        """Photo and options.  Raises Problem: too large, too slow, of a type that is not taken."""
        limit = self.options.upload_mb << 20
        if (request.content_length or 0) > limit + 4096:
            raise Problem("too_large", f"the limit is {self.options.upload_mb} MiB")
        options = dict(request.query.items())
        if request.content_type == "multipart/form-data":
            photo = b""
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader):
                    raise Problem("bad_request", "a part in a part")
                data = await self._collect(part, limit if part.name == "photo" else 4096)
                if part.name == "photo":
                    photo = data
                else:
                    options[part.name or ""] = data.decode("utf-8", "replace")
            return photo, options
        if request.content_type not in _IMAGES:
            raise Problem("unsupported_content")
        return await self._collect(request.content, limit), options

    async def _collect(self, source: Any, limit: int) -> bytes:
        """All bytes of a part or body, counted as they come."""
        read = source.read_chunk if isinstance(source, BodyPartReader) else source.readany
        chunks: list[bytes] = []
        size = 0
        while True:
            try:
                chunk = await asyncio.wait_for(read(), _STALL)
            except TimeoutError:
                raise Problem("upload_too_slow") from None
            if not chunk:
                return b"".join(chunks)
            size += len(chunk)
            if size > limit:
                raise Problem("too_large", f"the limit is {self.options.upload_mb} MiB")
            chunks.append(chunk)


def make_app(service: Service) -> web.Application:
    """The application of a service; it starts and stops the workers."""
    options = service.options
    guard = Guard(service.clients, hosts_of(options.port, options.names))
    app = web.Application(middlewares=[guard.__call__], client_max_size=0)
    app.on_response_prepare.append(guard.finish)
    for path, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")):
        app.router.add_get(path, _static(path[1:] or "index.html", kind))
    app.router.add_get("/v1/openapi.json", _static("openapi.json", "application/json"))
    app.add_routes([
        web.get("/v1/health", service.health), web.post("/v1/pair", service.pair),
        web.get("/v1/status", service.status), web.get("/v1/metrics", service.metrics),
        web.get("/v1/clients", service.list_clients), web.delete("/v1/clients/{id}", service.revoke),
        web.get("/v1/prompts", service.prompts), web.get("/v1/levels", service.levels),
        web.post("/v1/jobs", service.create), web.get("/v1/jobs/{id}", service.show),
        web.get("/v1/jobs/{id}/events", service.events), web.get("/v1/jobs/{id}/result", service.result),
        web.get("/v1/jobs/{id}/preview", service.preview), web.delete("/v1/jobs/{id}", service.delete),
        web.post("/v1/protect", service.protect),
    ])  # fmt: skip

    async def work(app: web.Application) -> AsyncIterator[None]:
        service.crew.start()
        sweep = asyncio.create_task(service.sweep())
        yield
        sweep.cancel()
        await service.crew.stop()

    app.cleanup_ctx.append(work)
    return app


async def _stream(job: Job, seen: int) -> AsyncIterator[str]:
    while True:
        try:
            await asyncio.wait_for(job.change(seen), _BEAT)
        except TimeoutError:
            yield ": still there\n\n"
            continue
        seen = job.number
        yield f"id: {seen}\nevent: {job.state}\ndata: {dumps(job.status())}\n\n"
        if job.over:
            return


def _settings(options: dict[str, str]) -> dict[str, Any]:
    """What was asked for, checked, as a worker wants it.  Raises Problem."""
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise Problem("bad_option", f"an option is unknown: there are {', '.join(OPTIONS)}")
    wanted: dict[str, Any] = dict(options)
    try:
        if "seed" in wanted:
            wanted["seed"] = int(wanted["seed"])
        if "target" in wanted and wanted["target"] != AUTO:
            wanted["target"] = int(wanted["target"])
        if wanted.get("prompt", NO_PROMPT) not in (NO_PROMPT, AUTO):
            wanted["prompt"] = resolve(wanted["prompt"])
        if "source_text" in wanted:
            wanted["source_text"] = resolve(wanted["source_text"])
        settings = Settings(**wanted)
    except ConfigError as error:
        raise Problem("bad_option", str(error)) from None
    except ValueError:
        raise Problem("bad_option", "seed and target are whole numbers") from None
    return {f.name: getattr(settings, f.name) for f in fields(settings)}


def _result(job: Job) -> Result:
    if job.result is not None:
        return job.result
    if job.expired:
        raise Problem("expired")
    raise job.failure() if job.over else Problem("not_ready")


def _photo(job: Job) -> web.Response:
    result = _result(job)
    kind = _MIME[result.report["photo"]["format"]]
    return web.Response(body=result.data, content_type=kind, headers={"X-Job": job.id})


def _json(value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(text=dumps(value), status=status, content_type="application/json", headers=headers)


async def _small_json(request: web.Request) -> dict[str, Any]:
    """A JSON body of a few lines.  Raises Problem."""
    data = b""
    while chunk := await asyncio.wait_for(request.content.readany(), _STALL):
        data += chunk
        if len(data) > 4096:
            raise Problem("too_large")
    try:
        value = json.loads(data)
    except ValueError:
        raise Problem("bad_request", "this is no JSON") from None
    if not isinstance(value, dict):
        raise Problem("bad_request", "give a JSON object")
    return value


def _static(name: str, kind: str) -> Any:
    data = files("server").joinpath("page", name).read_bytes()
    tag = hashlib.sha256(data).hexdigest()[:16]

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=data, content_type=kind, charset="utf-8", headers={"ETag": f'"{tag}"'})

    return serve

"""What comes in: photos, options, small JSON documents; read in pieces, counted as they come."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.http import HttpProcessingError

from engines.config import AUTO, NO_PROMPT, Settings
from engines.errors import ConfigError
from engines.makeup.presets import resolve
from server.common.problems import Problem
from server.service.work.jobs import Photo, Queue

#: Options of a job, which are fields of `Settings`.
OPTIONS = ("mode", "level", "faces", "render", "prompt", "source_text", "steps", "seed", "target")
#: Seconds that a whole upload may take: the sender is on this machine, or near it.
UPLOAD_SECONDS = 60.0
_IMAGES = frozenset({"image/jpeg", "image/png", "image/webp", "application/octet-stream"})
#: Most bytes of a document or of one option, and most steps that may be asked for.
_SMALL, _STEPS = 4096, 200
#: Seconds that a document of a few lines may take.
_DOCUMENT_SECONDS = 10.0
#: Parts of a form; lines of one that are no part's; headers of a part, and bytes of each.
_PARTS, _LINES, _HEADERS, _HEADER_BYTES = len(OPTIONS) + 1, 2 * len(OPTIONS) + 8, 8, 1024


async def photo_and_options(
    request: web.Request, queue: Queue, limit_mb: int
) -> tuple[Photo, dict[str, Any]]:
    """The photo, and the `OPTIONS` of its `Settings`, ready for JSON.

    Raises Problem: no room in the queue, too large, too slow, of a type that is not taken, a bad option.
    """
    limit = limit_mb << 20
    queue.receive(0)
    options = dict(request.query.items())
    if request.content_type not in _IMAGES | {"multipart/form-data"}:
        raise Problem("unsupported_content")
    if (request.content_length or 0) > limit + 16 * _SMALL:
        raise Problem("too_large", f"the limit is {limit_mb} MiB")
    _settings(options)
    received, pieces, digest = 0, [], hashlib.sha256()
    parts: dict[str, bytes] = {}
    try:
        async for name, piece in _pieces(request):
            queue.receive(len(piece))
            received += len(piece)
            if received > limit + 16 * _SMALL:
                raise Problem("too_large", f"the limit is {limit_mb} MiB")
            if name == "photo":
                pieces.append(piece)
                digest.update(piece)
            else:
                parts[name] = parts.get(name, b"") + piece
                if len(parts[name]) > _SMALL or len(parts) > len(OPTIONS):
                    raise Problem("bad_option", f"there are {', '.join(OPTIONS)}, each a few words")
        if not pieces:
            raise Problem("bad_request", "there is no photo: send it as the body, or as the part `photo`")
        if set(parts) & set(options):
            raise Problem("bad_option", "an option is given twice")
        options |= {name: value.decode("utf-8", "replace") for name, value in parts.items()}
        return Photo(tuple(pieces), sum(map(len, pieces)), digest.hexdigest()), _settings(options)
    finally:
        queue.receive(-received)


async def small_json(request: web.Request) -> dict[str, Any]:
    """A JSON object of a few lines.  Raises Problem."""
    data = b""
    async for _, piece in _pieces(request, _DOCUMENT_SECONDS):
        data += piece
        if len(data) > _SMALL:
            raise Problem("too_large")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Problem("bad_request", "this is no JSON") from None
    if not isinstance(value, dict):
        raise Problem("bad_request", "give a JSON object")
    return value


async def later(request: web.Request) -> None:
    """Answer to `Expect: 100-continue`: nothing yet.

    The sender goes on when the body is wanted, after the guard.
    """


async def _pieces(request: web.Request, seconds: float | None = None) -> AsyncIterator[tuple[str, bytes]]:
    """Pieces of the body, each with the name of its part.

    Raises Problem for a body that is too slow or not of its declared type.
    """
    if "Expect" in request.headers and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    ends = asyncio.get_running_loop().time() + (seconds or UPLOAD_SECONDS)
    source = _of_parts(request) if request.content_type == "multipart/form-data" else _of_body(request)
    try:
        while True:
            async with asyncio.timeout_at(ends):
                piece = await anext(source)
            yield piece
    except StopAsyncIteration:
        return
    except TimeoutError:
        raise Problem("upload_too_slow") from None
    except (HttpProcessingError, web.RequestPayloadError, ValueError, LookupError):
        raise Problem("bad_request", "the body is not coded as its headers say") from None


async def _of_body(request: web.Request) -> AsyncIterator[tuple[str, bytes]]:
    while piece := await request.content.readany():
        yield "photo", piece


async def _of_parts(request: web.Request) -> AsyncIterator[tuple[str, bytes]]:
    """Parts of a form, counted: an empty one is a piece of nothing."""
    names: set[str | None] = set()
    async for part in _Form(request.headers, request.content):
        if len(names) >= _PARTS:
            raise Problem("bad_request", f"a form has at most {_PARTS} parts")
        if not isinstance(part, BodyPartReader) or part.name in names:
            raise Problem("bad_request", "a part in a part, or two of one name: send one photo at a time")
        names.add(part.name)
        while piece := await part.read_chunk():
            yield part.name or "", piece


class _Form(MultipartReader):
    """A form whose lines between its parts are counted, as they are read without a pause."""

    def __init__(self, headers: Mapping[str, str], content: StreamReader) -> None:
        super().__init__(headers, content, max_field_size=_HEADER_BYTES, max_headers=_HEADERS)
        self._lines = 0

    async def _readline(self) -> bytes:
        self._lines += 1
        if self._lines > _LINES:
            raise ValueError("lines that belong to no part")
        return await super()._readline()


def _settings(options: dict[str, str]) -> dict[str, Any]:
    """What was asked for, checked, as a worker wants it.  Raises Problem."""
    if set(options) - set(OPTIONS):
        raise Problem("bad_option", f"an option is unknown: there are {', '.join(OPTIONS)}")
    values: dict[str, Any] = dict(options)
    try:
        for name in ("seed", "steps", "target"):
            if name in values and (name, values[name]) != ("target", AUTO):
                values[name] = int(values[name])
        if values.get("prompt", NO_PROMPT) not in (NO_PROMPT, AUTO):
            values["prompt"] = resolve(values["prompt"])
        if "source_text" in values:
            values["source_text"] = resolve(values["source_text"])
        settings = Settings.from_options(values)
    except ConfigError as error:
        raise Problem("bad_option", str(error)) from None
    except ValueError:
        raise Problem("bad_option", "seed, steps and target are whole numbers") from None
    seeds = settings.target.seeds if settings.target is not None else ()
    if any(abs(seed) >= 1 << 63 for seed in (settings.seed, *seeds)):
        raise Problem("bad_option", "seed and target are numbers of at most 63 bits")
    if settings.steps > _STEPS:
        raise Problem("bad_option", f"steps are at most {_STEPS}")
    return {name: value for name, value in settings.as_options().items() if name in OPTIONS}

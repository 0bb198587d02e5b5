"""How server and worker talk over a pipe: frames of a JSON header and bytes.

    4 bytes  length of the header, big-endian
    8 bytes  length of the body, big-endian
    header   JSON, UTF-8
    body     a photo or nothing

Nothing is unpickled: the worker decodes hostile photos, and must not be able to do more than answer.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

_PREFIX = struct.Struct(">IQ")
#: A header is small, a body at most a photo: anything else is no frame.
MAX_HEADER, MAX_BODY = 1 << 20, 1 << 30
Frame = tuple[dict[str, Any], bytes]


def pack(header: dict[str, Any], body: int = 0) -> bytes:
    """All of a frame but its body, of which this is the length."""
    text = json.dumps(header).encode()
    return _PREFIX.pack(len(text), body) + text


def sizes(prefix: bytes) -> tuple[int, int]:
    """Lengths of header and body.  Raises ValueError for bytes that are no frame."""
    header, body = _PREFIX.unpack(prefix)
    if header > MAX_HEADER or body > MAX_BODY:
        raise ValueError("no frame")
    return header, body


def parse(text: bytes) -> dict[str, Any]:
    """A header.  Raises ValueError for bytes that are none."""
    header = json.loads(text)
    if not isinstance(header, dict):
        raise ValueError("no frame")
    return header


PREFIX = _PREFIX.size


def read(stream: BinaryIO) -> Frame | None:
    """The next frame of a blocking stream, None at its end."""
    prefix = _exactly(stream.read, PREFIX)
    if prefix is None:
        return None
    header_size, body_size = sizes(prefix)
    header, body = _exactly(stream.read, header_size), _exactly(stream.read, body_size)
    return None if header is None or body is None else (parse(header), body)


def _exactly(read: Callable[[int], bytes], count: int) -> bytes | None:
    data = read(count)
    return data if len(data) == count else None

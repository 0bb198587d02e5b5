"""Logs: one JSON object a line on standard error, without names, pixels or tokens."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

LOGGER = logging.getLogger("clip2protect.server")
#: Lines of one kind in so many seconds, and kinds that are told apart.
_LINES, _MINUTE, _KINDS = 5, 60.0, 200


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name == LOGGER.name else "library",
        }
        # What a library says may hold a path or a header: its name must do.
        data = getattr(record, "data", {})
        own = record.name == LOGGER.name
        line |= data if own else {"name": record.name} | {k: data[k] for k in ("left_out",) if k in data}
        return json.dumps(line)


class Seldom(logging.Filter):
    """Lets a warning through a few times a minute, and then says how many there were.

    What goes wrong again and again, as a system without file descriptors does, would fill the disk.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        #: What it is about -> when its minute began, and lines since then.
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is written."""
        if record.levelno < logging.WARNING:
            return True
        about = (record.name, str(record.msg)[:40])
        begun, lines = self._seen.get(about, (self._now(), 0))
        if self._now() - begun >= _MINUTE:
            if lines > _LINES:
                record.data = getattr(record, "data", {}) | {"left_out": lines - _LINES}
            begun, lines = self._now(), 0
        if about not in self._seen and len(self._seen) >= _KINDS:
            self._seen.clear()
        self._seen[about] = (begun, lines + 1)
        return lines < _LINES


def configure(level: int) -> None:
    """Log to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    handler.addFilter(Seldom())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    LOGGER.setLevel(level)


def note(event: str, level: int = logging.INFO, **data: Any) -> None:
    """One event with its data."""
    LOGGER.log(level, event, extra={"data": data})

"""Logs: one JSON object a line on standard error, without names, pixels or tokens."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

LOGGER = logging.getLogger("clip2protect.server")


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name == LOGGER.name else "library",
        }
        # What a library says may hold a path or a header: its name must do.
        line |= getattr(record, "data", {}) if record.name == LOGGER.name else {"name": record.name}
        return json.dumps(line)


def configure(level: int) -> None:
    """Log to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    LOGGER.setLevel(level)


def note(event: str, level: int = logging.INFO, **data: Any) -> None:
    """One event with its data."""
    LOGGER.log(level, event, extra={"data": data})

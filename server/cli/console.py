"""What the user sees: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from engines.models.registry import Metric

if TYPE_CHECKING:  # it brings torch, and the command line must start at once
    from engines.pipeline import Event

_REFRESH = 0.1  # seconds between two repaints of a bar


def say(text: str) -> None:
    """One or more lines of results."""
    print(text)


def complain(text: str) -> None:
    """One line on stderr, also for a text of several lines."""
    print(f"clip2protect: {' '.join(text.split())}", file=sys.stderr)


def printable(name: object) -> str:
    """A file name as it can be shown: control characters could move the cursor."""
    return "".join(c if c.isprintable() else "?" for c in str(name))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, two spaces apart; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def measured(metric: Metric, value: float) -> str:
    """A comparison's number with its kind: `similarity 0.71` or `distance 0.43`."""
    return f"{'similarity' if metric == 'cosine' else 'distance'} {value:.3f}"


def rule(metric: Metric, threshold: float) -> str:
    """On which side of the threshold two faces count as one person."""
    return f"{'above' if metric == 'cosine' else 'below'} {threshold:.3f}"


def watched() -> bool:
    """Whether somebody looks on: no bar where either stream goes to a file or another program."""
    return sys.stdout.isatty() and sys.stderr.isatty()


class Bar:
    """One line of progress on a terminal; nothing where no terminal is."""

    def __init__(self, label: str = "") -> None:
        self._label = f"{printable(label)}: " if label else ""
        self._watched = watched()
        self._bar: Any = None
        self._shown = ("", 0.0)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def fetching(self, message: str, done: int | None, total: int | None) -> None:
        """A step of `engines.models.fetch`: `done` and `total` are bytes."""
        size = "" if done is None else f" {done / 1e6:.1f} MB"
        self._show(message, message + size, done or 0, total)

    def counting(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` things of a stage."""
        self._show(stage, f"{stage}: {done} of {total}", done, total)

    def searching(self, event: Event) -> None:
        """A step of `engines.pipeline.protect`."""
        face = f", face {event.face} of {event.faces}" if event.faces > 1 else ""
        similarity = "" if event.similarity is None else f"similarity {event.similarity:.3f}"
        self._show(event.stage + face, event.stage + face, event.done, event.total, similarity)

    def _show(self, step: str, text: str, done: int, total: int | None, note: str = "") -> None:
        now = time.monotonic()
        if not self._watched or (step == self._shown[0] and now - self._shown[1] < _REFRESH):
            return
        self._shown = (step, now)
        if self._bar is None:
            from tqdm import tqdm

            # The clock runs from the first step to the last, across stages.
            layout = "{desc} {percentage:3.0f}%|{bar:20}| {elapsed}{postfix}"
            self._bar = tqdm(bar_format=layout, leave=False, dynamic_ncols=True, file=sys.stderr)
        self._bar.total, self._bar.n = total, done
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.set_description_str(self._label + text)

"""Limits on the time of an export and on the size of its result."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.errors import EngineError, OutputError

#: An ONNX file is a protobuf message, which cannot be larger.
MAX_BYTES = 2**31 - 1
#: Seconds for one network.  ONNX takes up to 15 s on 2 cores, TensorRT minutes.
SECONDS = 1800
#: Disk space that an export leaves free, in bytes.
_SPARE = 100 * 2**20


class Deadline:
    """The time by which one network must be ready."""

    def __init__(self, name: str, seconds: float = SECONDS) -> None:
        self.name, self.seconds = name, seconds
        self._end = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self._end

    def check(self) -> None:
        """Raises EngineError once the deadline has passed."""
        if self.over:
            raise EngineError(f"{self.name} was not ready after {self.seconds:g} s: raise --time-limit")

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Ends the block at the deadline, even in the middle of a step.

        Only the main thread can do so, and not on Windows.  Elsewhere the deadline is checked after the
        block.
        """
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
            yield
            self.check()
            return
        before = signal.signal(signal.SIGALRM, lambda *_: self.check())
        # The signal comes again every second: the exporter catches errors of its first attempts and tries
        # another way.
        signal.setitimer(signal.ITIMER_REAL, max(1e-3, self._end - time.monotonic()), 1.0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        self.check()


def check_size(name: str, size: int, folder: Path) -> None:
    """Raises EngineError if an ONNX file cannot hold `size` bytes, OutputError if the disk cannot."""
    if size > MAX_BYTES:
        raise EngineError(
            f"{name} has {size} bytes and an ONNX file holds {MAX_BYTES}: export it in --precision fp16"
        )
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    free = shutil.disk_usage(existing).free
    if size + _SPARE > free:
        raise OutputError(
            f"{name} needs {size >> 20} MiB and {folder} has {free >> 20}: free some space, or give -o"
        )

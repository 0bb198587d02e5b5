"""How long an export may take and how large its result may be."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.errors import EngineError, OutputError

#: A protobuf message, which an ONNX file is, cannot be larger.
MAX_BYTES = 2**31 - 1
#: Seconds for one network: ONNX takes up to 15 on 2 cores, TensorRT minutes.
SECONDS = 1800
#: Free disk space that is left alone, in bytes.
_SPARE = 100 * 2**20


class Deadline:
    """The time by which one network has to be ready."""

    def __init__(self, name: str, seconds: float = SECONDS) -> None:
        self.name, self.seconds = name, seconds
        self._end = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether it has passed."""
        return time.monotonic() >= self._end

    def check(self) -> None:
        """Raises EngineError once it has passed."""
        if self.over:
            raise EngineError(f"{self.name} was not ready after {self.seconds:g} s: raise --time-limit")

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Ends the block at the deadline even amid a step, where the system can: in the main thread, not on Windows."""
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
            yield
            self.check()
            return
        before = signal.signal(signal.SIGALRM, lambda *_: self.check())
        # Again every second: the exporter catches what its first attempts raise, and tries another way.
        signal.setitimer(signal.ITIMER_REAL, max(1e-3, self._end - time.monotonic()), 1.0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        self.check()


def check_size(name: str, size: int, folder: Path) -> None:
    """Raises EngineError for more bytes than a file can hold, OutputError for more than the disk has room for."""
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

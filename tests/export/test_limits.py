"""An export ends in time, and its files have a size limit."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.errors import EngineError, OutputError
from export import limits
from export.catalogue import Exportable
from export.limits import MAX_BYTES, Deadline, check_size
from tests.support.exports import exported, names


def test_an_export_that_takes_too_long_is_ended(
    unloaded: Any, tmp_path: Path, two_tiny: list[Exportable]
) -> None:
    with pytest.raises(EngineError, match="first was not ready after 1e-09 s: raise --time-limit"):
        exported(unloaded, tmp_path, time_limit=1e-9)
    assert names(tmp_path) == set()


def test_the_deadline_ends_what_runs() -> None:
    def forever() -> None:
        with Deadline("loop", 0.05).enforced():
            while True:
                pass

    with pytest.raises(EngineError, match="loop was not ready"):
        forever()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_files_that_are_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="an ONNX file holds 2147483647: export it in --precision fp16"):
        check_size("big", MAX_BYTES + 1, tmp_path)
    monkeypatch.setattr(limits.shutil, "disk_usage", lambda path: SimpleNamespace(free=200 << 20))
    check_size("small", 50 << 20, tmp_path / "not" / "there")
    with pytest.raises(OutputError, match="needs 150 MiB"):
        check_size("big", 150 << 20, tmp_path)

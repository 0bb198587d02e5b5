"""Stacks with exported networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.stack import Stack
from tests.support.exported import changed, stack_with, timed


@pytest.fixture
def fast(engines_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack with an engine wherever one may stand."""
    return stack_with(changed(engines_folder, tmp_path / "fast", lambda e: timed(e, 0.5)), monkeypatch)

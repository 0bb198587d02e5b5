"""A server for each test of the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.live import Live, running


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A server with one scripted worker."""
    with running(tmp_path) as server:
        yield server

"""Networks to export."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.backends.manifest import ExportedNetwork, read_manifest
from engines.stack import Stack
from export import build, parity
from export.catalogue import GROUPS, Exportable, exportables
from tests.support.exports import CPU, tiny


@pytest.fixture(scope="session")
def entries(stack: Stack) -> dict[str, Exportable]:
    return {entry.name: entry for entry in exportables(stack)}


@pytest.fixture(scope="session")
def engines(engines_folder: Path) -> dict[str, ExportedNetwork]:
    return {engine.network: engine for engine in read_manifest(engines_folder)}


@pytest.fixture
def two_tiny(monkeypatch: pytest.MonkeyPatch) -> list[Exportable]:
    """Two small networks in place of all."""
    made = [tiny("first"), tiny("second")]
    for module in (build, parity):
        monkeypatch.setattr(module, "exportables", lambda stack, groups=GROUPS: made)
    return made


@pytest.fixture
def unloaded() -> Any:
    """What stands for a stack where its networks are replaced."""
    return SimpleNamespace(device=CPU)

"""Packages of small networks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import engines.models
from engines.models import registry, store
from tests.support.packages import TAR, TARRED, WHEEL, install, make_tar, make_wheel, tiny_specs


@pytest.fixture
def carriers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tiny carriers that CLIP2PROTECT_MODELS names; cache and registry to match."""
    folder = tmp_path / "carriers"
    folder.mkdir()
    (folder / WHEEL).write_bytes(make_wheel())
    (folder / TAR).write_bytes(make_tar(TARRED))
    monkeypatch.setenv("CLIP2PROTECT_MODELS", str(folder))
    monkeypatch.setenv("CLIP2PROTECT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TINY_CALLS", raising=False)
    # Each is restored after the test, whatever `install` put there.
    monkeypatch.setattr(registry, "SPECS", registry.SPECS.copy())
    monkeypatch.setattr(store, "SPECS", registry.SPECS)
    monkeypatch.setitem(sys.modules, "engines.models.convert", None)
    monkeypatch.setattr(engines.models, "convert", None, raising=False)
    install(tiny_specs(folder))
    return folder

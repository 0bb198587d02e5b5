"""An empty folder to work in, and stand-ins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines.models import reference
from tests.support.command import OUTSIDE, Method


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> Method:
    stand_in = Method()

    def bench(stack: str, runs: int, faces: int) -> dict[str, Any]:
        return stand_in.bench | {"runs": runs, "faces": faces}

    monkeypatch.setattr("engines.load.embedded_stack", stand_in.stack)
    monkeypatch.setattr("engines.load.reference_stack", stand_in.paper)
    monkeypatch.setattr("engines.pipeline.protect", stand_in.protect)
    monkeypatch.setattr("engines.verify.compare", stand_in.compare)
    monkeypatch.setattr("engines.evaluation.bench.bench", bench)
    return stand_in


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an empty cache elsewhere."""
    monkeypatch.setenv("CLIP2PROTECT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLIP2PROTECT_MODELS", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def bring(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts empty files in the place of the reference networks' into a folder."""
    monkeypatch.delenv(reference.FOLDER, raising=False)

    def fill(name: str) -> Path:
        Path(name).mkdir()
        for spec in reference.NETWORKS.values():
            Path(name, spec.file).touch()
        return Path(name).absolute()

    return fill


@pytest.fixture
def real_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of whoever runs the tests, so that nothing is fetched twice."""
    monkeypatch.delenv("CLIP2PROTECT_HOME")
    for name, value in OUTSIDE.items():
        monkeypatch.setenv(name, value)

"""Exported networks that differ in one respect."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.backends import manifest
from engines.backends.manifest import ExportedNetwork, read_manifest
from engines.load import embedded_stack
from engines.stack import Stack

RECOGNISERS = ("mobilefacenet-512", "mobilefacenet-192", "dlib-resnet29")


SERVED = {"pnet", "rnet", "onet", "encoder", *RECOGNISERS, "preview", "generator"}


def changed(source: Path, folder: Path, change: Callable[[ExportedNetwork], ExportedNetwork]) -> Path:
    """The same engines with other entries in the manifest."""
    folder.mkdir()
    for engine in read_manifest(source):
        new = change(engine)
        (folder / new.file).symlink_to(source / engine.file)
        manifest.record(folder, new)
    return folder


def timed(engine: ExportedNetwork, seconds: float) -> ExportedNetwork:
    """As if a call had taken so long, and torch a second."""
    assert engine.verified is not None
    return dataclasses.replace(
        engine, verified=dataclasses.replace(engine.verified, seconds=seconds, torch_seconds=1.0)
    )


def stack_with(folder: Path | str, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("CLIP2PROTECT_ENGINES", str(folder))
    return embedded_stack("cpu")

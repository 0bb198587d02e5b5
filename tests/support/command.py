"""The command line with a stand-in in the place of the method, and the photos that it is given."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from engines.config import Settings
from engines.models.registry import SPECS
from engines.photo.decode import decode
from engines.photo.encode import encode
from engines.report import FaceReport, RecogniserReport, Report

ROOT = Path(__file__).parents[2]
OUTSIDE = {name: value for name, value in os.environ.items() if name.startswith("CLIP2PROTECT_")}
BOX = (20.0, 10.0, 60.0, 50.0)
RECOGNISERS = [name for name, spec in SPECS.items() if spec.role == "recogniser"]


def picture(kind: str = "JPEG", size: tuple[int, int] = (96, 64), seed: int = 0) -> bytes:
    rough = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rough).resize(size).save(buffer, kind)
    return buffer.getvalue()


class Loaded(str):
    """Stands in for the networks; `failures` say which exported networks failed."""

    unused: ClassVar[list[str]] = []
    failures: ClassVar[list[str]] = []


class Method:
    """Stands in for the networks and the search, and notes with what it was called."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.devices: list[str] = []
        self.papers: list[tuple[Path, dict[str, str | None]]] = []
        self.on_call: Callable[[int], None] = lambda count: None
        self.on_load: Callable[[], None] = lambda: None
        self.fooled = True
        self.bench: dict[str, Any] = {}
        self.comparisons: list[Any] = []

    def stack(self, device: str, progress: Any = None, **text: str | None) -> str:
        self.devices.append(device)
        self.on_load()
        progress("mtcnn: fetching", 1_000_000, None)
        return Loaded("the stack")

    def paper(self, where: Path, device: str, progress: Any = None, **text: str | None) -> str:
        self.papers.append((where, text))
        return self.stack(device, progress, **text)

    def protect(self, photo: Any, stack: str, settings: Any, progress: Any = None, owner: Any = None) -> Any:
        assert stack == "the stack"
        self.calls.append(settings)
        progress(SimpleNamespace(stage="search", face=1, faces=2, done=1, total=2, similarity=0.5))
        self.on_call(len(self.calls))
        pixels = photo.pixels.copy()
        pixels[10:50, 20:60] //= 2
        data = encode(photo, pixels)
        return SimpleNamespace(
            data=data, photo=photo, pixels=decode(data).pixels, report=self.report(settings)
        )

    def report(self, settings: Settings) -> Report:
        recognisers: dict[str, RecogniserReport] = {
            name: {
                "surrogate": name in settings.surrogates,
                "metric": SPECS[name].threshold.metric,
                "threshold": 0.5,
                "before": 0.25,
                "after": 0.75,
                "matched_before": True,
                "matched_after": not self.fooled and name == "dlib-resnet29",
            }
            for name in RECOGNISERS
        }
        face: FaceReport = {
            "box": list(BOX),
            "psnr": 33.25,
            "ssim": 0.97,
            "steps": 1,
            "seed": settings.seed,
            "prompt": settings.prompt,
            "target": None,
            "seconds": {},
            "found_after": True,
            "recognisers": recognisers,
        }
        return {
            "photo": {"width": 96, "height": 64, "format": "JPEG", "psnr": 40.0, "ssim": 0.99},
            "faces": [face],
            "settings": settings.as_options(),
            "stages": {},
            "seconds": 61.0,
            "backends": {},
            "fallbacks": [],
        }

    def compare(self, stack: str, a: Any, b: Any) -> list[Any]:
        self.on_call(0)
        return self.comparisons


def place(*names: str) -> None:
    for seed, name in enumerate(names):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            picture({".png": "PNG", ".webp": "WEBP"}.get(path.suffix.lower(), "JPEG"), seed=seed)
        )


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def in_a_process(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "server.cli", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )

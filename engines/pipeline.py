"""`protect`: the whole method, from a decoded photo to an encoded one.

CLIP2Protect (Shamshad, Naseer, Nandakumar, CVPR 2023): invert a face into the latent space of a
generator, search there for a code that recognisers no longer match, render it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from engines import evaluate, imaging
from engines.composite import composite
from engines.config import Settings
from engines.detect import Face, detect
from engines.errors import NoFaceError
from engines.face import AlignedFace
from engines.imaging import Photo
from engines.invert import TUNING_STEPS, invert, tuned
from engines.losses.adversarial import Identity
from engines.recognise import Recogniser
from engines.search import STEPS, Scene, final_rendering, search
from engines.stack import Stack


@dataclass(frozen=True)
class Event:
    """Where a protection stands: `done` of `total` steps of a stage of face `face` (from 1) of `faces`.

    `similarity` is the surrogates' mean excess: 1 a typical pair of one person, 0 their thresholds.
    """

    stage: str
    face: int
    faces: int
    done: int
    total: int
    similarity: float | None = None


@dataclass(frozen=True)
class Protected:
    """A protected photo: its bytes, what they decode to (H, W, 3), and a report ready for JSON."""

    data: bytes
    photo: Photo
    pixels: np.ndarray
    report: dict[str, Any]


Progress = Callable[[Event], None]


def protect(photo: Photo, stack: Stack, settings: Settings, progress: Progress | None = None) -> Protected:
    """Change every face of a photo so that recognisers no longer match it.

    The same photo, settings and machine give the same bytes.  Raises NoFaceError where there is
    no face, ConfigError for an unknown surrogate or a target without a face, OutputError if the
    encoder fails.
    """
    surrogates = stack.choose(settings.surrogates)
    clock = _Clock()
    with clock("detect"):
        faces = _choose_faces(detect(stack.detector, photo.pixels), settings)
        target = _target(stack, settings, surrogates)
    pixels = photo.pixels
    for number, face in enumerate(faces, 1):
        tell = partial(_tell, progress, number, len(faces))
        pixels = _protect_face(pixels, face, photo.gray, stack, surrogates, target, settings, clock, tell)
    with clock("encode"):
        data = imaging.encode(photo, pixels)
        result = imaging.decode(data).pixels
    with clock("score"):
        reports = [_face_report(stack, settings, photo.pixels, result, face, target) for face in faces]
    return Protected(data, photo, result, _report(photo, result, settings, reports, clock))


def _protect_face(
    pixels: np.ndarray, face: Face, gray: bool, stack: Stack, surrogates: list[Recogniser],
    target: Identity | None, settings: Settings, clock: _Clock, tell: Callable[..., None],
) -> np.ndarray:  # fmt: skip
    """One face: align, invert, tune, search, render, composite."""
    generator = stack.generator
    aligned = AlignedFace.cut(pixels, face, stack.device)
    with clock("invert"):
        pivot = invert(generator, aligned.crop, on_step=partial(tell, "invert"))
    steps = _tuning_steps(settings)
    tuning = tuned(generator, pivot, aligned.crop, steps=steps, on_step=partial(tell, "tune"))
    with clock.around("tune", tuning) if steps else nullcontext():
        scene = Scene(aligned, pivot, settings.render, gray)
        with clock("search"):
            code = search(
                generator, scene, surrogates, target=target, level=settings.level,
                steps=settings.steps or STEPS, seed=settings.seed, on_step=partial(tell, "search"),
            )  # fmt: skip
        with clock("render"):
            return composite(pixels, aligned, final_rendering(generator, scene, code))


def _tuning_steps(settings: Settings) -> int:
    if settings.tuning_steps is not None:
        return settings.tuning_steps
    return TUNING_STEPS if settings.render == "generator" else 0


def _choose_faces(found: list[Face], settings: Settings) -> list[Face]:
    if not found:
        raise NoFaceError("no face was found: give a photo in which a face is larger and turned to the camera")
    return found[:1] if settings.faces == "largest" else found


def _target(stack: Stack, settings: Settings, surrogates: list[Recogniser]) -> Identity | None:
    """Whom to resemble: a generated face by its seed, so that no real person is implicated, or a photo."""
    if settings.mode == "dodge":
        return None
    if isinstance(settings.target, bytes):
        pixels = imaging.decode(settings.target).pixels
    else:
        pixels = generated_face(stack, settings.target)
    faces = detect(stack.detector, pixels)
    if not faces:
        raise NoFaceError("the target shows no face: give another photo or seed")
    recognisers = {r.name: r for r in (*surrogates, *stack.recognisers.values())}
    return Identity({name: evaluate.embed_face(r, pixels, faces[0]) for name, r in recognisers.items()})


@torch.no_grad()
def generated_face(stack: Stack, seed: int) -> np.ndarray:
    """A face of nobody, (1024, 1024, 3) uint8 RGB."""
    image = stack.generator(stack.generator.sample_w(seed))
    return ((image[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()


def _tell(
    progress: Progress | None, face: int, faces: int, stage: str, done: int, total: int,
    similarity: float | None = None,
) -> None:  # fmt: skip
    if progress is not None:
        progress(Event(stage, face, faces, done, total, similarity))


class _Clock:
    """Seconds spent in each stage, all faces together."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    @contextmanager
    def around(self, stage: str, manager: Any) -> Iterator[None]:
        """Enter another context and count what entering and leaving it take."""
        with self(stage):
            manager.__enter__()
        try:
            yield
        finally:
            with self(stage):
                manager.__exit__(None, None, None)

    @property
    def total(self) -> float:
        return time.perf_counter() - self._start


def _face_report(
    stack: Stack, settings: Settings, before: np.ndarray, after: np.ndarray, face: Face, target: Identity | None
) -> dict[str, Any]:
    """What was done to one face, and what every recogniser makes of it.

    The owner is seen in the mirror image of the original: as near as one photo comes to another.
    """
    found = evaluate.same_face(stack, after, face)
    recognisers = {}
    for name, recogniser in stack.recognisers.items():
        owner = evaluate.embed_face(recogniser, before, face, mirror=True)
        seen = {
            "before": evaluate.embed_face(recogniser, before, face),
            "after": evaluate.embed_face(recogniser, after, found or face),
        }
        entry: dict[str, Any] = {
            "surrogate": name in settings.surrogates,
            "metric": recogniser.threshold.metric,
            "threshold": recogniser.threshold.far_1pct,
        }
        for moment, embedding in seen.items():
            verdict = evaluate.compare_embeddings(recogniser, embedding, owner)
            entry |= {moment: round(verdict.similarity, 4), f"matched_{moment}": verdict.same}
            if target is not None:
                verdict = evaluate.compare_embeddings(recogniser, embedding, target.embeddings[name])
                entry |= {
                    f"target_{moment}": round(verdict.similarity, 4), f"target_matched_{moment}": verdict.same
                }  # fmt: skip
        recognisers[name] = entry
    a, b = evaluate.box_of(before, face), evaluate.box_of(after, face)
    return {
        "box": [round(v, 1) for v in face.box],
        "psnr": round(evaluate.psnr(a, b), 2),
        "ssim": round(evaluate.ssim(a, b), 4),
        "steps": settings.steps or STEPS,
        "face_found_after": found is not None,
        "recognisers": recognisers,
    }


def _report(
    photo: Photo, pixels: np.ndarray, settings: Settings, faces: list[dict[str, Any]], clock: _Clock
) -> dict[str, Any]:
    shown = asdict(replace(settings, target=0))
    del shown["target"]
    if settings.mode == "impersonate":
        shown["target"] = "photo" if isinstance(settings.target, bytes) else f"synthetic:{settings.target:d}"
    height, width = photo.pixels.shape[:2]
    return {
        "photo": {
            "width": width,
            "height": height,
            "format": photo.format,
            "psnr": round(evaluate.psnr(photo.pixels, pixels), 2),
            "ssim": round(evaluate.ssim(photo.pixels, pixels), 4),
        },
        "faces": faces,
        "settings": shown,
        "stages": {stage: round(seconds, 3) for stage, seconds in clock.seconds.items()},
        "seconds": round(clock.total, 3),
    }

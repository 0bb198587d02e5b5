"""What was done to a photo, ready for JSON: the numbers that let its owner judge the result."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from engines import evaluate
from engines.config import Settings
from engines.detect import Face
from engines.imaging import Photo
from engines.losses.adversarial import Identity
from engines.search import STEPS
from engines.stack import Stack


class Stopwatch:
    """Seconds by stage; a lap counts from the end of the one before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """The time since the last lap was spent in `stage`."""
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._last, 3)
        self._last = now

    def skip(self) -> None:
        """The time since the last lap is counted elsewhere."""
        self._last = time.perf_counter()

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return round(time.perf_counter() - self._start, 3)


@dataclass(frozen=True)
class Done:
    """One face, and what was done to it: the prompt, the target's name (empty: none) and identity, the seconds."""

    face: Face
    prompt: str
    target: str
    identity: Identity | None
    seconds: dict[str, float]


def face_report(stack: Stack, settings: Settings, before: np.ndarray, after: np.ndarray, done: Done) -> dict[str, Any]:
    """What was done to one face, and what every recogniser makes of it.

    The owner is seen in the mirror image of the original: as near as one photo comes to another.
    `before` and `after` are the photo (H, W, 3) uint8.
    """
    face, target = done.face, done.identity
    found = evaluate.same_face(stack, after, face)
    a, b = evaluate.box_of(before, face), evaluate.box_of(after, face)
    recognisers = {}
    for name, recogniser in stack.recognisers.items():
        owner = evaluate.embed_face(recogniser, before, face, mirror=True)
        recognisers[name] = entry = {
            "surrogate": name in settings.surrogates,
            "metric": recogniser.threshold.metric,
            "threshold": recogniser.threshold.far_1pct,
        }
        for moment, pixels, where in (("before", before, face), ("after", after, found or face)):
            embedding = evaluate.embed_face(recogniser, pixels, where)
            verdict = evaluate.compare_embeddings(recogniser, embedding, owner)
            entry |= {moment: round(verdict.similarity, 4), f"matched_{moment}": verdict.same}
            if target is not None:
                verdict = evaluate.compare_embeddings(recogniser, embedding, target.embeddings[name])
                entry |= {f"target_{moment}": round(verdict.similarity, 4), f"target_matched_{moment}": verdict.same}
    return {
        "box": [round(v, 1) for v in face.box],
        "psnr": round(evaluate.psnr(a, b), 2),
        "ssim": round(evaluate.ssim(a, b), 4),
        "steps": settings.steps or STEPS,
        "seed": settings.seed,
        "prompt": done.prompt,
        "target": done.target or None,
        "seconds": done.seconds,
        "found_after": found is not None,
        "recognisers": recognisers,
    }


def photo_report(
    photo: Photo, pixels: np.ndarray, settings: Settings, faces: list[dict[str, Any]], watch: Stopwatch
) -> dict[str, Any]:
    """The whole report; `pixels` (H, W, 3) uint8 is what the encoded result decodes to."""
    shown = asdict(replace(settings, target=0)) | {"target": _shown_target(settings)}
    height, width = photo.pixels.shape[:2]
    stages = dict(watch.seconds)
    for face in faces:
        for stage, seconds in face["seconds"].items():
            stages[stage] = round(stages.get(stage, 0.0) + seconds, 3)
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
        "stages": stages,
        "seconds": watch.total,
    }


def _shown_target(settings: Settings) -> str | None:
    """A photo is named as such: its bytes are nobody's business."""
    if settings.mode == "dodge":
        return None
    if isinstance(settings.target, int):
        return f"synthetic:{settings.target:d}"
    return "photo" if isinstance(settings.target, bytes) else settings.target

"""The report of a protected photo, typed and ready for JSON: the settings, the measures, the verdicts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict, cast

import numpy as np

from engines.config import Faces, Level, Mode, Part, Render, Settings
from engines.face.detect import Face, find_again
from engines.face.recognise import Identity, Recogniser, compare_embeddings, embed_face
from engines.models.registry import Metric
from engines.photo.decode import Format, Photo
from engines.photo.quality import psnr, ssim
from engines.stack import Stack


class RecogniserReport(TypedDict):
    """One recogniser's verdict on a face: its similarity to its owner, and to the target, before and after.

    A similarity is a cosine or a distance, by `metric`; `threshold` is that of a false accept rate of 1 %.
    `surrogate`: the search used this recogniser.
    """

    surrogate: bool
    metric: Metric
    threshold: float
    before: float
    matched_before: bool
    after: float
    matched_after: bool
    target_before: NotRequired[float]
    target_matched_before: NotRequired[bool]
    target_after: NotRequired[float]
    target_matched_after: NotRequired[bool]


class FaceReport(TypedDict):
    """One face: its box (left, top, right, bottom) in px, its protection, and the recognisers' verdicts.

    `psnr` (dB) and `ssim` are taken in the box.  `target` is a name or None, `seconds` are by stage,
    `found_after` says whether the detector still finds the face.
    """

    box: list[float]
    psnr: float
    ssim: float
    steps: int
    seed: int
    prompt: str
    target: str | None
    seconds: dict[str, float]
    found_after: bool
    recognisers: dict[str, RecogniserReport]


class PhotoReport(TypedDict):
    """The photo: its size in px, its file format, and how much all of it changed."""

    width: int
    height: int
    format: Format
    psnr: float
    ssim: float


class SettingsReport(TypedDict):
    """`Settings.as_options`."""

    mode: Mode
    target: str | None
    level: Level
    faces: Faces
    render: Render
    surrogates: Sequence[str]
    steps: int
    tuning_steps: int
    seed: int
    prompt: str
    source_text: str
    without: Sequence[Part]


class Report(TypedDict):
    """A protected photo.

    `stages` are seconds by stage, faces added up.  `backends` names the runtime of each forward-only job;
    `fallbacks` says why an exported network was not used.
    """

    photo: PhotoReport
    faces: list[FaceReport]
    settings: SettingsReport
    stages: dict[str, float]
    seconds: float
    backends: dict[str, str]
    fallbacks: list[str]


class Stopwatch:
    """Seconds by stage; a lap counts from the end of the lap before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Adds the time since the last lap to `stage`."""
        now = time.perf_counter()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - self._last, 3)
        self._last = now

    def skip(self) -> None:
        """Leaves out the time since the last lap, which is counted elsewhere."""
        self._last = time.perf_counter()

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return round(time.perf_counter() - self._start, 3)


@dataclass(frozen=True)
class ProtectedFace:
    """A face and its protection; `target` is the name of the person to resemble, "" if there is none."""

    face: Face
    prompt: str
    target: str
    identity: Identity | None
    seconds: dict[str, float]


def face_report(
    stack: Stack, settings: Settings, before: np.ndarray, after: np.ndarray, protected: ProtectedFace
) -> FaceReport:
    """The report of one face of a photo (H, W, 3) uint8, before and after.

    The owner stands in the mirror image of the original: as near as one photo of a person comes to another.
    """
    face, identity = protected.face, protected.identity
    face_after = find_again(stack.detector, after, face)
    looks = (before, face), (after, face_after or face)
    return {
        "box": [round(v, 1) for v in face.box],
        "psnr": round(psnr(face.part_of(before), face.part_of(after)), 2),
        "ssim": round(ssim(face.part_of(before), face.part_of(after)), 4),
        "steps": settings.steps,
        "seed": settings.seed,
        "prompt": protected.prompt,
        "target": protected.target or None,
        "seconds": protected.seconds,
        "found_after": face_after is not None,
        "recognisers": {
            name: _recogniser_report(recogniser, name in settings.surrogates, looks, identity)
            for name, recogniser in stack.recognisers.items()
        },
    }


def photo_report(
    photo: Photo, pixels: np.ndarray, settings: Settings, faces: list[FaceReport], watch: Stopwatch
) -> Report:
    """The whole report.

    `pixels` (H, W, 3) uint8 are those of the decoded result.  The caller adds `backends` and `fallbacks`.
    """
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
            "psnr": round(psnr(photo.pixels, pixels), 2),
            "ssim": round(ssim(photo.pixels, pixels), 4),
        },
        "faces": faces,
        "settings": cast(SettingsReport, settings.as_options()),
        "stages": stages,
        "seconds": watch.total,
        "backends": {},
        "fallbacks": [],
    }


def _recogniser_report(
    recogniser: Recogniser,
    surrogate: bool,
    looks: tuple[tuple[np.ndarray, Face], tuple[np.ndarray, Face]],
    target: Identity | None,
) -> RecogniserReport:
    """A recogniser's report; `looks` are photo (H, W, 3) uint8 and face, before and after."""
    owner = embed_face(recogniser, *looks[0], mirror=True)
    embeddings = [embed_face(recogniser, *look) for look in looks]
    before, after = (compare_embeddings(recogniser, embedding, owner) for embedding in embeddings)
    report: RecogniserReport = {
        "surrogate": surrogate,
        "metric": recogniser.threshold.metric,
        "threshold": recogniser.threshold.far_1pct,
        "before": round(before.similarity, 4),
        "matched_before": before.same,
        "after": round(after.similarity, 4),
        "matched_after": after.same,
    }
    if target is not None:
        person = target.embeddings[recogniser.name]
        before, after = (compare_embeddings(recogniser, embedding, person) for embedding in embeddings)
        report["target_before"], report["target_matched_before"] = round(before.similarity, 4), before.same
        report["target_after"], report["target_matched_after"] = round(after.similarity, 4), after.same
    return report

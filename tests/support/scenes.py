"""Scenes of a search."""

from __future__ import annotations

from engines.config import Level, Render, Settings
from engines.face.crop import AlignedFace
from engines.latent.scene import BUDGETS, LatentCode, Scene
from engines.networks.mobilestylegan import Generator
from engines.networks.preview import Preview

HELD_OUT = "dlib-resnet29"


SURROGATES = Settings().surrogates


def scene_of(
    faces: list[AlignedFace],
    artist: Generator | Preview,
    pivot: LatentCode,
    kind: Render = "residual",
    level: Level = "balanced",
) -> Scene:
    return Scene(faces, artist, pivot, kind=kind, gray=False, budget=BUDGETS[level])

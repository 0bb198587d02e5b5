"""Views of a face as a recogniser may get it: misaligned, mirrored, damaged by an upload."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.config import Part
from engines.face import align
from engines.face.crop import AlignedFace
from engines.face.recognise import Identity, Recogniser
from engines.latent import degrade
from engines.networks.frame import IMAGE_SIZE, REDUCTION

#: How an aligned crop may be off: radians, relative size, pixels.
JITTER_ANGLE, JITTER_SIZE, JITTER_SHIFT = 0.06, 0.05, 2.0


class View:
    """One random view of faces (N, 3, 256, 256) in [0, 1] and their points."""

    def __init__(self, chance: random.Random) -> None:
        self.mirrored = chance.random() < 0.5
        self.angle = chance.gauss(0, JITTER_ANGLE)
        self.size = 1 + chance.gauss(0, JITTER_SIZE)
        self.shift = np.array([chance.gauss(0, JITTER_SHIFT), chance.gauss(0, JITTER_SHIFT)])
        self.damage = chance.choice(("none", "jpeg", "shrink", "blur"))
        self.amount = chance.random()

    @classmethod
    def plain(cls) -> View:
        """The view that changes nothing."""
        view = cls(random.Random(0))
        view.mirrored, view.angle, view.size, view.shift, view.damage = False, 0.0, 1.0, np.zeros(2), "none"
        return view

    @classmethod
    def drawn(cls, chance: random.Random, without: Collection[Part]) -> View:
        """A random view; the plain one where an ablation leaves out `robustness`."""
        return cls.plain() if "robustness" in without else cls(chance)

    def images(self, image: Tensor) -> Tensor:
        """The images after the damage of an upload."""
        if self.damage == "jpeg":
            image = degrade.jpeg(image, round(50 + 45 * self.amount))
        elif self.damage == "shrink":
            image = degrade.shrink(image, 1.3 + 0.9 * self.amount)
        elif self.damage == "blur":
            image = degrade.blur(image, 0.4 + 0.8 * self.amount)
        return image.flip(3) if self.mirrored else image

    def transform(self, recogniser: Recogniser, points: np.ndarray, width: int) -> np.ndarray:
        """The recogniser's crop of these points, slightly misaligned."""
        exact = recogniser.crop_transform(mirrored(points, width) if self.mirrored else points)
        turn = self.size * np.array(
            [[math.cos(self.angle), -math.sin(self.angle)], [math.sin(self.angle), math.cos(self.angle)]]
        )
        centre = np.full(2, recogniser.size / 2)
        shift = self.shift * recogniser.size / 112
        return align.compose(exact, np.column_stack((turn, centre + shift - turn @ centre)))


def mirrored(points: np.ndarray, width: float) -> np.ndarray:
    """Five points (5, 2) in the mirror image of a picture that is `width` px wide."""
    flipped = points * (-1, 1) + (width, 0)
    return flipped[[1, 0, 2, 4, 3]].astype(np.float32)


def embed_views(
    recognisers: Sequence[Recogniser], images: Tensor, faces: Sequence[AlignedFace], views: Sequence[View]
) -> dict[str, Tensor]:
    """Embeddings (V, N, D) of V views of N aligned faces (N, 3, 256, 256) in [0, 1]."""
    damaged = torch.cat([view.images(images) for view in views])
    width = IMAGE_SIZE // REDUCTION
    embeddings = {}
    for r in recognisers:
        crops = [view.transform(r, face.points / REDUCTION, width) for view in views for face in faces]
        embeddings[r.name] = r.embed(damaged, np.stack(crops)).unflatten(0, (len(views), len(faces)))
    return embeddings


@torch.no_grad()
def owner_identity(
    surrogates: Sequence[Recogniser],
    photo: Tensor,
    faces: Sequence[AlignedFace],
    chance: random.Random,
    without: Collection[Part] = (),
) -> Identity:
    """The owners' identities: means over eight views, nearer to their other photos than one view."""
    embeddings = embed_views(surrogates, photo, faces, [View.drawn(chance, without) for _ in range(8)])
    means = {s: embeddings[s.name].mean(dim=0) for s in surrogates}
    return Identity(
        {s.name: F.normalize(m) if s.threshold.metric == "cosine" else m for s, m in means.items()}
    )

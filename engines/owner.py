"""The owner, known by a few photos: which faces of a photo are theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from engines import evaluate
from engines.detect import Face, detect
from engines.errors import CrowdError, NoFaceError
from engines.imaging import Photo
from engines.losses.adversarial import Identity, similarity
from engines.recognise import Recogniser
from engines.stack import Stack

#: A second face of this part of the first one's size leaves open which is the owner's.
CROWD = 0.5


@dataclass(frozen=True)
class Owner:
    """A person as every recogniser saw them in some photos: embeddings (1, D) on the CPU, where they are kept."""

    photos: Sequence[Identity]


def enrol(stack: Stack, photo: Photo) -> Identity:
    """What every recogniser makes of the face of a photo.

    Raises NoFaceError where there is none, CrowdError where another is large enough to be the one that is meant.
    """
    found = detect(stack.detector, photo.pixels)
    if not found:
        raise NoFaceError("no face was found: give a photo of yourself in which your face is turned to the camera")
    if len(found) > 1 and found[1].size > CROWD * found[0].size:
        raise CrowdError(f"{len(found)} faces were found: give a photo in which yours is by far the largest")
    return _on_cpu(evaluate.identity(stack, photo.pixels, found[0]))


def look(stack: Stack, photo: Photo, owner: Owner | None) -> list[tuple[Face, bool | None]]:
    """The faces of a photo, the largest first, each with whether it is the owner's; None: nobody knows."""
    found = detect(stack.detector, photo.pixels)
    return [(face, None if owner is None else is_owner(stack, photo.pixels, face, owner)) for face in found]


@torch.no_grad()
def is_owner(stack: Stack, pixels: np.ndarray, face: Face, owner: Owner) -> bool:
    """Whether a face of a photo (H, W, 3) uint8 is the owner's.

    It is where the recognisers' mean excess over their thresholds is positive for one of the owner's photos.
    Over 24 photos of 13 people none of 36 pairs of one person and none of 516 of two lay on the wrong side.
    """
    identity = _on_cpu(evaluate.identity(stack, pixels, face))
    seen = {name: embedding[None] for name, embedding in identity.embeddings.items()}

    def known(photo: Identity) -> list[Recogniser]:  # a recogniser may have come later than the photo
        return [recogniser for name, recogniser in stack.recognisers.items() if name in photo.embeddings]

    return any(known(photo) and float(similarity(known(photo), seen, photo)) > 0 for photo in owner.photos)


def _on_cpu(identity: Identity) -> Identity:
    return Identity({name: embedding.cpu() for name, embedding in identity.embeddings.items()})

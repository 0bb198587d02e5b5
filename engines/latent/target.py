"""The person whom a face comes to resemble in impersonation: a generated face, or the face of a photo."""

from __future__ import annotations

import numpy as np

from engines.config import Target
from engines.errors import NoFaceError
from engines.face.detect import detect
from engines.face.recognise import Identity, identity_of_face
from engines.networks.generator import StyleGenerator
from engines.photo.decode import decode
from engines.stack import Stack


def target_identities(stack: Stack, target: Target | None) -> dict[str, Identity]:
    """The candidates by name: one, several where short searches choose, none when dodging.

    Raises ImageError for an unusable photo, NoFaceError where a candidate shows no face.
    """
    if target is None:
        return {}
    if target.photo is not None:
        return {"photo": photo_identity(stack, target.photo)}
    return {
        f"synthetic:{seed}": _identity(stack, generated_face(stack.generator, seed)) for seed in target.seeds
    }


def photo_identity(stack: Stack, data: bytes) -> Identity:
    """The largest face of a photo, given as its file's bytes.  Raises ImageError, NoFaceError."""
    return _identity(stack, decode(data).pixels)


def generated_face(generator: StyleGenerator, seed: int) -> np.ndarray:
    """A generated face, so of no real person: (1024, 1024, 3) uint8 RGB."""
    image = generator.published(generator.sample_w(seed))
    return ((image[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()


def _identity(stack: Stack, pixels: np.ndarray) -> Identity:
    faces = detect(stack.detector, pixels)
    if not faces:
        raise NoFaceError("the target shows no face: give another photo or seed")
    return identity_of_face(stack.recognisers.values(), pixels, faces[0])

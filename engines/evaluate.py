"""Measuring: what recognisers make of a face, and how much a photo has changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from skimage.metrics import structural_similarity
from torch import Tensor

from engines.detect import Face, detect
from engines.errors import NoFaceError
from engines.face import cut
from engines.imaging import Photo
from engines.losses.adversarial import Identity
from engines.models.registry import Metric
from engines.recognise import Recogniser
from engines.stack import Stack

#: PSNR of two equal pictures, in place of infinity: JSON has none.
MAX_PSNR = 100.0
#: SSIM of whole photos is taken at no more than this many pixels: it needs 100 bytes for each.
SSIM_PIXELS = 4_000_000


@dataclass(frozen=True)
class Comparison:
    """What one recogniser says of two faces; `similarity` is a cosine or a distance, by `metric`."""

    recogniser: str
    metric: Metric
    similarity: float
    threshold: float
    same: bool


def compare(stack: Stack, a: Photo, b: Photo) -> list[Comparison]:
    """Every recogniser's verdict on the largest faces of two photos.

    Raises NoFaceError that says which of the two shows no face.
    """
    faces = []
    for photo, which in ((a, "first"), (b, "second")):
        found = detect(stack.detector, photo.pixels)
        if not found:
            raise NoFaceError(f"the {which} photo shows no face that can be found")
        faces.append(found[0])
    return [
        compare_embeddings(r, embed_face(r, a.pixels, faces[0]), embed_face(r, b.pixels, faces[1]))
        for r in stack.recognisers.values()
    ]


@torch.no_grad()
def embed_face(recogniser: Recogniser, pixels: np.ndarray, face: Face, *, mirror: bool = False) -> Tensor:
    """The embedding (1, D) of a face of a photo (H, W, 3) uint8, or of its mirror image."""
    crop = cut(pixels, recogniser.crop_transform(face.points), recogniser.size)
    identity = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    device = next(recogniser.network.parameters()).device
    return recogniser.embed((crop.flip(3) if mirror else crop).to(device), identity, forward_only=True)


def identity(stack: Stack, pixels: np.ndarray, face: Face) -> Identity:
    """A face of a photo (H, W, 3) uint8 as every recogniser sees it."""
    return Identity({name: embed_face(r, pixels, face) for name, r in stack.recognisers.items()})


def compare_embeddings(recogniser: Recogniser, a: Tensor, b: Tensor) -> Comparison:
    """One recogniser's verdict on two embeddings (1, D)."""
    value = float(recogniser.compare(a, b))
    threshold = recogniser.threshold
    return Comparison(recogniser.name, threshold.metric, value, threshold.far_1pct, recogniser.is_match(value))


def same_face(stack: Stack, pixels: np.ndarray, face: Face) -> Face | None:
    """The face found anew where `face` was: a recogniser aligns what it finds, not what we know."""
    centre = np.array(face.box).reshape(2, 2).mean(axis=0)
    near = []
    for found in detect(stack.detector, pixels):
        distance = float(np.hypot(*(np.array(found.box).reshape(2, 2).mean(axis=0) - centre)))
        if distance < face.size / 2:
            near.append((distance, found))
    return min(near, key=lambda item: item[0])[1] if near else None


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 pictures (H, W, 3), at most `MAX_PSNR`."""
    total = 0.0
    for start in range(0, len(a), 512):  # in bands: a photo of 50 megapixels is 600 MB as floats
        difference = a[start : start + 512].astype(np.int32) - b[start : start + 512]
        total += float(np.square(difference).sum(dtype=np.int64))
    error = total / a.size
    return min(MAX_PSNR, 10 * np.log10(255**2 / error)) if error else MAX_PSNR


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of two uint8 pictures (H, W, 3): 7-px windows, mean over channels.

    Larger ones than `SSIM_PIXELS` are averaged down first.  Pictures under 7 px hold no window: 1 if
    they are equal, else 0.
    """
    if min(a.shape[:2]) < 7:
        return float(np.array_equal(a, b))
    factor = int(np.ceil((a.shape[0] * a.shape[1] / SSIM_PIXELS) ** 0.5))
    if factor > 1:
        a, b = (np.asarray(Image.fromarray(x).reduce(factor)) for x in (a, b))
    return float(structural_similarity(a, b, channel_axis=2, data_range=255))


def box_of(pixels: np.ndarray, face: Face) -> np.ndarray:
    """The part of a photo (H, W, 3) that a face's box covers."""
    left, top, right, bottom = (max(0, round(v)) for v in face.box)
    return pixels[top : max(bottom, top + 1), left : max(right, left + 1)]

"""Photos as pixels and as files."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image
from skimage.data import astronaut
from torch import Tensor

from engines.photo.decode import Photo, decode


def changed(pixels: np.ndarray, strength: int = 8) -> np.ndarray:
    """What a protection does to a photo: a small change everywhere."""
    noise = np.random.default_rng(1).integers(-strength, strength + 1, pixels.shape)
    return (pixels.astype(int) + noise).clip(0, 255).astype(np.uint8)


def natural(height: int = 100, width: int = 90) -> np.ndarray:
    """A part of a real photo (H, W, 3) uint8, with a face."""
    return np.ascontiguousarray(astronaut()[60 : 60 + height, 180 : 180 + width])


def as_tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 255


def picture(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))


def png(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


def photo_of(pixels: np.ndarray) -> Photo:
    return decode(png(pixels))


FACELESS = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)

"""Transforms, places and pictures for tests of geometry."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engines.face.detect import Face

CPU = torch.device("cpu")


#: Five points of a face at FFHQ's place in a 1024-px crop.
CANONICAL = np.array([[383, 480], [641, 480], [512, 620], [418, 744], [606, 744]], np.float64)


IDENTITY = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def turned(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    """A similarity (2, 3): scaled and rotated, then shifted."""
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[c, -s, x], [s, c, y]])


def apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ transform[:, :2].T + transform[:, 2]


SIMILARITIES = [
    turned(1, 0, 0, 0),
    turned(0.05, 0, 30, -20),
    turned(1.7, 33, -200, 500),
    turned(0.4, -90, 0, 0),
    turned(3, 179, 7, 7),
]


def noise(height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0), dtype=dtype)


def places(transform: np.ndarray, size: int) -> np.ndarray:
    """(2, S, S): where in the picture the centres of a crop's pixels lie."""
    v, u = np.mgrid[:size, :size] + 0.5
    return np.moveaxis(apply(transform, np.stack((u, v), axis=-1)), -1, 0)


def smooth_photo(height: int, width: int, colour: bool = True) -> np.ndarray:
    """A photo (H, W, 3) uint8 without detail finer than some 40 px, between 60 and 196."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(60, 197, (height // 40 + 2, width // 40 + 2, 3 if colour else 1), np.uint8)
    coarse = np.repeat(coarse, 1 if colour else 3, axis=2)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def noisy_photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (height, width, 3), np.uint8)


def tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def face_at(transform: np.ndarray, box: tuple[float, float, float, float] = (300, 250, 724, 900)) -> Face:
    """A face whose canonical points and box (upright) are put into a photo by `transform`."""
    corners = apply(transform, np.array(box).reshape(2, 2))
    low, high = corners.min(axis=0), corners.max(axis=0)
    return Face((low[0], low[1], high[0], high[1]), apply(transform, CANONICAL).astype(np.float32), 1.0)

"""One face of a photo, cut out and aligned as the generator wants it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engines.face import align
from engines.face.detect import Face
from engines.networks.frame import IMAGE_SIZE


@dataclass(frozen=True)
class AlignedFace:
    """A face in the generator's frame.

    `crop` is (1, 3, 1024, 1024), RGB in [-1, 1]; `transform` (2, 3) maps its pixels to the photo's;
    `points` are the five points in the crop; `area` is the detector's box in square pixels of it.
    """

    crop: Tensor
    transform: np.ndarray
    points: np.ndarray
    area: float

    @classmethod
    def cut(cls, pixels: np.ndarray, face: Face, device: torch.device) -> AlignedFace:
        """The face as the photo (H, W, 3) uint8 shows it."""
        transform = align.ffhq_transform(face.points)
        inverse = align.inverse(transform)
        left, top, right, bottom = face.box
        return cls(
            crop=cut(pixels, transform, IMAGE_SIZE).to(device) * 2 - 1,
            transform=transform,
            points=(face.points @ inverse[:, :2].T + inverse[:, 2]).astype(np.float32),
            area=(right - left) * (bottom - top) / align.scale_of(transform) ** 2,
        )


def cut(pixels: np.ndarray, transform: np.ndarray, size: int) -> Tensor:
    """A crop (1, 3, size, size) in [0, 1] of a photo (H, W, 3) uint8.

    Memory follows the crop, not the photo: only the part that the crop covers is looked at, and
    it is averaged down while it is still bytes.
    """
    height, width = pixels.shape[:2]
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) @ transform[:, :2].T + transform[:, 2]
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2, 0, (width - 1, height - 1))
    right, bottom = np.clip(
        np.ceil(corners.max(axis=0)).astype(int) + 2, (left + 1, top + 1), (width, height)
    )
    part = Image.fromarray(pixels[top:bottom, left:right])
    factor = max(1, int(align.scale_of(transform)))
    if factor > 1:
        part = part.reduce(factor)
    local = np.column_stack((transform[:, :2], transform[:, 2] - (left, top))) / factor
    image = torch.from_numpy(np.array(part)).permute(2, 0, 1)[None].float() / 255
    return align.sample(image, local, size)

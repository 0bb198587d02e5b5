"""The generator's frame: the square in which every face lies, the part of it that may change, and a face's
regions.

The frame is the FFHQ crop, 1024 px wide (Karras et al. 2019).  The search looks at a quarter of that size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

#: Side of the frame in px.
IMAGE_SIZE = 1024
#: The search works at 1/REDUCTION of the frame: 256 px are as fine as any recogniser's crop.
REDUCTION = 4

#: The regions of a face that makeup goes on, in the order of every mask and score.
Region = Literal["lips", "shadow", "liner", "brows", "blush", "contour", "highlight", "skin"]
REGIONS: tuple[Region, ...] = get_args(Region)

#: The mask's ellipse in the frame: centre, half axes in px, and the width of its fading border as a part of
#: the half axes.  It holds brows to chin and fades out before ears and hair.  Eyes lie at y = 480, the mouth
#: at 744.
_CENTRE, _AXES, _FADE = (512.0, 585.0), (330.0, 385.0), 0.25


@dataclass(frozen=True)
class Window:
    """A rectangle of the frame in cells of 16 px; (0, 0, 64, 64) is the whole frame."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def pixels(self) -> tuple[slice, slice]:
        """The rows and columns of the 1024-px image that the window covers."""
        return slice(16 * self.top, 16 * self.bottom), slice(16 * self.left, 16 * self.right)

    def grown(self, cells: int) -> Window:
        """The window, wider by `cells` on every side, but never beyond the frame."""
        return Window(
            max(self.top - cells, 0),
            max(self.left - cells, 0),
            min(self.bottom + cells, 64),
            min(self.right + cells, 64),
        )

    def cut(self, image: Tensor) -> Tensor:
        """The window's part of features, an image or a noise map (N, C, R, R); R is at least 64."""
        cell = image.shape[-1] // 64
        return image[:, :, cell * self.top : cell * self.bottom, cell * self.left : cell * self.right]


WHOLE = Window(0, 0, 64, 64)
#: The part of the frame in which the face mask is not zero.  The search renders nothing else.
MASK_WINDOW = Window(12, 11, 61, 53)


def trim(image: Tensor, window: Window | None, margin: int = 2) -> Tensor:
    """The window's part of an image (N, C, H, W) of any size, computed `margin` cells wider."""
    if window is None:
        return image
    wide = window.grown(margin)
    cell = image.shape[-1] // (wide.right - wide.left)
    top, left = window.top - wide.top, window.left - wide.left
    bottom, right = window.bottom - wide.top, window.right - wide.left
    return image[:, :, cell * top : cell * bottom, cell * left : cell * right]


@lru_cache
def face_mask(device: torch.device) -> Tensor:
    """The soft mask (1, 1, H, W) in [0, 1] over `MASK_WINDOW`: 1 on the face, 0 at the window's border."""
    axis = torch.arange(IMAGE_SIZE, device=device) + 0.5
    x, y = (axis - _CENTRE[0]) / _AXES[0], (axis - _CENTRE[1]) / _AXES[1]
    inside = ((1 - torch.hypot(x[None, :], y[:, None])) / _FADE).clamp(0, 1)
    rows, columns = MASK_WINDOW.pixels
    return (inside.square() * (3 - 2 * inside))[None, None, rows, columns]


def quarter(crop: Tensor) -> Tensor:
    """Aligned faces (N, 3, 1024, 1024) in [-1, 1] as the search sees them: (N, 3, 256, 256) in [0, 1]."""
    return F.avg_pool2d(crop, REDUCTION) / 2 + 0.5

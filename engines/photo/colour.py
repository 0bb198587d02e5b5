"""Colour spaces of photos: luma and chroma."""

from __future__ import annotations

import torch
from torch import Tensor

#: RGB to YCbCr (ITU-R BT.601, full range, as in JFIF), chroma around 0: three rows of three weights.
YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def luma(image: Tensor) -> Tensor:
    """ITU-R BT.601 luma (N, 1, H, W) of images (N, 3, H, W), RGB."""
    weights = torch.tensor(YCBCR[0]).to(image)[None, :, None, None]
    return (image * weights).sum(dim=1, keepdim=True)

"""The term of inversion and tuning: the distance of a generated face to the photographed one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def reconstruction(generated: Tensor, photographed: Tensor, weight: Tensor) -> Tensor:
    """Weighted absolute and squared error (N,) at full and quarter size of images (N, 3, H, W).

    `weight` (1, 1, H, W) says where it matters.  The paper uses LPIPS, whose weights no package
    registry carries; the coarse error stands in for its tolerance of fine texture.
    """
    error = generated - photographed
    fine = (weight * (2 * error.square() + error.abs())).mean(dim=(1, 2, 3))
    coarse = (F.avg_pool2d(weight, 4) * F.avg_pool2d(error, 4).square()).mean(dim=(1, 2, 3))
    return fine + 4 * coarse

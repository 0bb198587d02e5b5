"""Damage on the way to a recogniser, differentiable: JPEG, blur, resizing."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.photo.colour import YCBCR

#: Luminance and chrominance tables of the JPEG standard (ITU-T T.81, tables K.1 and K.2).
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99), (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99), *(((99,) * 8,) * 4),
)  # fmt: skip


@lru_cache
def _tables(quality: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """DCT basis (64, 1, 8, 8), quantisation steps (3, 64, 1, 1), colour matrix and inverse, for 0..255."""
    k = torch.arange(8, dtype=torch.float64)
    rows = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) * 0.5
    rows[0] *= 0.5**0.5
    basis = torch.einsum("ux,vy->uvxy", rows, rows).reshape(64, 1, 8, 8)
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    tables = torch.tensor((_LUMINANCE, _CHROMINANCE, _CHROMINANCE), dtype=torch.float64)
    steps = ((tables * factor + 50) / 100).floor().clamp(1, 255).reshape(3, 64, 1, 1)
    matrix = torch.tensor(YCBCR)
    inverse = torch.linalg.inv(matrix)
    return basis.float().to(device), steps.float().to(device), matrix.to(device), inverse.to(device)


def _soft_round(x: Tensor) -> Tensor:
    """Rounding with a useful gradient: Shin and Song, "JPEG-resistant adversarial images", 2017."""
    nearest = x.detach().round()
    return nearest + (x - nearest) ** 3


def jpeg(image: Tensor, quality: int) -> Tensor:
    """Images (N, 3, H, W), RGB in [0, 1], after JPEG at a quality of 1 to 100, without chroma subsampling."""
    basis, steps, matrix, inverse = _tables(quality, image.device)
    n, _, height, width = image.shape
    padded = F.pad(image * 255, (0, -width % 8, 0, -height % 8), mode="replicate")
    ycbcr = torch.einsum("dc,nchw->ndhw", matrix, padded)
    ycbcr = ycbcr - torch.tensor([128.0, 0, 0], device=image.device)[:, None, None]
    planes = ycbcr.reshape(n * 3, 1, *padded.shape[2:])
    coefficients = F.conv2d(planes, basis, stride=8).reshape(n, 3, 64, padded.shape[2] // 8, -1)
    coefficients = _soft_round(coefficients / steps) * steps
    planes = F.conv_transpose2d(coefficients.flatten(0, 1), basis, stride=8)
    ycbcr = planes.reshape_as(ycbcr) + torch.tensor([128.0, 0, 0], device=image.device)[:, None, None]
    decoded = torch.einsum("cd,ndhw->nchw", inverse, ycbcr)
    return (decoded[:, :, :height, :width] / 255).clamp(0, 1)


def shrink(image: Tensor, factor: float) -> Tensor:
    """Images (N, C, H, W) resized down by `factor` >= 1 and back, as a smaller upload leaves them."""
    size = image.shape[2:]
    small = F.interpolate(image, scale_factor=1 / factor, mode="bilinear", antialias=True)
    return F.interpolate(small, size=size, mode="bilinear", align_corners=False)


def blur(image: Tensor, sigma: float) -> Tensor:
    """Images (N, C, H, W) under a Gaussian of `sigma` pixels."""
    radius = math.ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(image.shape[1], 1, -1)
    padded = F.pad(image, (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel[:, :, None], groups=image.shape[1])
    return F.conv2d(rows, kernel[:, :, :, None], groups=image.shape[1])

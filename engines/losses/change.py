"""The naturalness term: how much of a face may visibly change."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_WINDOW_SIGMA, _WINDOW_RADIUS = 1.5, 5  # Wang et al. 2004, section III B
_C1, _C2 = 0.01**2, 0.03**2
#: Decibels, and the side of the squares in which a change of colour is one blotch, in px.
_COLOUR_STRICTER, _BLOTCH = 9.0, 8


def structural_dissimilarity(a: Tensor, b: Tensor) -> Tensor:
    """1 - SSIM of every pixel of two images (N, C, H, W) in [0, 1].

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004,
    equation 13.
    """
    offsets = torch.arange(-_WINDOW_RADIUS, _WINDOW_RADIUS + 1, device=a.device, dtype=a.dtype)
    window = torch.exp(-offsets.square() / (2 * _WINDOW_SIGMA**2))
    window = (window / window.sum()).expand(a.shape[1], 1, -1)

    def mean(x: Tensor) -> Tensor:
        x = F.pad(x, (_WINDOW_RADIUS,) * 4, mode="replicate")
        x = F.conv2d(x, window[:, :, :, None], groups=x.shape[1])
        return F.conv2d(x, window[:, :, None, :], groups=x.shape[1])

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a.square(), mean(b * b) - mean_b.square()
    covariance = mean(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    return 1 - likeness / ((mean_a.square() + mean_b.square() + _C1) * (var_a + var_b + _C2))


def visible_change(before: Tensor, after: Tensor, area: float, psnr: float, ssim: float) -> Tensor:
    """Squared error, lost SSIM and change of colour (3,), each in units of what a budget allows.

    All are summed over images (1, 3, H, W) in [0, 1] and spread over `area` pixels, the face's.
    `psnr` is in dB; colour, the part of the change that is not common to the three channels, must
    stay `_COLOUR_STRICTER` below it: it protects little, and people see it first.  Its local means
    are averaged in square, so that one red nose weighs more than a faint tint of the whole face.
    """
    change = after - before
    colour = change - change.mean(dim=1, keepdim=True)
    error = change.square().sum() / (3 * area) / 10 ** (-psnr / 10)
    local = F.avg_pool2d(colour.square().mean(dim=1, keepdim=True), _BLOTCH, ceil_mode=True)
    blotch = (local.square().sum() * _BLOTCH**2 / area + 1e-12).sqrt() / 10 ** (-(psnr + _COLOUR_STRICTER) / 10)
    lost = structural_dissimilarity(before, after).sum() / (3 * area) / (1 - ssim)
    return torch.stack((error, lost, blotch))

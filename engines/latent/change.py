"""The naturalness term: how much a face visibly changes, in units of a budget."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_WINDOW_SIGMA, _WINDOW_RADIUS = 1.5, 5  # Wang et al. 2004, section III B
_C1, _C2 = 0.01**2, 0.03**2
#: Colour is held stricter than a budget's PSNR, and light looser, both in dB and in squares of this many px.
#: A change that fills a square is a blotch.
_COLOUR_STRICTER, _LIGHT_LOOSER, _BLOTCH = 11.0, 7.0, 8
#: In surroundings (px wide) darker than mid-gray a change is seen relative to them.  Stray light keeps black
#: from counting without end.
_SURROUNDINGS, _MID_GRAY, _STRAY_LIGHT = 13, 0.5, 0.2


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


def visibility(image: Tensor) -> Tensor:
    """How much more a change is seen in the dark parts of an image: (N, 1, H, W), 1 or more.

    Weber's law: (mid-gray + stray) / (surroundings + stray), for images (N, 3, H, W) in [0, 1].
    """
    light = image.mean(dim=1, keepdim=True)
    around = F.avg_pool2d(light, _SURROUNDINGS, 1, _SURROUNDINGS // 2, count_include_pad=False)
    return ((_MID_GRAY + _STRAY_LIGHT) / (around + _STRAY_LIGHT)).clamp(min=1)


def visible_change(before: Tensor, after: Tensor, area: Tensor, psnr: float, ssim: float) -> Tensor:
    """Squared error, lost SSIM, blotches of colour and of light (N, 4), in units of a budget.

    All are summed over images (N, 3, H, W) in [0, 1] and spread over the faces' `area` (N,) in pixels; `psnr`
    is in dB.  All but SSIM weigh a change by its `visibility`, so a face's true PSNR is no lower.  Colour is
    the part of a change that the three channels do not share: it protects little, and people see it first.
    Blotches are averaged in square: one red nose weighs more than a faint tint of the whole face.
    """
    change = (after - before) * visibility(before)
    light = change.mean(dim=1, keepdim=True)
    colour = (change - light).square().mean(dim=1, keepdim=True)
    error = change.square().sum(dim=(1, 2, 3)) / (3 * area)
    # Every change of colour counts.  Of light only the mean of a square counts: finer changes are features.
    stains = _blotches(F.avg_pool2d(colour, _BLOTCH, ceil_mode=True), area) * 10 ** (_COLOUR_STRICTER / 10)
    patches = _blotches(F.avg_pool2d(light, _BLOTCH, ceil_mode=True).square(), area) / 10 ** (
        _LIGHT_LOOSER / 10
    )
    lost = structural_dissimilarity(before, after).sum(dim=(1, 2, 3)) / (3 * area) / (1 - ssim)
    allowed = 10 ** (-psnr / 10)
    return torch.stack((error / allowed, lost, stains / allowed, patches / allowed), dim=1)


def _blotches(energy: Tensor, area: Tensor) -> Tensor:
    """Root mean square (N,) over each face of the energy in its squares (N, 1, H, W)."""
    return (energy.square().sum(dim=(1, 2, 3)) * _BLOTCH**2 / area + 1e-12).sqrt()

"""A simple makeup renderer.  It paints looks on a batch of faces through soft masks of their parts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.makeup.palette import PALETTE, cover, light_of
from engines.networks.frame import REGIONS
from engines.training.vocabulary import Look
from engines.training.words import EFFECTS

#: Regions in the order of painting.
_ORDER = ("skin", "contour", "blush", "highlight", "shadow", "liner", "brows", "lips")
#: Standard deviation of a painted colour around the colour of its name, in 0..1.
_COLOUR_JITTER = 0.035


def paint(images: Tensor, masks: Tensor, looks: Sequence[Look], seed: int) -> Tensor:
    """Faces (N, 3, H, W), RGB in [0, 1], each with its look painted on.

    `masks` (N, 8, H, W) in [0, 1] have the order of `REGIONS`.  A layer keeps the shading below it and takes
    on the light of the photo.  Density, exact colour, gloss and freckles follow from the seed.
    """
    chance = torch.Generator().manual_seed(seed)
    colour, opacity = _parameters(looks, chance)
    gloss = torch.rand(len(looks), generator=chance)
    light = light_of(images, masks[:, REGIONS.index("skin")][:, None])
    images = images.clone()
    for region in _ORDER:
        i = REGIONS.index(region)
        rows = opacity[:, i].nonzero()[:, 0]  # most looks leave most regions as they are
        shine = gloss[rows] if region == "lips" else 0.3 * gloss[rows]
        mask = masks[rows, i][:, None]
        images[rows] = cover(images[rows], mask, colour[rows, i], opacity[rows, i], light[rows], shine)
    rows = torch.tensor([look.freckles for look in looks]).nonzero()[:, 0]
    images[rows] = images[rows] * (1 - _freckles(masks[rows], chance))
    return images


def _parameters(looks: Sequence[Look], chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Colours (N, 8, 3) in [0, 1] and opacities (N, 8)."""
    colour = torch.zeros(len(looks), len(REGIONS), 3)
    opacity = torch.zeros(len(looks), len(REGIONS))
    dense = torch.rand(opacity.shape, generator=chance)
    for n, look in enumerate(looks):
        for layer in look.layers:
            effect = EFFECTS[layer.effect]
            i = REGIONS.index(effect.region)
            low, high = effect.opacity
            opacity[n, i] = min(1.0, (low + (high - low) * float(dense[n, i])) * look.strength)
            colour[n, i] = torch.tensor(PALETTE[layer.colour]) / 255
    return (colour + _COLOUR_JITTER * torch.randn(colour.shape, generator=chance)).clamp(0, 1), opacity


def _freckles(masks: Tensor, chance: torch.Generator) -> Tensor:
    """Dark dots (N, 3, H, W) on cheeks and nose, as the part of the light that they absorb."""
    n, _, height, width = masks.shape
    dots = (torch.rand(n, 1, height, width, generator=chance) < 0.02).float()
    dots = F.avg_pool2d(F.pad(dots, (1, 1, 1, 1)), 3, 1) * 5
    where = F.avg_pool2d(masks[:, REGIONS.index("blush")][:, None], 9, 1, 4)
    nose = F.avg_pool2d(masks[:, REGIONS.index("highlight")][:, None], 9, 1, 4)
    absorbed = torch.tensor([0.35, 0.5, 0.6])[None, :, None, None]
    return dots.clamp(0, 1) * (1.5 * where + nose).clamp(0, 1) * absorbed

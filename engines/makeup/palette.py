"""A palette of makeup colours, and the layers that cover or tint a face with them through a soft mask."""

from __future__ import annotations

import torch
from torch import Tensor

from engines.networks.frame import Region
from engines.photo.colour import luma

RGB = tuple[float, float, float]

#: Colours of makeup, RGB in 0..255.
PALETTE: dict[str, RGB] = {
    "red": (200, 20, 35), "burgundy": (100, 12, 38), "pink": (242, 130, 170), "magenta": (230, 20, 130),
    "coral": (250, 105, 85), "orange": (245, 120, 20), "nude": (215, 155, 125), "brown": (105, 62, 38),
    "gold": (218, 172, 62), "yellow": (245, 220, 40), "green": (40, 140, 60), "teal": (20, 165, 165),
    "blue": (40, 85, 205), "navy": (18, 28, 85), "purple": (125, 40, 165), "lavender": (192, 155, 228),
    "black": (18, 16, 18), "white": (245, 245, 245), "silver": (165, 170, 180), "tan": (178, 112, 74),
}  # fmt: skip
#: The colours that makeup has in each region; lips and lids, which are not listed, have all but the tan.
_OF_REGION: dict[Region, tuple[str, ...]] = {
    "liner": ("black", "brown", "white", "blue", "green", "gold", "purple", "red"),
    "brows": ("black", "brown", "gold", "red", "blue", "green", "pink", "silver"),
    "blush": ("red", "pink", "magenta", "coral", "orange", "burgundy", "purple"),
    "contour": ("brown",),
    "highlight": ("white",),
    "skin": ("tan", "white"),
}

#: The greatest density of makeup in each region.
DENSITY: dict[Region, float] = {
    "lips": 0.85,
    "shadow": 0.75,
    "liner": 0.9,
    "brows": 0.7,
    "blush": 0.7,
    "contour": 0.5,
    "highlight": 0.5,
    "skin": 0.5,
}
#: Makeup of these regions is sheer, if it is not white: it leaves at most `_LEFT` of the skin's light.  A
#: pale powder would lie on dark skin like chalk.
_SHEER: tuple[Region, ...] = ("blush", "contour", "skin")
_LEFT = 0.85


def colours_of(region: Region) -> tuple[str, ...]:
    """The names of the colours that makeup has in a region."""
    return _OF_REGION.get(region, tuple(name for name in PALETTE if name != "tan"))


def cover(
    face: Tensor, mask: Tensor, colour: Tensor, opacity: Tensor, light: Tensor, gloss: Tensor
) -> Tensor:
    """Faces (N, 3, H, W), RGB in [0, 1], each covered with one colour (N, 3) through its mask (N, 1, H, W).

    The layer keeps the shading below it and takes on the `light` of the photo.  Opacity and gloss are in [0,
    1]; they and light are (N,).
    """
    light_here = luma(face)
    shade = (light_here / mean_within(light_here, mask)).clamp(0.3, 2.0)
    shine = (shade - 1.15).clamp(min=0) * gloss[:, None, None, None]
    target = colour[:, :, None, None] * light[:, None, None, None] * (0.4 + 0.6 * shade) + shine
    return torch.lerp(face, target.clamp(0, 1), mask * opacity[:, None, None, None])


def tint(face: Tensor, mask: Tensor, region: Region, name: str, density: Tensor, light: Tensor) -> Tensor:
    """Faces (N, 3, H, W), RGB in [0, 1], tinted in one colour through the region's mask (N, 1, H, W).

    `name` is a colour of the palette.  Where the colour is darker than the skin, a tint is a factor on the
    channel; where it is lighter, a factor on the rest of the channel up to 1.  So folds, shine and shade
    stay, and nothing is clipped.  Density, in [0, 1], and light are (N,).
    """
    skin = torch.cat([mean_within(channel, mask) for channel in face.split(1, dim=1)], dim=1)
    colour = torch.tensor(PALETTE[name]).to(face)[None, :, None, None] / 255
    colour = (colour * light[:, None, None, None]).clamp(max=1)
    if region in _SHEER and name != "white":
        colour = colour * (_LEFT * luma(skin) / luma(colour)).clamp(max=1)
    darker, lighter = face * (colour / skin), 1 - (1 - face) * ((1 - colour) / (1 - skin).clamp(min=0.05))
    tinted = torch.where(colour < skin, darker, lighter)
    return torch.lerp(face, tinted, mask * density[:, None, None, None]).clamp(0, 1)


def light_of(faces: Tensor, skin: Tensor) -> Tensor:
    """The brightness of the light on faces (N,), 1 in good light, by their skin's mask (N, 1, H, W)."""
    return mean_within(luma(faces), skin).div(0.55).clamp(0.45, 1.15).flatten()


def mean_within(values: Tensor, mask: Tensor) -> Tensor:
    """Mean (N, 1, 1, 1) of values (N, 1, H, W) within a mask, at least 0.05."""
    total = (values * mask).sum(dim=(2, 3), keepdim=True) + 1e-3
    return (total / (mask.sum(dim=(2, 3), keepdim=True) + 1e-3)).clamp(min=0.05)

"""Tints: the colours of makeup laid on skin."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engines.makeup.palette import DENSITY, PALETTE, colours_of, tint
from engines.networks.frame import REGIONS, Region
from engines.photo.colour import luma


def test_every_region_has_a_density_and_a_palette() -> None:
    assert set(DENSITY) == set(REGIONS)
    assert all(set(colours_of(region)) <= set(PALETTE) for region in REGIONS)


def tinted(face: Tensor, mask: Tensor, region: Region, name: str) -> Tensor:
    return tint(face, mask, region, name, torch.full((len(face),), 0.5), torch.ones(len(face)))


def test_a_tint_by_hand() -> None:
    face = torch.tensor([0.8, 0.6, 0.5])[None, :, None, None] * torch.tensor([0.9, 1.1])[None, None, None, :]
    red = torch.tensor(PALETTE["red"]) / 255
    half = tinted(face, torch.ones(1, 1, 1, 2), "lips", "red")
    expected = face * (0.5 + 0.5 * red / torch.tensor([0.8, 0.6, 0.5]))[None, :, None, None]
    assert torch.allclose(half, expected, rtol=1e-2)
    dark = torch.tensor([0.2, 0.1, 0.1])[None, :, None, None].expand(1, 3, 1, 2)
    lighter = tinted(dark, torch.ones(1, 1, 1, 2), "lips", "white")
    assert torch.allclose(1 - lighter, (1 - dark) * (0.5 + 0.5 * (1 - 245 / 255) / (1 - dark)), rtol=1e-2)
    assert torch.equal(tinted(face, torch.zeros(1, 1, 1, 2), "lips", "red"), face)


@pytest.mark.parametrize("region", ["blush", "contour", "skin"])
@pytest.mark.parametrize("skin", [(0.35, 0.22, 0.15), (0.6, 0.45, 0.35), (0.95, 0.8, 0.75)])
def test_what_is_sheer_never_lightens(region: Region, skin: tuple[float, ...]) -> None:
    face = torch.tensor(skin)[None, :, None, None].expand(1, 3, 8, 8)
    for name in set(colours_of(region)) - {"white"}:
        after = tinted(face, torch.ones(1, 1, 8, 8), region, name)
        assert float(luma(after).mean()) < float(luma(face).mean())
    if region == "skin":
        assert float(luma(tinted(face, torch.ones(1, 1, 8, 8), region, "white")).mean()) > float(
            luma(face).mean()
        )

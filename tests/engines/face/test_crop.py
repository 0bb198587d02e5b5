"""Crops of a photo, and a face that knows its place in it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.face.align import sample
from engines.face.crop import AlignedFace, cut
from engines.networks.frame import IMAGE_SIZE
from tests.support.transforms import (
    CANONICAL,
    CPU,
    apply,
    face_at,
    noisy_photo,
    places,
    smooth_photo,
    tensor,
    turned,
)

CUTS = {
    "inside": (100, 80),
    "at the border": (0, 0),
    "over a corner": (-60, -50),
    "over the far corner": (260, 200),
    "outside": (-400, 900),
}


@pytest.mark.parametrize("corner", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize(("scale", "degrees"), [(0.4, 0), (0.9, 30), (1.6, -45)])
def test_a_cut_is_a_sample_of_the_whole_photo(corner: tuple[int, int], scale: float, degrees: float) -> None:
    pixels = noisy_photo(260, 300)
    transform = turned(scale, degrees, *corner)
    assert torch.allclose(cut(pixels, transform, 112), sample(tensor(pixels), transform, 112), atol=2e-4)


@pytest.mark.parametrize("corner", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize(("scale", "degrees"), [(2, 0), (3.6, 12), (6.5, -80)])
def test_a_cut_of_a_large_face_is_a_sample_of_the_whole_photo(
    corner: tuple[int, int], scale: float, degrees: float
) -> None:
    """Averaged down in bytes and on another grid, so equal but for a rounding and part of a pixel."""
    pixels = smooth_photo(900, 1000)
    transform = turned(scale, degrees, 3 * corner[0], 3 * corner[1])
    difference = (cut(pixels, transform, 112) - sample(tensor(pixels), transform, 112)).abs() * 255
    assert float(difference.mean()) < 0.8
    assert float(difference.max()) < 8


def test_a_cut_of_a_large_face_lies_where_it_should() -> None:
    """On a ramp every pixel says where it was looked at: no drift by the grid of the averaging."""
    x = np.broadcast_to(np.linspace(0, 255, 1500)[None, :, None], (600, 1500, 3))
    for left in range(200, 208):
        transform = np.array([[5.0, 0, left], [0, 5.0, 40]])
        crop = cut(np.rint(x).astype(np.uint8), transform, 100)[0, 0].numpy() * 255
        expected = (places(transform, 100)[0] - 0.5) * 255 / 1499
        assert abs(float((crop - expected)[:, :-1].mean())) < 0.1
        assert float(np.abs(crop - expected)[:, :-1].max()) < 1.0


def test_an_aligned_face_knows_its_place() -> None:
    face = face_at(turned(0.3, 0, 40, 30))
    aligned = AlignedFace.cut(smooth_photo(420, 460), face, CPU)
    assert aligned.crop.shape == (1, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert np.allclose(apply(aligned.transform, aligned.points), face.points, atol=1e-3)
    assert np.allclose(aligned.points, CANONICAL, atol=8)
    assert aligned.area == pytest.approx(424 * 650, rel=0.02)
    assert -1 <= float(aligned.crop.min()) < 0 < float(aligned.crop.max()) <= 1

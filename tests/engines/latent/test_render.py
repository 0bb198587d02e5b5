"""Renderings: made, laid over a crop, and put into a photo."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.face.align import inverse
from engines.face.crop import AlignedFace
from engines.latent import render as rendering_module
from engines.latent.render import Rendering, composite, enlarge, lay_over, render
from engines.networks.frame import IMAGE_SIZE, MASK_WINDOW, face_mask
from tests.support.transforms import CPU, apply, face_at, noise, noisy_photo, smooth_photo, tensor, turned


def rendering(kind: str = "residual", *, gray: bool = False, size: int = IMAGE_SIZE) -> Rendering:
    """What two smooth images give, changes of up to some 40 of 255."""
    rows, columns = (slice(s.start * size // 1024, s.stop * size // 1024) for s in MASK_WINDOW.pixels)
    v, u = torch.meshgrid((torch.arange(size) + 0.5) / size, (torch.arange(size) + 0.5) / size, indexing="ij")
    waves = [torch.sin(9 * u + 4 * v), torch.sin(7 * v - 3 * u), torch.cos(6 * u + 8 * v)]
    image = 0.3 * torch.stack(waves)[None, :, rows, columns]
    return render(kind, image, torch.zeros_like(image), gray=gray)


@pytest.mark.parametrize("kind", ["residual", "generator"])
def test_rendering_is_what_its_formula_says(kind: str) -> None:
    mask = face_mask(CPU)
    image, pivot = noise(*mask.shape[2:]) * 2 - 1, noise(*mask.shape[2:]).flip(2) * 2 - 1
    made = render(kind, image, pivot, gray=False)
    if kind == "residual":
        assert torch.allclose(made.light, mask * (image - pivot) / 2, atol=1e-7)
        assert not made.cover.any()
    else:
        assert torch.allclose(made.light, mask * (image + 1) / 2, atol=1e-7)
        assert torch.equal(made.cover, mask)


@pytest.mark.parametrize("kind", ["residual", "generator"])
def test_a_gray_rendering_has_one_colour_and_the_luma_of_the_other(kind: str) -> None:
    gray, colour = rendering(kind, gray=True).light, rendering(kind).light
    assert torch.equal(gray[:, 0], gray[:, 1])
    assert torch.equal(gray[:, 0], gray[:, 2])
    luma = 0.299 * colour[:, 0] + 0.587 * colour[:, 1] + 0.114 * colour[:, 2]
    assert torch.allclose(gray[:, 0], luma, atol=1e-6)


@pytest.mark.parametrize("kind", ["residual", "generator"])
def test_laying_over_commutes_with_averaging_down(kind: str) -> None:
    """So the search, at a quarter of the size, sees what the photo will show."""
    crop = tensor(smooth_photo(1024, 1024))
    whole, quarter = rendering(kind), rendering(kind, size=256)
    small = lay_over(torch.nn.functional.avg_pool2d(crop, 4), quarter)
    assert torch.allclose(torch.nn.functional.avg_pool2d(lay_over(crop, whole), 4), small, atol=2e-3)


def test_laying_over_stays_in_range_and_in_the_window() -> None:
    crop = torch.ones(1, 3, 256, 256)
    over = lay_over(crop, rendering(size=256))
    rows, columns = (slice(s.start // 4, s.stop // 4) for s in MASK_WINDOW.pixels)
    assert float(over.max()) == 1
    assert float(over.min()) < 0.95
    outside = torch.ones(256, 256, dtype=torch.bool)
    outside[rows, columns] = False
    assert torch.equal(over[..., outside], crop[..., outside])
    assert float(crop.min()) == 1  # not changed in place


def test_enlarging_keeps_the_place() -> None:
    small, large = rendering(size=256), rendering()
    enlarged = enlarge(small, 4)
    assert enlarged.light.shape == large.light.shape
    assert enlarged.cover.shape == large.cover.shape
    assert float((enlarged.light - large.light).abs().max()) < 2e-3  # half a step of 255


PHOTO = (700, 800)


PLACES = {
    "small": turned(0.12, 0, 300, 200),
    "turned": turned(0.35, 28, 300, 100),
    "upside down": turned(0.4, 180, 700, 600),
    "large": turned(0.9, -5, -40, -20),
    "larger than the generator's": turned(1.3, 10, -100, -300),
    "over the corner": turned(0.6, 15, -250, -300),
    "over the far corner": turned(0.6, -15, 400, 350),
}


def aligned_at(pixels: np.ndarray, place: np.ndarray) -> AlignedFace:
    return AlignedFace.cut(pixels, face_at(place), CPU)


def outside_window(face: AlignedFace, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W): whether a photo's pixel has its centre outside the mask's window."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    u, v = np.moveaxis(apply(inverse(face.transform), np.stack((x, y), axis=-1)), -1, 0)
    rows, columns = MASK_WINDOW.pixels
    return (u < columns.start) | (u > columns.stop) | (v < rows.start) | (v > rows.stop)


@pytest.mark.parametrize("kind", ["residual", "generator"])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_nothing_changes_outside_the_masks_window(place: np.ndarray, kind: str) -> None:
    pixels = noisy_photo(*PHOTO)
    kept = pixels.copy()
    face = aligned_at(pixels, place)
    result = composite(pixels, face, rendering(kind))
    outside = outside_window(face, pixels.shape)
    assert np.array_equal(result[outside], pixels[outside])
    assert (result != pixels).any(axis=2)[~outside].mean() > 0.4
    assert np.array_equal(pixels, kept)  # the photo given is not written to
    assert result.dtype == np.uint8


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_rendering_of_nothing_changes_nothing(place: np.ndarray) -> None:
    pixels = noisy_photo(*PHOTO)
    image = noise(*face_mask(CPU).shape[2:])
    result = composite(pixels, aligned_at(pixels, place), render("residual", image, image, gray=False))
    assert np.array_equal(result, pixels)


def test_a_face_outside_the_photo_changes_nothing() -> None:
    pixels = noisy_photo(*PHOTO)
    for place in (turned(0.3, 0, -2000, 100), turned(0.3, 0, 100, 5000)):
        assert np.array_equal(composite(pixels, aligned_at(pixels, place), rendering()), pixels)


@pytest.mark.parametrize("kind", ["residual", "generator"])
def test_a_gray_photo_stays_gray(kind: str) -> None:
    pixels = smooth_photo(*PHOTO, colour=False)
    assert np.ptp(pixels, axis=2).max() == 0
    result = composite(pixels, aligned_at(pixels, PLACES["turned"]), rendering(kind, gray=True))
    assert np.ptp(result, axis=2).max() == 0
    assert not np.array_equal(result, pixels)


@pytest.mark.parametrize("kind", ["residual", "generator"])
@pytest.mark.parametrize("name", ["small", "turned", "upside down", "large", "larger than the generator's"])
def test_what_is_composited_is_seen_when_cut_again(name: str, kind: str) -> None:
    # At 1.3 the mask's window must still lie in the photo.
    pixels = smooth_photo(1300, 1300)
    place = turned(1.2, 10, 100, -150) if name.startswith("larger") else PLACES[name]
    face = aligned_at(pixels, place)
    made = rendering(kind)
    result = composite(pixels, face, made)
    seen, expected = aligned_at(result, place).crop / 2 + 0.5, lay_over(face.crop / 2 + 0.5, made)
    error = (seen - expected).abs() * 255
    moved = (expected - (face.crop / 2 + 0.5)).abs() * 255
    assert float(moved.max()) > 30
    # One rounding to bytes; at 0.12 of the size also the interpolation of 8-px steps.
    assert float(error.mean()) < 0.35
    assert float(error.max()) < (3.0 if name == "small" else 1.5)


def test_bands_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noisy_photo(*PHOTO)
    face = aligned_at(pixels, PLACES["turned"])
    whole = composite(pixels, face, rendering())
    monkeypatch.setattr(rendering_module, "_BAND", 37)
    banded = composite(pixels, face, rendering())
    differs = whole.astype(int) - banded
    assert np.abs(differs).max() <= 1  # a tie may be rounded the other way
    assert (differs != 0).mean() < 1e-4

"""What happens to a photo on the way to a recogniser."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.autograd import gradcheck

from engines.latent import degrade
from tests.support.photos import as_tensor, natural
from tests.support.tensors import random


@pytest.mark.parametrize(
    "damage",
    [lambda x: degrade.blur(x, 0.4), lambda x: degrade.blur(x, 1.2)]
    + [lambda x: degrade.shrink(x, 1.3), lambda x: degrade.shrink(x, 2.2)],
    ids=["blur .4", "blur 1.2", "shrink 1.3", "shrink 2.2"],
)
def test_damage_has_the_right_gradient_and_keeps_flat_colour(damage: Callable[[Tensor], Tensor]) -> None:
    assert gradcheck(damage, random(2, 3, 9, 11).requires_grad_())
    flat = torch.full((1, 3, 20, 17), 0.3, dtype=torch.float64)
    assert torch.allclose(damage(flat), flat, atol=1e-12)


@pytest.mark.parametrize("sigma", [0.4, 0.8, 1.2])
def test_blur_is_a_gaussian(sigma: float) -> None:
    x = random(1, 2, 30, 25)
    expected = gaussian_filter(
        x[0].numpy(), (0, sigma, sigma), mode="nearest", radius=(0, *[math.ceil(3 * sigma)] * 2)
    )
    assert np.abs(degrade.blur(x, sigma)[0].numpy() - expected).max() < 1e-12


def test_shrinking_loses_fine_detail_only() -> None:
    checks = ((torch.arange(32)[:, None] + torch.arange(32)) % 2)[None, None].double()
    assert float((degrade.shrink(checks, 2.0)[..., 4:-4, 4:-4] - 0.5).abs().max()) < 0.05
    waves = torch.sin(torch.arange(64).double() / 10).expand(1, 1, 64, 64)
    assert float((degrade.shrink(waves, 2.0) - waves)[..., 4:-4, 4:-4].abs().max()) < 0.02
    assert torch.allclose(degrade.shrink(waves, 1.0), waves, atol=1e-12)


def as_jpeg(pixels: np.ndarray, quality: int) -> Image.Image:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    return Image.open(buffer)


@pytest.mark.parametrize("quality", [1, 30, 50, 75, 95, 100])
def test_jpeg_quantises_by_pillows_tables(quality: int) -> None:
    steps = degrade._tables(quality, torch.device("cpu"))[1].reshape(3, 64).int().tolist()
    published = as_jpeg(natural(), quality).quantization
    assert steps == [list(published[0]), list(published[1]), list(published[1])]


@pytest.mark.parametrize("size", [(96, 88), (91, 77)], ids=["whole blocks", "cut blocks"])
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpeg_is_pillows(quality: int, size: tuple[int, int]) -> None:
    """Mean difference in steps of 255.

    Pillow rounds YCbCr to bytes twice, which alone is worth 1 in colour and 0.5 in gray; rounding
    with a slope leaves up to an eighth of a quantisation step more.
    """
    pixels = natural(*size)
    gray = np.repeat(pixels[:, :, 1:2], 3, axis=2)
    for picture, tolerance in ((pixels, 1.2), (gray, 0.85)):
        expected = np.asarray(as_jpeg(picture, quality)).astype(float)
        ours = degrade.jpeg(as_tensor(picture).float(), quality)[0].permute(1, 2, 0).numpy() * 255
        assert np.abs(ours - expected).mean() < tolerance
        assert np.abs(ours - picture).mean() == pytest.approx(np.abs(expected - picture).mean(), rel=0.15)


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpeg_with_plain_rounding_is_pillows_but_for_bytes(
    quality: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(degrade, "_soft_round", torch.round)
    gray = np.repeat(natural()[:, :, 1:2], 3, axis=2)
    ours = degrade.jpeg(as_tensor(gray).float(), quality)[0].permute(1, 2, 0).numpy() * 255
    difference = np.abs(ours - np.asarray(as_jpeg(gray, quality)))
    assert difference.mean() < 0.55
    assert np.median(difference) < 0.5


def test_jpeg_of_a_batch_is_that_of_each() -> None:
    batch = torch.cat([as_tensor(natural()).float(), as_tensor(natural()).float().flip(3)])
    both = degrade.jpeg(batch, 60)
    for i in range(2):
        assert torch.allclose(both[i], degrade.jpeg(batch[i : i + 1], 60)[0], atol=1e-5)


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpeg_has_a_gradient(quality: int) -> None:
    image = as_tensor(natural()).float().requires_grad_()
    (degrade.jpeg(image, quality) - 0.5).square().sum().backward()
    assert torch.isfinite(image.grad).all()
    # At quality 30 most coefficients round to 0, and with them most of the slope.
    assert float((image.grad.abs() > 1e-3).float().mean()) > 0.9


def test_rounding_has_the_right_gradient() -> None:
    x = torch.tensor([-2.4, -0.3, 0.01, 0.2, 0.49, 1.3, 7.0], dtype=torch.float64)
    assert gradcheck(degrade._soft_round, x.requires_grad_())
    assert float((degrade._soft_round(x) - x.round()).detach().abs().max()) <= 0.5**3

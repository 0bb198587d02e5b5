"""The visible change, against independent computations and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.autograd import gradcheck

from engines.latent.change import structural_dissimilarity, visibility, visible_change
from tests.support.photos import as_tensor, natural
from tests.support.tensors import random

PSNR, SSIM = 32.0, 0.96


def area(pixels: float) -> Tensor:
    return torch.tensor([pixels], dtype=torch.float64)


def test_ssim_is_that_of_scikit_image() -> None:
    a = natural()
    b = (a + np.random.default_rng(0).normal(0, 12, a.shape)).clip(0, 255).astype(np.uint8)
    _, expected = structural_similarity(
        a / 255,
        b / 255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=2,
        full=True,
    )
    ours = 1 - structural_dissimilarity(as_tensor(a), as_tensor(b))[0].permute(1, 2, 0).numpy()
    assert 0.3 < expected.mean() < 0.95
    inner = (slice(5, -5), slice(5, -5))  # the two go on differently outside the picture
    assert np.abs(ours[inner] - expected[inner]).max() < 1e-9


def test_equal_images_are_not_dissimilar() -> None:
    x = random(1, 3, 20, 16)
    assert float(structural_dissimilarity(x, x).abs().max()) < 1e-12
    error, lost, stains, patches = visible_change(x, x, area(320), PSNR, SSIM)[0].tolist()
    assert error == 0
    assert abs(lost) < 1e-9
    assert stains == pytest.approx(1e-6 / 10 ** (-(PSNR + 11) / 10))  # the root's own floor
    assert patches == pytest.approx(1e-6 / 10 ** (-(PSNR - 7) / 10))


def test_change_has_the_right_gradient() -> None:
    before, after = random(1, 3, 10, 12, seed=1), random(1, 3, 10, 12, seed=2).requires_grad_()
    assert gradcheck(lambda x: structural_dissimilarity(before, x).mean(), after)
    assert gradcheck(lambda x: visible_change(before, x, area(80.0), PSNR, SSIM), after)
    assert gradcheck(lambda x: visible_change(before, x, area(80.0), PSNR, SSIM).norm(), after)


def test_the_gradient_is_finite_where_nothing_has_changed() -> None:
    """The first step of a search starts all but there."""
    before = random(1, 3, 16, 16)
    after = before.clone().requires_grad_()
    visible_change(before, after, area(256), PSNR, SSIM).norm().backward()
    assert torch.isfinite(after.grad).all()


def test_change_is_in_units_of_the_budget() -> None:
    before = 0.5 * torch.ones(1, 3, 32, 32, dtype=torch.float64)
    allowed = 10 ** (-PSNR / 20)  # a root mean square
    error, _, stains, patches = visible_change(before, before + allowed, area(1024), PSNR, SSIM)[0].tolist()
    assert error == pytest.approx(1)
    assert stains < 0.05  # no change of colour
    assert patches == pytest.approx(10**-0.7, rel=1e-3)  # all of one sign, but spread evenly
    # Half of the picture is the face: the same change weighs twice as much there.
    assert visible_change(before, before + allowed, area(512), PSNR, SSIM)[0, 0].item() == pytest.approx(2)

    tint = 10 ** (-(PSNR + 11) / 20) * torch.tensor([1.5**0.5, -(1.5**0.5), 0], dtype=torch.float64)
    tinted = before + tint[:, None, None]
    assert visible_change(before, tinted, area(1024), PSNR, SSIM)[0, 2].item() == pytest.approx(1, rel=1e-3)

    noisy = before + 0.05 * (random(1, 3, 32, 32) - 0.5)
    lost = structural_dissimilarity(before, noisy).mean().item()
    assert visible_change(before, noisy, area(1024), PSNR, 1 - lost)[0, 1].item() == pytest.approx(1)


def test_the_change_of_each_face_is_its_own() -> None:
    before, after = random(2, 3, 24, 20, seed=1), random(2, 3, 24, 20, seed=2)
    areas = torch.cat((area(300), area(400)))
    both = visible_change(before, after, areas, PSNR, SSIM)
    assert both.shape == (2, 4)
    for i in range(2):
        alone = visible_change(before[i : i + 1], after[i : i + 1], areas[i : i + 1], PSNR, SSIM)
        assert torch.allclose(both[i], alone[0])


def test_one_blotch_weighs_more_than_a_tint_of_the_same_energy() -> None:
    before = 0.5 * torch.ones(1, 3, 64, 64, dtype=torch.float64)
    tint = torch.tensor([0.01, -0.01, 0], dtype=torch.float64)[:, None, None]
    blotch = torch.zeros_like(before)
    blotch[:, :, 16:32, 16:32] = 4 * tint  # a sixteenth of the picture, four times as strong
    spread, local = (visible_change(before, before + c, area(4096), PSNR, SSIM)[0] for c in (tint, blotch))
    assert local[0].item() == pytest.approx(spread[0].item())
    assert local[2].item() == pytest.approx(4 * spread[2].item(), rel=1e-3)


def test_a_patch_of_light_weighs_more_than_fine_lines_of_the_same_energy() -> None:
    before = 0.5 * torch.ones(1, 3, 64, 64, dtype=torch.float64)
    patch, lines = torch.zeros_like(before), torch.zeros_like(before)
    patch[:, :, 16:32, 16:32] = 0.04
    lines[:, :, 16:32, 16:32:2], lines[:, :, 16:32, 17:32:2] = 0.04, -0.04
    of_patch, of_lines = (
        visible_change(before, before + c, area(4096), PSNR, SSIM)[0] for c in (patch, lines)
    )
    assert of_patch[0].item() == pytest.approx(of_lines[0].item())
    assert of_patch[3].item() > 20 * of_lines[3].item()


def test_a_change_is_seen_most_where_it_is_dark() -> None:
    change = 0.01
    for light, times in ((0.9, 1.0), (0.5, 1.0), (0.15, 2.0), (0.0, 3.5)):
        before = torch.full((1, 3, 32, 32), light, dtype=torch.float64)
        assert visibility(before).flatten().tolist() == pytest.approx([times] * 1024)
        seen = visible_change(before, before + change, area(1024), PSNR, SSIM)[0]
        assert seen[0].item() == pytest.approx((times * change) ** 2 / 10 ** (-PSNR / 10))

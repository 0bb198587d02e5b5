"""PSNR and SSIM are those of scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from engines.photo.quality import MAX_PSNR, psnr, ssim
from tests.support.photos import natural


def test_measures_are_those_of_scikit_image() -> None:
    a = natural()
    b = (a + np.random.default_rng(0).normal(0, 12, a.shape)).clip(0, 255).astype(np.uint8)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255))
    assert ssim(a, b) == pytest.approx(structural_similarity(a, b, channel_axis=2, data_range=255))
    assert psnr(a, a) == MAX_PSNR
    assert ssim(a, a) == pytest.approx(1)
    assert psnr(np.repeat(a, 12, axis=0), np.repeat(b, 12, axis=0)) == pytest.approx(psnr(a, b))


def test_pictures_too_small_for_ssim() -> None:
    a = natural(5, 40)
    assert ssim(a, a) == 1
    assert ssim(a, 255 - a) == 0

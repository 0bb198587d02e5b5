"""The reconstruction loss by its formula."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck

from engines.latent.reconstruction import reconstruction
from tests.support.tensors import random


def test_reconstruction_is_what_its_formula_says() -> None:
    photographed, weight = random(1, 3, 16, 16), torch.ones(1, 1, 16, 16, dtype=torch.float64)
    assert float(reconstruction(photographed, photographed, weight)) == 0
    for error in (0.25, -0.5):
        value = float(reconstruction(photographed + error, photographed, weight))
        assert value == pytest.approx(2 * error**2 + abs(error) + 4 * error**2)
    checks = 0.25 * (-1) ** torch.arange(16)  # fine texture costs the coarse term nothing
    assert float(reconstruction(photographed + checks, photographed, weight)) == pytest.approx(
        2 * 0.25**2 + 0.25
    )


def test_reconstruction_minds_only_where_there_is_weight() -> None:
    photographed, weight = random(1, 3, 16, 16), torch.ones(1, 1, 16, 16, dtype=torch.float64)
    weight[..., :8] = 0
    elsewhere = photographed.clone()
    elsewhere[..., :8] += 1
    assert float(reconstruction(elsewhere, photographed, weight)) == 0
    assert float(reconstruction(photographed.flip(3), photographed, weight)) > 0


def test_reconstruction_has_the_right_gradient() -> None:
    photographed, weight = random(1, 3, 12, 12, seed=1), random(1, 1, 12, 12, seed=2)
    assert gradcheck(
        lambda x: reconstruction(x, photographed, weight), random(1, 3, 12, 12, seed=3).requires_grad_()
    )

"""The descent, without networks."""

from __future__ import annotations

import torch
from torch import Tensor

from engines.latent.descent import Descent
from tests.support.tensors import normal


def rms(x: Tensor) -> Tensor:
    """Of everything but the first two dimensions."""
    return x.square().mean(dim=tuple(range(2, x.dim()))).sqrt()


def test_the_first_step_is_along_the_gradient_at_the_rate() -> None:
    latent, noise = torch.zeros(2, 3, 8, dtype=torch.float64), torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    gradients = [normal(2, 3, 8, seed=1), 1e-4 * normal(2, 1, 4, 4, seed=2)]
    Descent([(latent, 0.05, 2), (noise, 0.02, 1)]).step(gradients, 0.5)
    for moved, gradient, rate in ((latent, gradients[0], 0.05), (noise, gradients[1], 0.02)):
        assert torch.allclose(rms(moved), torch.full_like(rms(moved), 0.5 * rate))
        along = torch.cosine_similarity(moved.flatten(2), -gradient.flatten(2), dim=2)
        assert torch.allclose(along, torch.ones_like(along))


def test_descent_reaches_the_bottom_whatever_the_scale() -> None:
    """Two rows of one unknown, whose slopes differ a million times."""
    goal, slopes = normal(1, 2, 16), torch.tensor([1e-3, 1e3], dtype=torch.float64)[None, :, None]
    x = torch.zeros_like(goal)
    descent = Descent([(x, 0.1, 2)])
    for step in range(200):
        descent.step([slopes * (x - goal)], 1 - step / 200)
    assert float((x - goal).abs().max()) < 0.05


def test_a_face_does_not_depend_on_its_neighbours() -> None:
    gradient = normal(2, 3, 8)
    both, alone = torch.zeros(2, 3, 8, dtype=torch.float64), torch.zeros(1, 3, 8, dtype=torch.float64)
    together, single = Descent([(both, 0.05, 2)]), Descent([(alone, 0.05, 2)])
    for _ in range(3):
        together.step([gradient], 1)
        single.step([gradient[:1]], 1)
    assert torch.allclose(both[:1], alone)

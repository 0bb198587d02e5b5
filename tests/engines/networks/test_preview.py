"""The preview draws what the generator draws."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engines.networks.frame import MASK_WINDOW
from engines.networks.mobilestylegan import LAYOUT, W_ROWS
from engines.stack import Stack
from engines.training import preview as recipe
from engines.training.faces import sample_latents

pytestmark = pytest.mark.models


#: Faces that no training run sees: it counts its seeds from 0.
UNSEEN = 10**6


def psnr(a: Tensor, b: Tensor) -> float:
    """Of images in [-1, 1], dB."""
    return float(-10 * torch.log10(((a - b) / 2).square().mean()))


@torch.no_grad()
def test_it_draws_what_the_generator_draws_and_how_that_moves(stack: Stack) -> None:
    for seed in range(UNSEEN, UNSEEN + 3):
        w, maps = recipe.pair(stack.generator, seed)
        drawn = stack.preview.small(w, maps, MASK_WINDOW)
        known = stack.generator.small(w, maps, MASK_WINDOW)
        assert drawn.shape == known.shape == (2, 3, 196, 168)
        assert psnr(drawn[0], known[0]) > 25
        move, known_move = (drawn[1] - drawn[0]).flatten(), (known[1] - known[0]).flatten()
        assert float(torch.cosine_similarity(move, known_move, dim=0)) > 0.8


@torch.no_grad()
def test_a_window_is_the_same_part_of_the_whole(stack: Stack) -> None:
    w = stack.generator.sample_w(3)
    rows, columns = (slice(side.start // 4, side.stop // 4) for side in MASK_WINDOW.pixels)
    part, whole = stack.preview.small(w, None, MASK_WINDOW), stack.preview.small(w)
    assert whole.shape == (1, 3, 256, 256)
    assert float((part - whole[:, :, rows, columns]).abs().max()) < 1e-4


def test_gradients_reach_latent_and_noise(stack: Stack) -> None:
    w = stack.generator.sample_w(3).requires_grad_()
    maps = [
        m.detach().clone().requires_grad_()
        for m in stack.generator.synthesis.noise_maps()[: LAYOUT.free_maps]
    ]
    stack.preview.small(
        w, [*maps, *stack.generator.synthesis.noise_maps()[LAYOUT.free_maps :]], MASK_WINDOW
    ).square().mean().backward()
    assert w.grad is not None
    assert all(float(w.grad[0, row].abs().max()) > 0 for row in (0, 1, 4, 16, 17, 21))
    assert not w.grad[0, [18, 19, 20, 22]].any()  # nothing reads them
    assert all(m.grad is not None and bool(m.grad.any()) for m in maps)
    assert not any(p.requires_grad for p in stack.preview.head.parameters())


@torch.no_grad()
def test_latents_follow_from_their_seed_and_half_are_mixed(stack: Stack) -> None:
    torch.manual_seed(1)
    first = sample_latents(stack.generator, 64, 5)
    torch.manual_seed(2)
    assert torch.equal(first, sample_latents(stack.generator, 64, 5))
    assert not torch.equal(first, sample_latents(stack.generator, 64, 6))
    assert first.shape == (64, W_ROWS, 512)
    mixed = (first != first[:, :1]).any(dim=2).any(dim=1)
    assert 20 <= int(mixed.sum()) <= 44

"""The preview: what it draws, and the training that made it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from engines.networks.frame import MASK_WINDOW
from engines.networks.mobilestylegan import LAYOUT, W_ROWS
from engines.networks.preview import PreviewHead
from engines.stack import Stack
from engines.training import preview as recipe
from engines.training.faces import sample_latents
from engines.training.loop import steps_done, train

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


def test_a_stopped_run_goes_on_as_if_it_had_not_been(stack: Stack, tmp_path: Path) -> None:
    def trained(checkpoint: Path, *stops: int) -> PreviewHead:
        for stop in stops:
            torch.manual_seed(0 if not checkpoint.exists() else 99)
            head = PreviewHead()
            pool = recipe.Pool(stack.generator, steps_done(checkpoint))
            calls = []

            def loss_of(
                step: int, head: PreviewHead = head, pool: recipe.Pool = pool, calls: list[int] = calls
            ) -> Tensor:
                calls.append(step)
                return recipe.distillation(head, *pool.pick(step))

            train(head, loss_of, steps=6, stop=stop, rate=1e-3, checkpoint=checkpoint, say=lambda line: None)
        assert calls[-1] == 5
        return head

    whole, resumed = trained(tmp_path / "a.pt", 6), trained(tmp_path / "b.pt", 3, 6)
    assert steps_done(tmp_path / "b.pt") == 6
    start = nn.utils.parameters_to_vector(PreviewHead().parameters())
    a, b = (nn.utils.parameters_to_vector(head.parameters()) for head in (whole, resumed))
    assert torch.equal(a, b)
    assert not torch.equal(a, start)

"""Paint goes where it belongs."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.makeup.palette import PALETTE
from engines.networks.frame import REGIONS
from engines.training.painter import paint
from engines.training.vocabulary import Layer, Look
from engines.training.words import EFFECTS


@pytest.fixture
def face() -> tuple[Tensor, Tensor]:
    """A plain face (1, 3, 64, 64) with a square for each region, none over another."""
    masks = torch.zeros(1, len(REGIONS), 64, 64)
    for i in range(len(REGIONS)):
        row, column = divmod(i, 4)
        masks[0, i, 32 * row : 32 * row + 16, 16 * column : 16 * column + 12] = 1
    return torch.full((1, 3, 64, 64), 0.55) + 0.02 * torch.randn(1, 3, 64, 64), masks


@pytest.mark.parametrize("effect", EFFECTS)
def test_paint_goes_where_it_belongs_and_nowhere_else(face: tuple[Tensor, Tensor], effect: str) -> None:
    image, masks = face
    colour = EFFECTS[effect].colours[0]
    painted = paint(image, masks, [Look((Layer(effect, colour),))], seed=3)
    where = masks[0, REGIONS.index(EFFECTS[effect].region)].bool()
    assert torch.equal(painted[0, :, ~where], image[0, :, ~where])
    shift = (painted - image)[0, :, where].mean(dim=1)
    asked = torch.tensor(PALETTE[colour]) / 255 - image[0, :, where].mean(dim=1)
    assert float(F.cosine_similarity(shift, asked, dim=0)) > 0.8
    assert float(painted.min()) >= 0 and float(painted.max()) <= 1


def test_no_makeup_changes_nothing_and_the_seed_decides(face: tuple[Tensor, Tensor]) -> None:
    image, masks = (part.repeat(2, 1, 1, 1) for part in face)
    looks = [Look(), Look((Layer("lipstick", "red"),))]
    painted = paint(image, masks, looks, seed=1)
    assert torch.equal(painted[0], image[0])
    assert torch.equal(painted, paint(image, masks, looks, seed=1))
    assert not torch.equal(painted, paint(image, masks, looks, seed=2))
    freckled = paint(image[:1], masks[:1], [Look(freckles=True)], seed=1)
    assert 0 < float((freckled != image[:1]).any(dim=1).float().mean()) < 0.3

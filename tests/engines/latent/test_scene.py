"""The strength of a change, within the budget."""

from __future__ import annotations

import torch

from engines.latent.scene import strength


def test_strength_uses_up_the_budget_and_no_more() -> None:
    change = torch.tensor([[0.2, 0.9, 0.1, 0.3], [4.0, 1.0, 0.1, 2.0]]).requires_grad_()
    parts = strength(change)
    assert parts.shape == (2, 1, 1, 1)
    assert parts.flatten().tolist() == [1, 0.5]
    assert not parts.requires_grad

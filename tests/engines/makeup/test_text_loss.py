"""The text losses by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck

from engines.makeup.text_loss import directional


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_directional_loss_by_hand() -> None:
    start = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    seen = torch.tensor([[[1.0, 1.0], [1.0, 1.0]]])  # moved up, and to the right
    loss = directional(seen, start, torch.tensor([0.0, 2.0]))
    assert loss.tolist() == pytest.approx([0, 1])
    diagonal = directional(seen, start, torch.tensor([3.0, 3.0]))
    assert diagonal.tolist() == pytest.approx([1 - 0.5**0.5] * 2)


def test_gradients_of_the_text_term() -> None:
    start, texts = (
        F.normalize(normal(*shape, seed=i), dim=-1) for i, shape in enumerate([(2, 3, 6), (2, 6)])
    )
    embeddings = F.normalize(normal(2, 3, 6, seed=5), dim=-1).requires_grad_()
    assert gradcheck(lambda x: directional(x, start, texts[0] - texts[1]), embeddings)

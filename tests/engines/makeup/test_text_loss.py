"""The text losses by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck

from engines.makeup.text_loss import TEMPERATURE, contrastive, directional


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


def test_the_contrastive_loss_by_hand() -> None:
    start, prompt, source = (
        F.normalize(torch.tensor(v), dim=0) for v in ([1.0, 0.0], [0.0, 1.0], [1.0, 1.0])
    )
    right, wrong = prompt - start, source - start
    loss = contrastive((start + right)[None, None], start[None, None], prompt, source)
    ways = [F.normalize(v, dim=0) for v in (prompt - source, right, wrong)]
    a, b, c = (float(torch.exp(ways[1] @ way / TEMPERATURE)) for way in ways)
    assert float(loss) == pytest.approx(-np.log((a + b) / (a + b + c)), rel=1e-4)
    assert float(contrastive((start + wrong)[None, None], start[None, None], prompt, source)) > float(loss)


@pytest.mark.parametrize("loss", ["directional", "contrastive"])
def test_gradients_of_the_text_term(loss: str) -> None:
    start, texts = (
        F.normalize(normal(*shape, seed=i), dim=-1) for i, shape in enumerate([(2, 3, 6), (2, 6)])
    )
    seen = F.normalize(normal(2, 3, 6, seed=5), dim=-1).requires_grad_()
    if loss == "directional":
        assert gradcheck(lambda x: directional(x, start, texts[0] - texts[1]), seen)
    else:
        assert gradcheck(lambda x: contrastive(x, start, texts[0], texts[1]), seen)

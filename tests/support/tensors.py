"""Random tensors, and how far one is from another."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def random(*shape: int, seed: int = 0) -> Tensor:
    """Uniform in [0, 1], float64."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def off(value: Tensor, expected: Tensor | np.ndarray) -> float:
    """Relative error."""
    expected = torch.as_tensor(expected)
    assert value.shape == expected.shape
    return float((value - expected).norm() / expected.norm())


def off_from_varied(value: Tensor, expected: Tensor) -> float:
    """Relative error to values that are not all alike."""
    assert float(expected.std()) > 1e-3
    return off(value, expected)


def faces(side: int) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1

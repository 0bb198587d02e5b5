"""The descent of the search: momentum with one step length a row of W+ or noise map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

#: Memory of the two means.
MOMENTUM, ENERGY_MEMORY = 0.8, 0.99


class Descent:
    """Momentum along the gradient, at a length of its own for every row of W+ and every noise map.

    Adam with one second moment for all of a row or map: the budget is an energy, which the gradient's
    own direction uses best, where Adam's would move every coordinate alike.
    """

    def __init__(self, unknowns: Sequence[tuple[Tensor, float, int]]) -> None:
        """Each unknown comes with its rate (root mean square of a step) and the dimensions before a row or map."""
        self.unknowns = unknowns
        self.momentum = [torch.zeros_like(x) for x, _, _ in unknowns]
        self.energy = [
            torch.zeros((*x.shape[:keep], *(1,) * (x.dim() - keep))).to(x) for x, _, keep in unknowns
        ]
        self.steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], scale: float) -> None:
        """Moves every unknown by its rate times `scale`, against its gradient."""
        self.steps += 1
        for i, ((x, rate, keep), gradient) in enumerate(zip(self.unknowns, gradients, strict=True)):
            momentum, energy = self.momentum[i], self.energy[i]
            momentum.lerp_(gradient, 1 - MOMENTUM)
            energy.lerp_(
                gradient.square().mean(dim=tuple(range(keep, x.dim())), keepdim=True), 1 - ENERGY_MEMORY
            )
            length = (energy / (1 - ENERGY_MEMORY**self.steps)).sqrt() * (1 - MOMENTUM**self.steps)
            x -= scale * rate * momentum / (length + 1e-12)

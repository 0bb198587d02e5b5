"""The descent of the search: momentum, with one step length for each row of W+ and each noise map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

#: Memory of the mean gradient and of its mean energy.
MOMENTUM, ENERGY_MEMORY = 0.8, 0.99


class Descent:
    """Momentum along the gradient, with one step length for each row of W+ and each noise map.

    This is Adam with one second moment for a whole row or map.  The budget is an energy: the gradient's own
    direction uses it best, while Adam's second moment for each coordinate would move all coordinates alike.
    """

    def __init__(self, unknowns: Sequence[tuple[Tensor, float, int]]) -> None:
        """Each unknown has its rate (root mean square of a step) and its number of leading dimensions."""
        self.unknowns = unknowns
        self.momentum = [torch.zeros_like(x) for x, _, _ in unknowns]
        self.energy = [
            torch.zeros((*x.shape[:keep], *(1,) * (x.dim() - keep))).to(x) for x, _, keep in unknowns
        ]
        self.steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], scale: float) -> None:
        """Move every unknown by its rate times `scale`, against its gradient."""
        self.steps += 1
        for i, ((x, rate, keep), gradient) in enumerate(zip(self.unknowns, gradients, strict=True)):
            momentum, energy = self.momentum[i], self.energy[i]
            momentum.lerp_(gradient, 1 - MOMENTUM)
            energy.lerp_(
                gradient.square().mean(dim=tuple(range(keep, x.dim())), keepdim=True), 1 - ENERGY_MEMORY
            )
            length = (energy / (1 - ENERGY_MEMORY**self.steps)).sqrt() * (1 - MOMENTUM**self.steps)
            x -= scale * rate * momentum / (length + 1e-12)

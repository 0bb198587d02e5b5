"""Stage 1, latent code initialisation: a photo's pivot in W+, and pivotal tuning around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.face import MASK_WINDOW, face_mask
from engines.losses.reconstruction import reconstruction
from engines.networks.mobilestylegan import ACTING_ROWS, W_DIM, W_ROWS, Generator

#: Steps of the inversion and its rate: at 0.05 the pivots of hard photos left the manifold.
STEPS = 40
LEARNING_RATE = 0.02
#: Pull of the rows of W+ towards the mean latent and towards each other: a pivot that stays where
#: faces are looks better and transfers better than an exact one.
REGULARITY = 0.03
#: The paper's tuning: Adam, 5e-4, 150 steps, at 256 px (section 4, implementation details).
TUNING_STEPS = 150
TUNING_RATE = 5e-4

OnStep = Callable[[int, int], None]


def invert(generator: Generator, crop: Tensor, *, steps: int = STEPS, on_step: OnStep | None = None) -> Tensor:
    """The latent (1, 23, 512) whose image comes near the aligned crop (1, 3, 1024, 1024) in [-1, 1].

    Adam on offsets from the mean latent, the same on every run.  Only the face counts: hair and
    background come from the photo.
    """
    target, weight = _target(crop)
    offset = torch.zeros(1, W_ROWS, W_DIM, device=crop.device, requires_grad=True)
    optimiser = torch.optim.Adam([offset], betas=(0.9, 0.99))
    for step in range(steps):
        warmup, decay = min(1.0, (step + 1) / 5), 0.5 + 0.5 * math.cos(math.pi * step / steps)
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * warmup * decay + 1e-4
        image = F.avg_pool2d(generator(generator.mean_latent + offset, window=MASK_WINDOW), 4)
        rows = offset[:, ACTING_ROWS]
        spread = rows.square().mean() + (rows - rows.mean(dim=1, keepdim=True)).square().mean()
        loss = reconstruction(image, target, weight) + REGULARITY * spread
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if on_step is not None:
            on_step(step + 1, steps)
    return (generator.mean_latent + offset).detach()


@contextmanager
def tuned(
    generator: Generator, pivot: Tensor, crop: Tensor, *, steps: int = TUNING_STEPS, on_step: OnStep | None = None
) -> Iterator[None]:
    """Within the block the generator renders the pivot as the crop; after it, it is as it was.

    Pivotal tuning (Roich et al. 2021, section 3.2) of the synthesis network's parameters.  They
    are put back bit by bit, whatever happens in the block.
    """
    parameters = list(generator.synthesis.parameters())
    published = [p.detach().clone() for p in parameters]
    try:
        _tune(generator, parameters, pivot, crop, steps, on_step)
        yield
    finally:
        generator.synthesis.requires_grad_(False)
        with torch.no_grad():
            for parameter, value in zip(parameters, published, strict=True):
                parameter.copy_(value)


def _tune(
    generator: Generator, parameters: list[torch.nn.Parameter], pivot: Tensor, crop: Tensor, steps: int,
    on_step: OnStep | None,
) -> None:  # fmt: skip
    target, weight = _target(crop)
    generator.synthesis.requires_grad_(True)
    optimiser = torch.optim.Adam(parameters, lr=TUNING_RATE)
    for step in range(steps):
        image = F.avg_pool2d(generator(pivot, window=MASK_WINDOW), 4)
        optimiser.zero_grad()
        reconstruction(image, target, weight).backward()
        optimiser.step()
        if on_step is not None:
            on_step(step + 1, steps)
    generator.synthesis.requires_grad_(False)


def _target(crop: Tensor) -> tuple[Tensor, Tensor]:
    """The crop within the mask's window at a quarter of its size, and the weight of its pixels."""
    rows, columns = MASK_WINDOW.pixels
    weight = F.avg_pool2d(face_mask(crop.device), 4) + 0.1
    return F.avg_pool2d(crop[:, :, rows, columns], 4), weight

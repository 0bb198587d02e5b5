"""Stage 1, latent code initialisation: a photo's pivot in W+, and pivotal tuning around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.config import TUNING_STEPS
from engines.latent.reconstruction import reconstruction
from engines.networks.encoder import Encoder
from engines.networks.frame import MASK_WINDOW, REDUCTION, face_mask
from engines.networks.generator import W_DIM, StyleGenerator
from engines.networks.preview import Preview
from engines.networks.reference.e4e import E4E

#: Steps of refinement and their rate, in units of the latents' spread.  More of either comes nearer to the
#: photo, but leaves the manifold of faces.
STEPS = 10
LEARNING_RATE = 0.04
#: Pull of the rows of W+ towards the mean latent and towards each other.  A pivot on the manifold looks
#: better and transfers better than an exact one.
REGULARITY = 0.03
#: The paper's tuning: Adam at this rate, at 256 px (section 4, implementation details).
TUNING_RATE = 5e-4

OnStep = Callable[[int, int], None]


def invert(
    renderer: StyleGenerator | Preview,
    crop: Tensor,
    *,
    encoder: Encoder | E4E | None,
    steps: int | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """The latents (N, rows, 512) whose images come near aligned crops (N, 3, 1024, 1024) in [-1, 1].

    The encoder gives the code, and Adam refines its offsets from the mean latent; `steps` None takes the
    encoder's own number.  Without an encoder the refinement starts at the mean latent.  The result is the
    same on every run.  Only the face counts: hair and background come from the photo.
    """
    if steps is None:
        steps = STEPS if encoder is None else encoder.refinement
    layout = renderer.layout
    target, weight = _target(crop)
    zero = torch.zeros(len(crop), layout.rows, W_DIM).to(crop)
    start = zero if encoder is None else encoder.offsets(crop)
    white = zero.clone().requires_grad_()
    optimiser = torch.optim.Adam([white], betas=(0.9, 0.99))
    for step in range(steps):
        warmup, decay = min(1.0, (step + 1) / 5), 0.5 + 0.5 * math.cos(math.pi * step / steps)
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * warmup * decay + 1e-4
        offset = start + white @ renderer.spread
        image = renderer.small(renderer.mean_latent + offset, window=MASK_WINDOW)
        rows = offset[:, layout.acting]
        spread = (rows.square() + (rows - rows.mean(dim=1, keepdim=True)).square()).mean(dim=(1, 2))
        # A sum and no mean: a face must not depend on the number of the others.
        loss = (reconstruction(image, target, weight) + REGULARITY * spread).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if on_step is not None:
            on_step(step + 1, steps)
    return (renderer.mean_latent + start + white @ renderer.spread).detach()


@contextmanager
def tuned(
    generator: StyleGenerator,
    pivot: Tensor,
    crop: Tensor,
    *,
    steps: int = TUNING_STEPS,
    on_step: OnStep | None = None,
) -> Iterator[None]:
    """Within the block the generator renders the pivot as the crop; after it the weights are as before.

    Pivotal tuning (Roich et al. 2021, section 3.2) of the synthesis network's parameters.  They are restored
    bit by bit, whatever happens in the block.
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
    generator: StyleGenerator,
    parameters: list[torch.nn.Parameter],
    pivot: Tensor,
    crop: Tensor,
    steps: int,
    on_step: OnStep | None,
) -> None:
    target, weight = _target(crop)
    generator.synthesis.requires_grad_(True)
    optimiser = torch.optim.Adam(parameters, lr=TUNING_RATE)
    for step in range(steps):
        image = generator.small(pivot, window=MASK_WINDOW)
        optimiser.zero_grad()
        reconstruction(image, target, weight).sum().backward()
        optimiser.step()
        if on_step is not None:
            on_step(step + 1, steps)
    generator.synthesis.requires_grad_(False)


def _target(crop: Tensor) -> tuple[Tensor, Tensor]:
    """The crops over the mask's window at a quarter of its size, and the weights of the pixels."""
    weight = F.avg_pool2d(face_mask(crop.device), REDUCTION) + 0.1
    return F.avg_pool2d(MASK_WINDOW.cut(crop), REDUCTION), weight

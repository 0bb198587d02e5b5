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
from engines.networks.encoder import Encoder, view_of
from engines.networks.mobilestylegan import ACTING_ROWS, W_DIM, W_ROWS, Generator
from engines.networks.preview import Preview

#: Steps of refinement and their rate, in units of the latents' spread: more of either comes nearer to the
#: photo, but off the manifold.
STEPS = 10
LEARNING_RATE = 0.04
#: Pull of the rows of W+ towards the mean latent and towards each other: a pivot that stays where
#: faces are looks better and transfers better than an exact one.
REGULARITY = 0.03
#: The paper's tuning: Adam, 5e-4, 150 steps, at 256 px (section 4, implementation details).
TUNING_STEPS = 150
TUNING_RATE = 5e-4

OnStep = Callable[[int, int], None]


def invert(
    artist: Generator | Preview, crop: Tensor, *, encoder: Encoder | None, steps: int = STEPS,
    on_step: OnStep | None = None,
) -> Tensor:  # fmt: skip
    """The latents (N, 23, 512) whose images come near aligned crops (N, 3, 1024, 1024) in [-1, 1].

    The encoder's code, refined by Adam on its offsets from the mean latent; without an encoder from
    the mean latent itself.  The same on every run.  Only the face counts: hair and background come
    from the photo.
    """
    target, weight = _target(crop)
    zero = torch.zeros(len(crop), W_ROWS, W_DIM).to(crop)
    start = zero if encoder is None else encoder(view_of(crop))
    white = zero.clone().requires_grad_()
    optimiser = torch.optim.Adam([white], betas=(0.9, 0.99))
    for step in range(steps):
        warmup, decay = min(1.0, (step + 1) / 5), 0.5 + 0.5 * math.cos(math.pi * step / steps)
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * warmup * decay + 1e-4
        offset = start + white @ artist.spread
        image = artist.small(artist.mean_latent + offset, window=MASK_WINDOW)
        rows = offset[:, ACTING_ROWS]
        spread = (rows.square() + (rows - rows.mean(dim=1, keepdim=True)).square()).mean(dim=(1, 2))
        # A sum: what one face does is not to depend on how many others there are.
        loss = (reconstruction(image, target, weight) + REGULARITY * spread).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if on_step is not None:
            on_step(step + 1, steps)
    return (artist.mean_latent + start + white @ artist.spread).detach()


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
        image = generator.small(pivot, window=MASK_WINDOW)
        optimiser.zero_grad()
        reconstruction(image, target, weight).sum().backward()
        optimiser.step()
        if on_step is not None:
            on_step(step + 1, steps)
    generator.synthesis.requires_grad_(False)


def _target(crop: Tensor) -> tuple[Tensor, Tensor]:
    """The crops within the mask's window at a quarter of its size, and the weight of its pixels."""
    rows, columns = MASK_WINDOW.pixels
    weight = F.avg_pool2d(face_mask(crop.device), 4) + 0.1
    return F.avg_pool2d(crop[:, :, rows, columns], 4), weight

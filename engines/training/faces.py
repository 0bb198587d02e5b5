"""Endless generated faces: latents for training, each a function of a seed alone."""

from __future__ import annotations

import torch
from torch import Tensor

from engines.networks.mobilestylegan import W_ROWS, Generator


def sample_latents(generator: Generator, count: int, seed: int) -> Tensor:
    """W+ (N, 23, 512) of `count` faces: truncation 0.4 to 1, half of them mixed from two styles.

    Style mixing follows Karras et al. 2019, section 3.1: from a random row on, the rows come from another
    face.  So rows differ as they do in the code of a real photo.
    """
    chance = torch.Generator().manual_seed(seed)
    z = torch.randn(2 * count, generator.mean_latent.shape[0], generator=chance)
    truncation = 0.4 + 0.6 * torch.rand(2 * count, 1, generator=chance)
    crossover = torch.randint(1, W_ROWS, (count, 1, 1), generator=chance)
    mixed = torch.rand(count, 1, 1, generator=chance) < 0.5
    mean = generator.mean_latent
    offset = truncation.to(mean) * (generator.mapping(z.to(mean)) - mean)
    own, other = (offset[i * count : (i + 1) * count, None] for i in (0, 1))
    swap = mixed & (torch.arange(W_ROWS)[None, :, None] >= crossover)
    return mean + torch.where(swap.to(own.device), other, own)

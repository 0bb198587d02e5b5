"""A style-based generator as the search uses it: rows of W+, noise maps, and windows of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.networks.frame import REDUCTION, Window

W_DIM = 512


@dataclass(frozen=True)
class Layout:
    """The number of rows of a generator's W+, and the parts of its code that a search may move.

    `acting` are the rows that some layer reads.  `free` are the rows that a search may move: the rows below
    them hold pose and shape.  A search may also move the first `free_maps` noise maps, counted from the
    coarsest.
    """

    rows: int
    acting: tuple[int, ...]
    free: tuple[int, ...]
    free_maps: int


class Synthesis(nn.Module):
    """W+ (N, rows, 512), noise maps and window -> image, as in `StyleGenerator.forward`."""

    def noise_maps(self) -> list[Tensor]:
        """The published noise maps (1, 1, R, R), coarse to fine; pass changed ones to `forward`."""
        raise NotImplementedError


class StyleGenerator(nn.Module):
    """Mapping and synthesis together.  `mean_latent` (512,) is the mean of W, the origin of truncation."""

    layout: Layout
    mapping: nn.Module
    synthesis: Synthesis
    mean_latent: nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        #: The exported network behind `published`, where there is one (`engines.backends.attach`).
        self.exported: Callable[..., Tensor] | None = None

    @cached_property
    @torch.no_grad()
    def spread(self) -> Tensor:
        """Square root of the covariance of W (512, 512), from 10,000 draws.

        White noise times this matrix is distributed as the offsets of faces are (Zhu et al. 2020, "Improved
        StyleGAN Embedding: Where are the Good Latents?").  Steps in these coordinates go where faces differ.
        Most other directions leave the manifold, and without demodulation the image soon explodes.
        """
        z = torch.randn(10_000, W_DIM, generator=torch.Generator().manual_seed(0))
        w = self.mapping(z.to(self.mean_latent)).double().cpu()
        variance, axes = torch.linalg.eigh(torch.cov(w.T))
        return ((axes * variance.clamp(min=0).sqrt()) @ axes.T).to(self.mean_latent)

    def sample_w(self, seed: int, count: int = 1, truncation: float = 0.7) -> Tensor:
        """`count` latents (N, rows, 512), drawn from `seed`: the same on every device."""
        z = torch.randn(count, W_DIM, generator=torch.Generator().manual_seed(seed))
        w = self.mapping(z.to(self.mean_latent))
        w = self.mean_latent + truncation * (w - self.mean_latent)
        return w[:, None].expand(-1, self.layout.rows, -1).contiguous()

    def forward(
        self, w: Tensor, noise: Sequence[Tensor] | None = None, window: Window | None = None
    ) -> Tensor:
        """W+ (N, rows, 512) -> image (N, 3, 1024, 1024), RGB, about [-1, 1], or the window's part of it."""
        return self.synthesis(w, noise, window)

    @torch.no_grad()
    def published(self, w: Tensor) -> Tensor:
        """W+ (N, rows, 512) -> image (N, 3, 1024, 1024), without gradients.

        Weights and noise maps are the published ones.
        """
        return (self.exported or self.in_torch)(w, *self.synthesis.noise_maps())

    def in_torch(self, w: Tensor, *noise: Tensor) -> Tensor:
        """The image from torch.  The inputs are those of the exported network."""
        return self(w, noise)

    def small(self, w: Tensor, noise: Sequence[Tensor] | None = None, window: Window | None = None) -> Tensor:
        """The image averaged down to 256 px: (N, 3, 256, 256), or the window's part of it."""
        return F.avg_pool2d(self(w, noise, window), REDUCTION)


def check_codes(w: Tensor, layout: Layout) -> None:
    """Raises ValueError for codes that are not (N, rows, 512)."""
    if w.dim() != 3 or w.shape[1:] != (layout.rows, W_DIM):
        raise ValueError(f"W+ has shape (N, {layout.rows}, {W_DIM}), not {tuple(w.shape)}")

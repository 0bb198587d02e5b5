"""The generator's image at a quarter of its size, straight from its 128-px block.

This part is our own.  The last two blocks and the image head take two thirds of a step's time, and most of
the detail that they add is too fine for any recogniser.  A small head, distilled from them, paints the 256-px
image instead (`engines/training/preview.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.networks.frame import MASK_WINDOW, Window, trim
from engines.networks.generator import W_DIM, Layout
from engines.networks.mobilestylegan import Generator, inverse_haar

#: Layers of the generator that still run, and the channels of the last.
LAYERS, _FEATURES = 5, 256
_WIDTH = 96


class _Modulated(nn.Module):
    """A 1x1 convolution.  A row of W+ scales its inputs, as in the generator."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(W_DIM, inputs)
        nn.init.ones_(self.modulation.bias)
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return self.conv(x * self.modulation(w)[:, :, None, None])


class PreviewHead(nn.Module):
    """Features of the 128-px block (N, 256, H, W) and W+ (N, 23, 512) -> image (N, 3, 2H, 2W) in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = _Modulated(_FEATURES, _WIDTH)
        self.spread = nn.Conv2d(_WIDTH, _WIDTH, 3, 1, 1, groups=_WIDTH)
        self.refine = _Modulated(_WIDTH, _WIDTH)
        self.paint = _Modulated(_WIDTH, 12)

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        # The head stands for three layers.  These are the rows of W+ that they would have read.
        x = F.leaky_relu(self.mix(features, w[:, 16]), 0.2)
        x = F.leaky_relu(self.refine(x + self.spread(x), w[:, 17]), 0.2)
        return inverse_haar(self.paint(x, w[:, 21]))


class Preview:
    """A generator with the head that stands for its last two blocks.  Both are frozen."""

    def __init__(self, generator: Generator, head: PreviewHead) -> None:
        self.generator, self.head = generator, head
        #: The exported network behind `final`, where there is one (`engines.backends.attach`).
        self.exported: Callable[..., Tensor] | None = None

    @property
    def layout(self) -> Layout:
        return self.generator.layout

    @property
    def mean_latent(self) -> Tensor:
        return self.generator.mean_latent

    @property
    def spread(self) -> Tensor:
        return self.generator.spread

    def small(self, w: Tensor, noise: Sequence[Tensor] | None = None, window: Window | None = None) -> Tensor:
        """The generator's `small` image (N, 3, 256, 256), or the window's part, in a third of the time."""
        features = self.generator.synthesis.features(w, noise, window, LAYERS)
        return trim(self.head(features, w), window)

    @torch.no_grad()
    def final(self, w: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """The mask's window of the `small` image, without gradients, by the generator as it was published."""
        if self.exported is None:
            return self.in_torch(w, *noise)
        return self.exported(w, *(m.expand(len(w), -1, -1, -1) for m in noise[: 2 * LAYERS + 1]))

    def in_torch(self, w: Tensor, *noise: Tensor) -> Tensor:
        """The same, always in torch."""
        return self.small(w, noise, MASK_WINDOW)

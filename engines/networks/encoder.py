"""The inversion encoder: one pass from an aligned face to its W+ code.

It follows e4e (Tov et al. 2021): it predicts an offset from the mean latent for each acting row.  Our own
part is the source of the features.  They come from a recogniser's trunk, which has seen real faces, and only
a head is trained.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.networks.frame import MASK_WINDOW
from engines.networks.generator import W_DIM
from engines.networks.mobilefacenet import MobileFaceNet
from engines.networks.mobilestylegan import ACTING_ROWS, W_ROWS

#: Rows and columns of the encoder's view: the mask's window, at about its own proportions.
VIEW_SIZE = (128, 112)
#: Blocks of the trunk before the last that halves the size.
_MIDDLE = 12
#: Channels and cells of the features.  12 of the channels are the view itself, because a recogniser's
#: features say little about light and colour.
_FEATURES, _CELLS = 128 + 128 + 12, (VIEW_SIZE[0] // 16) * (VIEW_SIZE[1] // 16)
_CHANNELS, _WIDTH = 96, 384
#: Index of each row of W+ among the acting rows.  Rows that no layer reads get the index after the last.
_PLACES = [ACTING_ROWS.index(row) if row in ACTING_ROWS else len(ACTING_ROWS) for row in range(W_ROWS)]


class EncoderHead(nn.Module):
    """Features (N, 268, 8, 7) -> offsets from the mean latent (N, 23, 512).

    Rows that no layer reads stay 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reduce = nn.Sequential(nn.Conv2d(_FEATURES, _CHANNELS, 1), nn.PReLU(_CHANNELS), nn.Flatten())
        self.mix = nn.Sequential(
            nn.LayerNorm(_CHANNELS * _CELLS), nn.Linear(_CHANNELS * _CELLS, _WIDTH), nn.PReLU(_WIDTH)
        )
        self.rows = nn.Linear(_WIDTH, len(ACTING_ROWS) * W_DIM)
        nn.init.zeros_(self.rows.weight)
        nn.init.zeros_(self.rows.bias)

    def forward(self, features: Tensor) -> Tensor:
        rows = self.rows(self.mix(self.reduce(features))).view(-1, len(ACTING_ROWS), W_DIM)
        # Rows are gathered, and a row of zeros stands for those that no layer reads: TensorRT cannot scatter.
        return F.pad(rows, (0, 0, 0, 1))[:, torch.tensor(_PLACES, device=features.device)]


class Encoder:
    """A recogniser's trunk and the head that was trained on its features.  Both are frozen."""

    #: Steps of refinement that its codes need to come near the photo.
    refinement = 10

    def __init__(self, trunk: MobileFaceNet, head: EncoderHead) -> None:
        self.trunk, self.head = trunk, head
        #: The exported network that does the same faster, where there is one (`engines.backends.attach`).
        self.exported: Callable[[Tensor], Tensor] | None = None

    @torch.no_grad()
    def __call__(self, view: Tensor) -> Tensor:
        """Views (N, 3, 128, 112), RGB in [-1, 1] -> offsets from the mean latent (N, 23, 512)."""
        return self.in_torch(view) if self.exported is None else self.exported(view)

    def in_torch(self, view: Tensor) -> Tensor:
        """The same, always in torch."""
        return self.head(trunk_features(self.trunk, view))

    def offsets(self, crop: Tensor) -> Tensor:
        """Aligned faces (N, 3, 1024, 1024), RGB in [-1, 1] -> offsets from the mean latent (N, 23, 512)."""
        return self(encoder_view(crop))


def trunk_features(trunk: MobileFaceNet, view: Tensor) -> Tensor:
    """Views (N, 3, 128, 112) in [-1, 1] -> the head's input (N, 268, 8, 7).

    The input joins features of two depths of the trunk and the colours of the view.
    """
    middle = trunk.blocks[:_MIDDLE](trunk.stem(view))
    deep = trunk.blocks[_MIDDLE:](middle)
    colours = F.pixel_unshuffle(F.avg_pool2d(view, 8), 2)
    return torch.cat((F.avg_pool2d(middle, 2), deep, colours), dim=1)


def encoder_view(crop: Tensor) -> Tensor:
    """Aligned faces (N, 3, 1024, 1024) in [-1, 1] -> views (N, 3, 128, 112)."""
    rows, columns = MASK_WINDOW.pixels
    return shrink_to_view(crop[:, :, rows, columns])


def shrink_to_view(window: Tensor) -> Tensor:
    """The mask's window (N, 3, H, W) of any size -> view (N, 3, 128, 112)."""
    return F.interpolate(window, size=VIEW_SIZE, mode="bilinear", antialias=True, align_corners=False)

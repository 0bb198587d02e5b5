"""The inversion encoder: one pass from an aligned face to its W+ code.

After e4e (Tov et al. 2021): offsets from the mean latent, one for each row that acts.  Ours: the
features are those of a recogniser's trunk, which has seen real faces; only a head is trained.
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
VIEW = (128, 112)
#: Blocks of the trunk before the last that halves the size.
_MIDDLE = 12
#: Channels and cells of the features; 12 of the channels are the view itself, as a recogniser's
#: features say little of light and colour.
_FEATURES, _CELLS = 128 + 128 + 12, (VIEW[0] // 16) * (VIEW[1] // 16)
_CHANNELS, _WIDTH = 96, 384
#: Where each row of W+ comes from among the acting ones; the place after the last is empty.
_PLACES = [ACTING_ROWS.index(row) if row in ACTING_ROWS else len(ACTING_ROWS) for row in range(W_ROWS)]


class EncoderHead(nn.Module):
    """Features (N, 268, 8, 7) -> offsets from the mean latent (N, 23, 512); rows that nothing reads stay 0."""

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
        # By gathering, with a row of zeros for those that nothing reads: TensorRT cannot scatter.
        return F.pad(rows, (0, 0, 0, 1))[:, torch.tensor(_PLACES, device=features.device)]


class Encoder:
    """A recogniser's trunk and the head that was trained on its features; both frozen."""

    #: Steps of refinement that its codes take to come near the photo.
    refinement = 10

    def __init__(self, trunk: MobileFaceNet, head: EncoderHead) -> None:
        self.trunk, self.head = trunk, head
        #: What does the same faster, where there is such an engine (`engines.backends.attach`).
        self.engine: Callable[[Tensor], Tensor] | None = None

    @torch.no_grad()
    def __call__(self, view: Tensor) -> Tensor:
        """Views (N, 3, 128, 112), RGB in [-1, 1] -> offsets from the mean latent (N, 23, 512)."""
        return self.in_torch(view) if self.engine is None else self.engine(view)

    def in_torch(self, view: Tensor) -> Tensor:
        """The same, whatever engine there is."""
        return self.head(features(self.trunk, view))

    def offsets(self, crop: Tensor) -> Tensor:
        """Aligned faces (N, 3, 1024, 1024), RGB in [-1, 1] -> offsets from the mean latent (N, 23, 512)."""
        return self(view_of(crop))


def features(trunk: MobileFaceNet, view: Tensor) -> Tensor:
    """What the head gets (N, 268, 8, 7) of views (N, 3, 128, 112) in [-1, 1]: two depths of the trunk, and colours."""
    middle = trunk.blocks[:_MIDDLE](trunk.stem(view))
    deep = trunk.blocks[_MIDDLE:](middle)
    colours = F.pixel_unshuffle(F.avg_pool2d(view, 8), 2)
    return torch.cat((F.avg_pool2d(middle, 2), deep, colours), dim=1)


def view_of(crop: Tensor) -> Tensor:
    """The encoder's view of aligned faces (N, 3, 1024, 1024) in [-1, 1]."""
    rows, columns = MASK_WINDOW.pixels
    return shrink_to_view(crop[:, :, rows, columns])


def shrink_to_view(window: Tensor) -> Tensor:
    """The view from the mask's window (N, 3, H, W) at any size."""
    return F.interpolate(window, size=VIEW, mode="bilinear", antialias=True, align_corners=False)

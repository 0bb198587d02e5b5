"""The paper's inversion encoder, e4e: Tov et al., "Designing an Encoder for StyleGAN Image Manipulation",
2021 (section 4), on a feature pyramid over IR-SE50 (Richardson et al. 2021, "Encoding in Style", figure 2).

Module names are those of the published checkpoint (omertov/encoder4editing).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.networks.generator import W_DIM
from engines.networks.reference.arcface_ir import body, stem
from engines.networks.reference.stylegan2 import LAYOUT, EqualLinear

#: Side of the encoder's view in px.
SIDE = 256
#: The fine and the middle level of the pyramid leave the body after these blocks, at 64 and 32 px.  The
#: coarse level is the body's end, at 16 px.
_FINE, _MIDDLE = 7, 21
#: Rows below the first number read the coarse level, rows below the second the middle one, the others the
#: fine one.
_ROWS = (3, 7)


class StyleHead(nn.Module):
    """A level of the pyramid (N, 512, S, S) -> one row of W+ (N, 512).

    Convolutions shrink the level to a single pixel.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(side.bit_length() - 1):
            layers += [nn.Conv2d(W_DIM, W_DIM, 3, 2, 1), nn.LeakyReLU(0.01)]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(W_DIM, W_DIM)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.convs(x).flatten(1))


class E4ENetwork(nn.Module):
    """Faces (N, 3, 256, 256), RGB in [-1, 1] -> W+ (N, 18, 512).

    All rows share one code, and every row but the first adds a difference of its own, so that codes stay near
    W. Codes are relative to `latent_avg`.
    """

    latent_avg: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = stem()
        self.body = body(50, gated=True)
        sides = [16 if row < _ROWS[0] else 32 if row < _ROWS[1] else 64 for row in range(LAYOUT.rows)]
        self.styles = nn.ModuleList(StyleHead(side) for side in sides)
        self.latlayer1 = nn.Conv2d(256, W_DIM, 1)
        self.latlayer2 = nn.Conv2d(128, W_DIM, 1)
        self.register_buffer("latent_avg", torch.zeros(LAYOUT.rows, W_DIM))

    def forward(self, x: Tensor) -> Tensor:
        fine = self.body[:_FINE](self.input_layer(x))
        middle = self.body[_FINE:_MIDDLE](fine)
        coarse = self.body[_MIDDLE:](middle)
        middle = _grown(coarse, self.latlayer1(middle))
        fine = _grown(middle, self.latlayer2(fine))
        base, *deltas = (
            style(coarse if row < _ROWS[0] else middle if row < _ROWS[1] else fine)
            for row, style in enumerate(self.styles)
        )
        return self.latent_avg + torch.stack([base, *(base + delta for delta in deltas)], dim=1)


class E4E:
    """The encoder as the inversion uses it.  It is frozen."""

    #: Its codes need no refinement: tuning brings the generator to the photo (section 3.2 of the paper).
    refinement = 0

    def __init__(self, network: E4ENetwork, mean_latent: Tensor) -> None:
        self.network, self.mean_latent = network, mean_latent

    @torch.no_grad()
    def offsets(self, crop: Tensor) -> Tensor:
        """Aligned faces (N, 3, 1024, 1024), RGB in [-1, 1] -> offsets from the mean latent (N, 18, 512)."""
        return self.network(self.view(crop)) - self.mean_latent

    @staticmethod
    def view(crop: Tensor) -> Tensor:
        """Aligned faces (N, 3, 1024, 1024) -> the network's input (N, 3, 256, 256)."""
        return F.interpolate(crop, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)


def _grown(coarse: Tensor, fine: Tensor) -> Tensor:
    """A level of the pyramid: the coarser level, enlarged, plus the finer one."""
    return F.interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=True) + fine

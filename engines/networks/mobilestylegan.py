"""MobileStyleGAN, 1024 px: Belousov, "MobileStyleGAN: A Lightweight Convolutional Neural Network for
High-Fidelity Image Synthesis", 2021 (sections 3.1 to 3.3), distilled from StyleGAN2-FFHQ.

In the published network the demodulation is folded into the weights, and the noise maps are constants.  Both
are kept here.  The caller may replace the noise maps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.networks.frame import WHOLE, Window, trim
from engines.networks.generator import W_DIM, Layout, StyleGenerator, Synthesis, check_codes

W_ROWS = 23
#: Rows of W+ that some layer reads.  Layer i reads 3i+1 and 3i+2, the 4-px convolution row 0, the image head
#: row 21. The others belong to heads that the published network left out.
ACTING_ROWS: tuple[int, ...] = (0, *(3 * i + k for i in range(7) for k in (1, 2)), 21)
#: A search may move rows 4 to 14, and noise maps up to 128 px.  The rows below hold pose and shape: the paper
#: freezes the layers up to 32 px to keep the identity.  The rows above colour the whole picture at once.
LAYOUT = Layout(W_ROWS, ACTING_ROWS, free=tuple(row for row in ACTING_ROWS if 4 <= row <= 14), free_maps=11)
#: Channels out of each of the seven layers, from 8 px to 512 px.
_LAYER_CHANNELS = (512, 512, 512, 512, 256, 128, 64)


def inverse_haar(x: Tensor) -> Tensor:
    """One level of the inverse Haar (db1) transform: (N, 4C, H, W) -> (N, C, 2H, 2W).

    The first C channels are the low band.  The other 3C hold the vertical, horizontal and diagonal detail,
    channel by channel.
    """
    n, channels, h, w = x.shape
    c = channels // 4
    low = x[:, :c]
    vertical, horizontal, diagonal = x[:, c:].reshape(n, c, 3, h, w).unbind(2)
    top, bottom = low + vertical, low - vertical
    left, right = horizontal + diagonal, horizontal - diagonal
    corners = torch.stack((top + left, top - left, bottom + right, bottom - right), dim=2)
    return F.pixel_shuffle(corners.reshape(n, channels, h, w) * 0.5, 2)


class MappingNetwork(nn.Module):
    """Z (N, 512), standard normal -> W (N, 512): a pixel norm and eight layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(W_DIM, W_DIM) for _ in range(8))

    def forward(self, z: Tensor) -> Tensor:
        x = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2) * 2**0.5
        return x


class StyledConv(nn.Module):
    """Style-modulated convolution, noise, bias and leaky ReLU.

    `separable` is the paper's depthwise 3x3 followed by a pointwise 1x1 (section 3.2).  Otherwise the layer
    is StyleGAN2's dense 3x3.
    """

    def __init__(self, inputs: int, outputs: int, size: int, *, separable: bool) -> None:
        super().__init__()
        self.modulation = nn.Linear(W_DIM, inputs)
        self.depthwise = nn.Conv2d(inputs, inputs, 3, 1, 1, groups=inputs, bias=False) if separable else None
        self.conv = nn.Conv2d(inputs, outputs, 1 if separable else 3, 1, 0 if separable else 1, bias=False)
        self.noise = nn.Parameter(torch.zeros(1, 1, size, size))
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.scale = (inputs * 9) ** -0.5

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        x = x * (self.modulation(w) * self.scale)[:, :, None, None]
        if self.depthwise is not None:
            x = self.depthwise(x)
        x = F.conv2d(x, self.conv.weight, self.bias.flatten(), padding=self.conv.padding)
        return F.leaky_relu_(x.add_(noise), 0.2)  # in place: nothing else reads the convolution's output


class Layer(nn.Module):
    """Doubles the resolution by an inverse wavelet transform, then two convolutions."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.up = nn.Linear(W_DIM, inputs)
        self.conv1 = StyledConv(inputs // 4, outputs, size, separable=True)
        self.conv2 = StyledConv(outputs, outputs, size, separable=True)

    def forward(self, x: Tensor, w1: Tensor, w2: Tensor, noise1: Tensor, noise2: Tensor) -> Tensor:
        x = inverse_haar(x * self.up(w1)[:, :, None, None])
        return self.conv2(self.conv1(x, w1, noise1), w2, noise2)


class ImageHead(nn.Module):
    """Modulated 1x1 convolution to 12 wavelet channels, then the last inverse transform."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(W_DIM, inputs)
        self.conv = nn.Conv2d(inputs, 12, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(1, 12, 1, 1))
        self.scale = inputs**-0.5

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = x * (self.modulation(w) * self.scale)[:, :, None, None]
        return inverse_haar(self.conv(x) + self.bias)


class SynthesisNetwork(Synthesis):
    """W+ (N, 23, 512) -> image (N, 3, 1024, 1024), RGB, about [-1, 1].

    With a window, only that part is computed above 64 px.  It equals the same part of the whole image: zero
    padding at a false border reaches 2 px inwards at 128, 256 and 512 px, 28 px in all, so the window is
    computed 32 px wider and trimmed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(1, W_DIM, 4, 4))
        self.conv1 = StyledConv(W_DIM, W_DIM, 4, separable=False)
        channels = (W_DIM, *_LAYER_CHANNELS)
        self.layers = nn.ModuleList(
            Layer(channels[i], channels[i + 1], 8 << i) for i in range(len(_LAYER_CHANNELS))
        )
        self.head = ImageHead(_LAYER_CHANNELS[-1])

    def noise_maps(self) -> list[Tensor]:
        """The 15 published noise maps (1, 1, R, R), coarse to fine.  Pass changed ones to `forward`."""
        convs = [self.conv1]
        for layer in cast(Iterable[Layer], self.layers):
            convs += [layer.conv1, layer.conv2]
        return [conv.noise for conv in convs]

    def forward(
        self, w: Tensor, noise: Sequence[Tensor] | None = None, window: Window | None = None
    ) -> Tensor:
        return trim(self.head(self.features(w, noise, window), w[:, 21]), window)

    def features(
        self, w: Tensor, noise: Sequence[Tensor] | None = None, window: Window | None = None, layers: int = 7
    ) -> Tensor:
        """Output (N, C, R, R) of `layers` layers over the window and its margin; R = 4 << layers."""
        check_codes(w, LAYOUT)
        maps = self.noise_maps() if noise is None else list(noise)
        wide = WHOLE if window is None else window.grown(2)
        x = self.conv1(self.constant.expand(w.shape[0], -1, -1, -1), w[:, 0], maps[0])
        for i, layer in enumerate(list(self.layers)[:layers]):
            noise1, noise2 = maps[2 * i + 1], maps[2 * i + 2]
            if i == 4:
                x = wide.cut(x)
            if i >= 4:
                noise1, noise2 = wide.cut(noise1), wide.cut(noise2)
            x = layer(x, w[:, 3 * i + 1], w[:, 3 * i + 2], noise1, noise2)
        return x


class Generator(StyleGenerator):
    """The whole generator.  W+ is (N, 23, 512), and 16 of its rows act."""

    layout = LAYOUT
    synthesis: SynthesisNetwork

    def __init__(self) -> None:
        super().__init__()
        self.mapping = MappingNetwork()
        self.synthesis = SynthesisNetwork()
        self.mean_latent = nn.Parameter(torch.zeros(W_DIM), requires_grad=False)

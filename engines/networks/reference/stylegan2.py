"""StyleGAN2 at 1024 px: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020,
configuration F, in plain PyTorch operations: nothing is compiled.

Weights keep their published form: at unit variance, and scaled at use ("equalised learning rate", Karras et
al. 2018, section 4.1).  So a step of tuning moves each layer as far as its authors intended.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.networks.frame import WHOLE, Window, trim
from engines.networks.generator import W_DIM, Layout, StyleGenerator, Synthesis, check_codes

#: Channels at 4 px, 8 px and so on up to 1024 px.
_CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64, 32)
#: Convolution k reads row k, and head k row 2k + 1; there is one head for each resolution.  The paper freezes
#: rows 0 to 7, up to 32 px, and the noise maps at 512 px and above.
LAYOUT = Layout(rows=18, acting=tuple(range(18)), free=tuple(range(8, 18)), free_maps=13)
#: A window is computed wider by this many cells of 16 px.  Zero padding at a false border creeps inwards:
#: from 64 px up every block doubles the distance and adds 3 px, which makes 3, 9, 21 and 45 px of 1024.
MARGIN = 3
#: The low-pass filter at every change of resolution, along rows and along columns.
FIR = (1 / 8, 3 / 8, 3 / 8, 1 / 8)


def upfirdn2d(
    x: Tensor, *, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0), gain: float = 1.0
) -> Tensor:
    """Resampling of (N, C, H, W): zeros between pixels (`up`), padding, `FIR`, every `down`-th pixel.

    `pad` is the number of zeros before and after each axis.  `gain` is the filter's gain along each axis.
    The filter is separable and symmetric, so correlation and convolution agree.
    """
    n, channels, h, w = x.shape
    if up > 1:
        spread = x.new_zeros(n, channels, h, up, w, up)
        spread[:, :, :, 0, :, 0] = x
        x = spread.view(n, channels, h * up, w * up)
    taps = torch.tensor(FIR, device=x.device, dtype=x.dtype) * gain
    x = F.pad(x, (*pad, *pad))
    x = F.conv2d(x, taps.view(1, 1, 4, 1).repeat(channels, 1, 1, 1), stride=(down, 1), groups=channels)
    return F.conv2d(x, taps.view(1, 1, 1, 4).repeat(channels, 1, 1, 1), stride=(1, down), groups=channels)


def modulated_conv2d(
    x: Tensor, weight: Tensor, style: Tensor, *, up: bool = False, demodulate: bool = True
) -> Tensor:
    """Convolution of (N, I, H, W) by weights (O, I, K, K), modulated by styles (N, I): equations 1 and 3.

    Styles scale the input, and demodulation scales the output.  The result is the same as with separate
    weights for every image of the batch.  `up` doubles the resolution by a transposed convolution and the
    filter.
    """
    h = x * style[:, :, None, None]
    if up:
        h = F.conv_transpose2d(h, weight.transpose(0, 1), stride=2)
        h = upfirdn2d(h, pad=(1, 1), gain=2)
    else:
        h = F.conv2d(h, weight, padding=weight.shape[-1] // 2)
    if demodulate:
        energy = weight.square().sum(dim=(2, 3))
        h = h * (style.square() @ energy.T + 1e-8).rsqrt()[:, :, None, None]
    return h


class EqualLinear(nn.Module):
    """A linear layer (N, I) -> (N, O) of weights at unit variance.  `rate` multiplies its learning rate."""

    def __init__(self, inputs: int, outputs: int, *, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.scale, self.rate = rate * inputs**-0.5, rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class MappingNetwork(nn.Module):
    """Z (N, 512), standard normal -> W (N, 512): a pixel norm and eight layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EqualLinear(W_DIM, W_DIM, rate=0.01) for _ in range(8))

    def forward(self, z: Tensor) -> Tensor:
        x = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        for layer in self.layers:
            x = _activated(layer(x))
        return x


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise at a learnt strength, bias, leaky ReLU; `up` doubles the size."""

    def __init__(self, inputs: int, outputs: int, *, up: bool) -> None:
        super().__init__()
        self.modulation = EqualLinear(W_DIM, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.up = (inputs * 9) ** -0.5, up

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        x = modulated_conv2d(x, self.weight * self.scale, self.modulation(w), up=self.up)
        return _activated(x + self.strength * noise + self.bias[:, None, None])


class ImageHead(nn.Module):
    """Features to RGB: a modulated 1x1 convolution without demodulation."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.modulation = EqualLinear(W_DIM, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.scale = inputs**-0.5

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        image = modulated_conv2d(x, self.weight * self.scale, self.modulation(w), demodulate=False)
        return image + self.bias[:, None, None]


class SynthesisNetwork(Synthesis):
    """W+ (N, 18, 512) -> image (N, 3, 1024, 1024), RGB, about [-1, 1]: the sum of all resolutions' images.

    With a window, only that part is computed above 64 px.  It equals the same part of the whole image.
    """

    def __init__(self) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(1, W_DIM, 4, 4))
        convs = [StyledConv(W_DIM, W_DIM, up=False)]
        for inputs, outputs in pairwise(_CHANNELS):
            convs += [StyledConv(inputs, outputs, up=True), StyledConv(outputs, outputs, up=False)]
        self.convs = nn.ModuleList(convs)
        self.heads = nn.ModuleList(ImageHead(channels) for channels in _CHANNELS)
        for i in range(len(convs)):  # buffers: noise is not a weight, and tuning leaves it unchanged
            side = 4 << (i + 1) // 2
            self.register_buffer(f"noise_{i}", torch.randn(1, 1, side, side))

    def noise_maps(self) -> list[Tensor]:
        """The 17 published noise maps (1, 1, R, R), coarse to fine, standard normal."""
        return [self.get_buffer(f"noise_{i}") for i in range(len(self.convs))]

    def forward(
        self, w: Tensor, noise: Sequence[Tensor] | None = None, window: Window | None = None
    ) -> Tensor:
        check_codes(w, LAYOUT)
        maps = self.noise_maps() if noise is None else list(noise)
        wide = WHOLE if window is None else window.grown(MARGIN)
        x = self.convs[0](self.constant.expand(w.shape[0], -1, -1, -1), w[:, 0], maps[0])
        image = self.heads[0](x, w[:, 1])
        for block in range(1, len(self.heads)):
            first, second = 2 * block - 1, 2 * block
            if block == 5:  # from 64 px to 128 px
                x, image = wide.cut(x), wide.cut(image)
            if block >= 5:
                maps[first], maps[second] = wide.cut(maps[first]), wide.cut(maps[second])
            x = self.convs[first](x, w[:, first], maps[first])
            x = self.convs[second](x, w[:, second], maps[second])
            image = upfirdn2d(image, up=2, pad=(2, 1), gain=2) + self.heads[block](x, w[:, second + 1])
        return trim(image, window, MARGIN)


class StyleGAN2(StyleGenerator):
    """The whole generator.  W+ is (N, 18, 512), and every row acts."""

    layout = LAYOUT

    def __init__(self) -> None:
        super().__init__()
        self.mapping = MappingNetwork()
        self.synthesis = SynthesisNetwork()
        self.mean_latent = nn.Parameter(torch.zeros(W_DIM), requires_grad=False)


def _activated(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.2 and the gain that keeps the variance."""
    return F.leaky_relu(x, 0.2) * 2**0.5

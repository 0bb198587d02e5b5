"""Improved residual networks for faces: IR-152 and IR-SE50, as ArcFace trains them (Deng et al. 2019, section
3.1).

The blocks follow He et al. 2016, "Identity Mappings", and Hu et al. 2018, "Squeeze-and-Excitation".

Module names are those of the published checkpoints (face.evoLVe, TreB1eN/InsightFace_Pytorch).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

#: Number of blocks in each of the four stages.  They end in 64, 128, 256 and 512 channels; each halves the
#: size.
STAGES = {50: (3, 4, 14, 3), 152: (3, 8, 36, 3)}


class SqueezeExcite(nn.Module):
    """Scales every channel by a gate in [0, 1] that depends on the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 16, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // 16, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * self.fc2(F.relu(self.fc1(means))).sigmoid()


class Block(nn.Module):
    """Norm, convolution, PReLU, convolution with the stride, norm, a gate if `gated`; and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, gated: bool) -> None:
        super().__init__()
        self.stride = stride
        self.shortcut_layer = None
        if inputs != outputs:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        if gated:
            self.res_layer.append(SqueezeExcite(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = (
            x[:, :, :: self.stride, :: self.stride] if self.shortcut_layer is None else self.shortcut_layer(x)
        )
        return self.res_layer(x) + shortcut


def stem() -> nn.Sequential:
    """RGB (N, 3, H, W) -> (N, 64, H, W)."""
    return nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))


def body(depth: int, *, gated: bool) -> nn.Sequential:
    """All blocks of a depth of `STAGES`: (N, 64, H, W) -> (N, 512, H/16, W/16)."""
    blocks, inputs = [], 64
    for outputs, count in zip((64, 128, 256, 512), STAGES[depth], strict=True):
        for i in range(count):
            blocks.append(Block(inputs, outputs, 2 if i == 0 else 1, gated=gated))
            inputs = outputs
    return nn.Sequential(*blocks)


class ArcFaceIR(nn.Module):
    """Faces (N, 3, 112, 112), RGB in [-1, 1] -> embeddings (N, 512), not of length 1."""

    def __init__(self, depth: int, *, gated: bool) -> None:
        super().__init__()
        self.input_layer = stem()
        self.body = body(depth, gated=gated)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(), nn.Flatten(), nn.Linear(512 * 7 * 7, 512), nn.BatchNorm1d(512)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.output_layer(self.body(self.input_layer(x)))

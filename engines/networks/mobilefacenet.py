"""MobileFaceNet: Chen et al., "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on
Mobile Devices", 2018 (table 1).  Batch norms are folded into the convolutions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

#: For each run of bottlenecks: channels inside, channels out, stride of the first block, number of blocks.
_STAGES = (
    (128, 64, 2, 1),
    (128, 64, 1, 4),
    (256, 128, 2, 1),
    (256, 128, 1, 6),
    (512, 128, 2, 1),
    (256, 128, 1, 2),
)


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: the odd pixel goes to the bottom and right."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for axis in (1, 0):  # F.pad wants the last axis first
            size, kernel, stride = x.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads))


class Bottleneck(nn.Module):
    """Expansion, depthwise convolution, projection; a residual where the stride is 1."""

    def __init__(
        self,
        conv: type[nn.Conv2d],
        inputs: int,
        inside: int,
        outputs: int,
        stride: int,
        activation: Callable[[int], nn.Module] = nn.PReLU,
    ) -> None:
        super().__init__()
        self.residual = stride == 1
        self.body = nn.Sequential(
            nn.Conv2d(inputs, inside, 1),
            activation(inside),
            conv(inside, inside, 3, stride, 0 if conv is SameConv2d else 1, groups=inside),
            activation(inside),
            nn.Conv2d(inside, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


class MobileFaceNet(nn.Module):
    """Faces (N, 3, 112, 112), normalised as in the spec -> embeddings (N, D), not of length 1.

    `tensorflow` selects the published TFLite variant.  It has SAME padding, a linear convolution after the
    stem, and one more linear layer down to 192.
    """

    def __init__(self, *, tensorflow: bool) -> None:
        super().__init__()
        conv = SameConv2d if tensorflow else nn.Conv2d
        pad = 0 if tensorflow else 1
        self.stem = nn.Sequential(
            conv(3, 64, 3, 2, pad), nn.PReLU(64), conv(64, 64, 3, 1, pad, groups=64), nn.PReLU(64)
        )
        if tensorflow:
            self.stem.append(nn.Conv2d(64, 64, 1))
        blocks, channels = [], 64
        for inside, outputs, stride, count in _STAGES:
            for _ in range(count):
                blocks.append(Bottleneck(conv, channels, inside, outputs, stride))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.Conv2d(128, 512, 1), nn.PReLU(512), nn.Conv2d(512, 512, 7, groups=512), nn.Conv2d(512, 512, 1)
        )
        if tensorflow:
            self.head.append(nn.Conv2d(512, 192, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x))).flatten(1)

"""InceptionResnetV1, the network of FaceNet's public weights: Szegedy et al., "Inception-v4, Inception-ResNet
and the Impact of Residual Connections on Learning", 2016 (figures 10 to 15).

Module names are those of the published checkpoints (timesler/facenet-pytorch).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conv(nn.Module):
    """Convolution, batch norm and ReLU.  `size` is the kernel's height and width."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int | tuple[int, int],
        stride: int = 1,
        pad: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, pad, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Branches(nn.Module):
    """Branches side by side with their outputs joined.  A reduction adds a 3x3 maximum of stride 2."""

    def __init__(self, branches: Iterable[nn.Module], *, reduction: bool = False) -> None:
        super().__init__()
        for i, branch in enumerate(branches):
            self.add_module(f"branch{i}", branch)
        self.reduction = reduction

    def joined(self, x: Tensor) -> Tensor:
        """The channels of all branches."""
        outputs = [branch(x) for name, branch in self.named_children() if name.startswith("branch")]
        return torch.cat([*outputs, F.max_pool2d(x, 3, 2)] if self.reduction else outputs, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.joined(x)


class Residual(Branches):
    """The joined outputs of branches, mixed and scaled down, are added to the input."""

    def __init__(
        self, channels: int, inside: int, branches: Iterable[nn.Module], scale: float, *, last: bool = False
    ) -> None:
        super().__init__(branches)
        self.conv2d = nn.Conv2d(inside, channels, 1)
        self.scale, self.last = scale, last

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale * self.conv2d(self.joined(x))
        return x if self.last else F.relu(x)


def _block_a() -> Residual:
    three = Conv(256, 32, 1), nn.Sequential(Conv(256, 32, 1), Conv(32, 32, 3, pad=1))
    return Residual(
        256,
        96,
        [*three, nn.Sequential(Conv(256, 32, 1), Conv(32, 32, 3, pad=1), Conv(32, 32, 3, pad=1))],
        0.17,
    )


def _block_b() -> Residual:
    crossed = nn.Sequential(
        Conv(896, 128, 1), Conv(128, 128, (1, 7), pad=(0, 3)), Conv(128, 128, (7, 1), pad=(3, 0))
    )
    return Residual(896, 256, [Conv(896, 128, 1), crossed], 0.10)


def _block_c(*, scale: float = 0.20, last: bool = False) -> Residual:
    crossed = nn.Sequential(
        Conv(1792, 192, 1), Conv(192, 192, (1, 3), pad=(0, 1)), Conv(192, 192, (3, 1), pad=(1, 0))
    )
    return Residual(1792, 384, [Conv(1792, 192, 1), crossed], scale, last=last)


def _reduction_a() -> Branches:
    deep = nn.Sequential(Conv(256, 192, 1), Conv(192, 192, 3, pad=1), Conv(192, 256, 3, 2))
    return Branches([Conv(256, 384, 3, 2), deep], reduction=True)


def _reduction_b() -> Branches:
    shallow = [nn.Sequential(Conv(896, 256, 1), Conv(256, outputs, 3, 2)) for outputs in (384, 256)]
    deep = nn.Sequential(Conv(896, 256, 1), Conv(256, 256, 3, pad=1), Conv(256, 256, 3, 2))
    return Branches([*shallow, deep], reduction=True)


class InceptionResnetV1(nn.Module):
    """Faces (N, 3, 160, 160), RGB in [-1, 1] -> embeddings (N, 512), not of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2d_1a = Conv(3, 32, 3, 2)
        self.conv2d_2a = Conv(32, 32, 3)
        self.conv2d_2b = Conv(32, 64, 3, pad=1)
        self.conv2d_3b = Conv(64, 80, 1)
        self.conv2d_4a = Conv(80, 192, 3)
        self.conv2d_4b = Conv(192, 256, 3, 2)
        self.repeat_1 = nn.Sequential(*(_block_a() for _ in range(5)))
        self.mixed_6a = _reduction_a()
        self.repeat_2 = nn.Sequential(*(_block_b() for _ in range(10)))
        self.mixed_7a = _reduction_b()
        self.repeat_3 = nn.Sequential(*(_block_c() for _ in range(5)))
        self.block8 = _block_c(scale=1.0, last=True)
        self.last_linear = nn.Linear(1792, 512, bias=False)
        self.last_bn = nn.BatchNorm1d(512, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))
        x = self.conv2d_3b(F.max_pool2d(x, 3, 2))
        x = self.repeat_1(self.conv2d_4b(self.conv2d_4a(x)))
        x = self.repeat_2(self.mixed_6a(x))
        x = self.block8(self.repeat_3(self.mixed_7a(x)))
        return self.last_bn(self.last_linear(x.mean(dim=(2, 3))))

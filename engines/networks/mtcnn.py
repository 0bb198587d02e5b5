"""The three networks of MTCNN: Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks", 2016 (figure 2).

Inputs are (N, 3, W, H): the published weights were trained on transposed images.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class SamePool(nn.Module):
    """Max pooling with TensorFlow's SAME padding: the odd pixel goes to the bottom and right."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel == 2:  # the same without the size in it, so that an exported network runs at any size
            return F.max_pool2d(x, 2, ceil_mode=True)
        pads: list[int] = []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // 2) - 1) * 2 + self.kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return F.max_pool2d(F.pad(x, pads, value=float("-inf")), self.kernel, 2)


class PNet(nn.Module):
    """Image -> face probability (N, W', H') and box offsets (N, 4, W', H') for each 12-px window."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 10, 3),
            nn.PReLU(10),
            SamePool(2),
            nn.Conv2d(10, 16, 3),
            nn.PReLU(16),
            nn.Conv2d(16, 32, 3),
            nn.PReLU(32),
        )
        self.box = nn.Conv2d(32, 4, 1)
        self.face = nn.Conv2d(32, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.body(x)
        return self.face(x).softmax(1)[:, 1], self.box(x)


class RNet(nn.Module):
    """Crops (N, 3, 24, 24) -> face probability (N,) and box offsets (N, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 28, 3),
            nn.PReLU(28),
            SamePool(3),
            nn.Conv2d(28, 48, 3),
            nn.PReLU(48),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(48, 64, 2),
            nn.PReLU(64),
        )
        self.dense = nn.Sequential(nn.Linear(576, 128), nn.PReLU(128))
        self.box = nn.Linear(128, 4)
        self.face = nn.Linear(128, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.dense(self.body(x).permute(0, 2, 3, 1).flatten(1))
        return self.face(x).softmax(1)[:, 1], self.box(x)


class ONet(nn.Module):
    """Crops (N, 3, 48, 48) -> face probability (N,), box offsets (N, 4), five points (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 3),
            nn.PReLU(32),
            SamePool(3),
            nn.Conv2d(32, 64, 3),
            nn.PReLU(64),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 64, 3),
            nn.PReLU(64),
            SamePool(2),
            nn.Conv2d(64, 128, 2),
            nn.PReLU(128),
        )
        self.dense = nn.Sequential(nn.Linear(1152, 256), nn.PReLU(256))
        self.box = nn.Linear(256, 4)
        self.points = nn.Linear(256, 10)
        self.face = nn.Linear(256, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.dense(self.body(x).permute(0, 2, 3, 1).flatten(1))
        return self.face(x).softmax(1)[:, 1], self.box(x), self.points(x)


class MTCNN(nn.Module):
    """A container for the three networks.  The cascade itself is `engines.face.detect`."""

    def __init__(self) -> None:
        super().__init__()
        self.pnet, self.rnet, self.onet = PNet(), RNet(), ONet()

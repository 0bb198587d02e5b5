"""dlib's face recognition ResNet-29 (King 2017, `dlib_face_recognition_resnet_model_v1`)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Channels, number of blocks, and whether the first block halves the resolution.
_STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))


class Affine(nn.Module):
    """A frozen batch norm: one scale and one shift for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale[:, None, None] + self.shift[:, None, None]


class Block(nn.Module):
    """Two 3x3 convolutions.  The shortcut is average-pooled and padded with zeros where shapes differ."""

    def __init__(self, inputs: int, outputs: int, *, down: bool) -> None:
        super().__init__()
        self.down = down
        # dlib does not pad a strided convolution, and pads a plain 3x3 by one.
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2 if down else 1, 0 if down else 1)
        self.affine1 = Affine(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.affine2 = Affine(outputs)

    def forward(self, x: Tensor) -> Tensor:
        out = self.affine2(self.conv2(F.relu(self.affine1(self.conv1(x)))))
        return F.relu(_add_padded(out, F.avg_pool2d(x, 2, 2) if self.down else x))


def _add_padded(a: Tensor, b: Tensor) -> Tensor:
    """a + b, each padded at its end with zeros to the larger of the two shapes (dlib's add_prev)."""
    shape = [max(m, n) for m, n in zip(a.shape, b.shape, strict=True)]

    def pad(x: Tensor) -> Tensor:
        return F.pad(x, [p for axis in (3, 2, 1) for p in (0, shape[axis] - x.shape[axis])])

    return pad(a) + pad(b)


class DlibResNet(nn.Module):
    """Faces (N, 3, 150, 150), normalised as in the spec -> embeddings (N, 128), not of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 7, 2)
        self.affine = Affine(32)
        blocks, channels = [], 32
        for outputs, count, halves in _STAGES:
            for i in range(count):
                blocks.append(Block(channels, outputs, down=halves and i == 0))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(256, 128, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.affine(self.conv(x))), 3, 2)
        return self.fc(self.blocks(x).mean(dim=(2, 3)))

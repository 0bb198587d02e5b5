"""The network of the 68 landmarks of the iBUG scheme: a small MobileFaceNet (see `mobilefacenet`) with ReLU.

Batch norms are folded into the convolutions.
"""

from __future__ import annotations

from torch import Tensor, nn

from engines.networks.mobilefacenet import Bottleneck

#: For each run of bottlenecks: channels inside, channels out, stride of the first block, number of blocks.
_STAGES = ((64, 32, 2, 1), (64, 32, 1, 3), (128, 64, 2, 1), (128, 64, 1, 4), (256, 64, 2, 1), (128, 64, 1, 2))
POINTS = 68


class LandmarkNetwork(nn.Module):
    """Gray faces (N, 1, 64, 64) in [0, 1) -> points (N, 68, 2), x and y as parts of the box.

    A face is its box, stretched to a square.
    """

    def __init__(self) -> None:
        super().__init__()

        def relu(_channels: int) -> nn.Module:
            return nn.ReLU()

        self.stem = nn.Sequential(
            nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, 1, 1, groups=32), nn.ReLU()
        )
        blocks, channels = [], 32
        for inside, outputs, stride, count in _STAGES:
            for _ in range(count):
                blocks.append(Bottleneck(nn.Conv2d, channels, inside, outputs, stride, relu))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.Conv2d(64, 512, 1),
            nn.ReLU(),
            nn.Conv2d(512, 512, 4, groups=512),
            nn.Flatten(),
            nn.Linear(512, 2 * POINTS),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x))).unflatten(1, (POINTS, 2))

"""The vision tower of the makeup model.  timm registers it, so that open_clip can build it by its name."""

from __future__ import annotations

from timm.models import register_model
from torch import Tensor, nn

#: Channels at a quarter, an eighth and a sixteenth of the view's side.
_CHANNELS = (48, 96, 160)
#: Channels of the map that the head sees, its side, and the head's width.
_THIN, _GRID, _HIDDEN = 32, 8, 512


class MakeupTower(nn.Module):
    """Normalised views (N, 3, 128, 128) -> embeddings (N, D).

    Faces are aligned, so a place in the view is a part of the face.  The head sees the whole map, flattened,
    as in face recognisers (Deng et al. 2019).  A transformer would first have to learn where things are.
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        width = _CHANNELS[0]
        blocks: list[nn.Module] = [_conv(3, width, side=7, stride=4), _Residual(width)]
        for wider in _CHANNELS[1:]:
            blocks += [_conv(width, wider, side=3, stride=2), _Residual(wider)]
            width = wider
        self.body = nn.Sequential(*blocks, _conv(width, _THIN, side=1))
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(_THIN * _GRID**2, _HIDDEN, bias=False),
            nn.BatchNorm1d(_HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, embed_dim),
        )

    def forward(self, views: Tensor) -> Tensor:
        """Views -> embeddings."""
        return self.head(self.body(views))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            _conv(width, width, side=3),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.change(x)).relu()


def _conv(width: int, out: int, *, side: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, out, side, stride, side // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    )


@register_model
def makeup_tower(num_classes: int, **_: object) -> MakeupTower:
    """The tower for `timm.create_model("makeup_tower", num_classes=D)`.  It has no other settings."""
    return MakeupTower(num_classes)

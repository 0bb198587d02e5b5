"""Small networks to export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engines.backends.manifest import ExportedNetwork
from export import build
from export.catalogue import Exportable, Input

NETWORKS = (
    "mapping",
    "generator",
    "preview",
    "clip-image",
    "clip-text",
    "mobilefacenet-512",
    "mobilefacenet-192",
    "dlib-resnet29",
    "encoder",
    "pnet",
    "rnet",
    "onet",
    "landmarks-68",
)


CPU = torch.device("cpu")


class Doubled(nn.Module):
    """The smallest network: quick to export."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((4,), 2.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def tiny(name: str = "tiny", network: nn.Module | None = None) -> Exportable:
    return Exportable(
        name,
        "encoder",
        network or Doubled(),
        (Input("values_in"),),
        ("values_out",),
        random=lambda n, g: (torch.rand(n, 4, generator=g) + 1,),
        real=lambda: (torch.ones(1, 4),),
    )


def exported(unloaded: Any, folder: Path, **options: Any) -> list[ExportedNetwork]:
    return list(build.export(unloaded, folder, **options))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}

"""Small recognisers, and people as they see them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.face.recognise import Identity, Recogniser
from engines.models.registry import SPECS
from tests.support.tensors import random

RECOGNISERS = [name for name, spec in SPECS.items() if spec.role == "recogniser"]


class Tiny(nn.Module):
    """Stands in for a recogniser's network: smooth, float64, 6-d."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(random(6, 48, seed=seed) - 0.5, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(nn.functional.adaptive_avg_pool2d(x, 4).flatten(1) @ self.weight.T)


def recogniser(name: str) -> Recogniser:
    """The real metric, crop and threshold around a tiny network."""
    return Recogniser(SPECS[name], Tiny(seed=RECOGNISERS.index(name)))


SURROGATES = [recogniser(name) for name in RECOGNISERS]


def identity(seed: int, faces: int = 1) -> Identity:
    return Identity({r.name: random(faces, 6, seed=seed + i) - 0.5 for i, r in enumerate(SURROGATES)})


def seen_by(*embeddings: Tensor) -> dict[str, Tensor]:
    return {r.name: e for r, e in zip(SURROGATES, embeddings, strict=True)}

"""Face recognisers: aligned embeddings, their metric, and what counts as a match."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines import align
from engines.models.registry import ModelSpec, Threshold

_POINTS = {
    "arcface": align.ARCFACE_POINTS, "arcface-160": align.ARCFACE_POINTS * (160 / 112), "dlib": align.DLIB_POINTS,
}  # fmt: skip


class Recogniser:
    """A network together with the crop, the normalisation and the metric that belong to it."""

    def __init__(self, spec: ModelSpec, network: nn.Module) -> None:
        if spec.preprocessing is None or spec.preprocessing.alignment is None or spec.threshold is None:
            raise ValueError(f"{spec.name} is no recogniser")
        self.name = spec.name
        self.network = network
        self.threshold: Threshold = spec.threshold
        self.size = spec.preprocessing.size[0]
        self.template = _POINTS[spec.preprocessing.alignment]
        #: What stands for the network where no gradients are needed (`engines.backends.serve`).
        self.engine: Callable[[Tensor], Tensor] | None = None
        self._mean = torch.tensor(spec.preprocessing.mean)[:, None, None] / 255
        self._scale = spec.preprocessing.scale / 255

    def crop_transform(self, points: np.ndarray) -> np.ndarray:
        """Where this recogniser cuts a face with these five points (5, 2): a transform (2, 3)."""
        return align.similarity(self.template, points)

    def embed(self, image: Tensor, transform: np.ndarray | Tensor, *, forward_only: bool = False) -> Tensor:
        """Faces cut from images (N, 3, H, W), RGB in [0, 1] -> embeddings (N, D), differentiable.

        Embeddings compared by cosine have length 1; the Euclidean ones are left as they are.  `forward_only` gives
        gradients up and may be faster.
        """
        network = self.engine if forward_only and self.engine is not None else self.network
        return self.scaled(network(self.normalised(align.sample(image, transform, self.size))))

    def normalised(self, crop: Tensor) -> Tensor:
        """The network's input, of crops (N, 3, S, S) in [0, 1]."""
        return (crop - self._mean.to(crop)) / self._scale

    def scaled(self, output: Tensor) -> Tensor:
        """The network's output as an embedding (N, D): of length 1 if it is compared by cosine."""
        return F.normalize(output) if self.threshold.metric == "cosine" else output

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """Cosine similarity, or Euclidean distance, of embeddings (N, D) -> (N,), differentiable."""
        if self.threshold.metric == "cosine":
            return (a * b).sum(dim=1)
        return (a - b).square().sum(dim=1).clamp(min=1e-12).sqrt()

    def is_match(self, value: float) -> bool:
        """Whether a value of `compare` means one person, at a false accept rate of 1 %."""
        if self.threshold.metric == "cosine":
            return value > self.threshold.far_1pct
        return value < self.threshold.far_1pct

    def excess(self, a: Tensor, b: Tensor) -> Tensor:
        """How far a pair lies on the matching side of the threshold (N,), differentiable.

        0 at the threshold, 1 at a typical pair of one person: so cosines and distances add up.
        """
        sign = 1.0 if self.threshold.metric == "cosine" else -1.0
        span = abs(self.threshold.same - self.threshold.far_1pct)
        return sign * (self.compare(a, b) - self.threshold.far_1pct) / span

"""Face recognisers: aligned embeddings, their metric, the threshold of a match, and identities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.face import align
from engines.face.crop import cut
from engines.face.detect import Face
from engines.models.registry import Metric, ModelSpec, Threshold

_POINTS = {
    "arcface": align.ARCFACE_POINTS,
    "arcface-160": align.ARCFACE_POINTS * (160 / 112),
    "dlib": align.DLIB_POINTS,
}


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
        #: The exported network for work without gradients, where there is one (`engines.backends.attach`).
        self.exported: Callable[[Tensor], Tensor] | None = None
        self._mean = torch.tensor(spec.preprocessing.mean)[:, None, None] / 255
        self._scale = spec.preprocessing.scale / 255

    def crop_transform(self, points: np.ndarray) -> np.ndarray:
        """Where this recogniser cuts a face with these five points (5, 2): a transform (2, 3)."""
        return align.similarity_transform(self.template, points)

    def embed(self, image: Tensor, transform: np.ndarray | Tensor, *, forward_only: bool = False) -> Tensor:
        """Faces cut from images (N, 3, H, W), RGB in [0, 1] -> embeddings (N, D), differentiable.

        Embeddings compared by cosine have length 1; the Euclidean ones are left as they are.  `forward_only`
        gives gradients up and may be faster.
        """
        network = self.exported if forward_only and self.exported is not None else self.network
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


@dataclass(frozen=True)
class Identity:
    """Persons as recognisers see them: recogniser name -> embeddings (N, D), one a person."""

    embeddings: Mapping[str, Tensor]

    def cpu(self) -> Identity:
        """The same persons with their embeddings on the CPU."""
        return Identity({name: embedding.cpu() for name, embedding in self.embeddings.items()})


def joined(identities: Sequence[Identity]) -> Identity:
    """Identities by the same recognisers as one, their persons one after the other."""
    names = identities[0].embeddings
    return Identity({name: torch.cat([i.embeddings[name] for i in identities]) for name in names})


@dataclass(frozen=True)
class Comparison:
    """One recogniser's verdict on two faces; `similarity` is a cosine or a distance, by `metric`."""

    recogniser: str
    metric: Metric
    similarity: float
    threshold: float
    same: bool


@torch.no_grad()
def embed_face(recogniser: Recogniser, pixels: np.ndarray, face: Face, *, mirror: bool = False) -> Tensor:
    """The embedding (1, D) of a face of a photo (H, W, 3) uint8, or of its mirror image."""
    crop = cut(pixels, recogniser.crop_transform(face.points), recogniser.size)
    no_move = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    device = next(recogniser.network.parameters()).device
    return recogniser.embed((crop.flip(3) if mirror else crop).to(device), no_move, forward_only=True)


def identity_of_face(recognisers: Iterable[Recogniser], pixels: np.ndarray, face: Face) -> Identity:
    """A face of a photo (H, W, 3) uint8 as every recogniser sees it."""
    return Identity({r.name: embed_face(r, pixels, face) for r in recognisers})


def compare_embeddings(recogniser: Recogniser, a: Tensor, b: Tensor) -> Comparison:
    """One recogniser's verdict on two embeddings (1, D)."""
    value = float(recogniser.compare(a, b))
    threshold = recogniser.threshold
    return Comparison(
        recogniser.name, threshold.metric, value, threshold.far_1pct, recogniser.is_match(value)
    )


def mean_excess(recognisers: Sequence[Recogniser], views: Mapping[str, Tensor], person: Identity) -> Tensor:
    """Mean excess over the match thresholds (N,): 0 at the thresholds, 1 at a typical pair of one person.

    `views` holds embeddings (V, N, D) of V views of N faces.  `person` has one embedding for each face, or
    one (1, D) for all of them.
    """
    terms = []
    for r in recognisers:
        count, faces, _ = views[r.name].shape
        persons = person.embeddings[r.name].expand(faces, -1).repeat(count, 1)
        terms.append(r.excess(views[r.name].flatten(0, 1), persons).view(count, faces).mean(dim=0))
    return torch.stack(terms).mean(dim=0)

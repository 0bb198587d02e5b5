"""The adversarial term: away from the owner, and towards a target when impersonating."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.recognise import Recogniser


@dataclass(frozen=True)
class Identity:
    """One person as every surrogate sees them: recogniser name -> embedding (1, D)."""

    embeddings: Mapping[str, Tensor]


def similarity(surrogates: Sequence[Recogniser], seen: Mapping[str, Tensor], person: Identity) -> Tensor:
    """Mean excess over the match thresholds, a scalar: 0 at them, 1 at a typical pair of one person.

    `seen` holds embeddings (V, D) of V views of the protected face.
    """
    terms = [s.excess(seen[s.name], person.embeddings[s.name]).mean() for s in surrogates]
    return torch.stack(terms).mean()


def adversarial(
    surrogates: Sequence[Recogniser], seen: Mapping[str, Tensor], owner: Identity, target: Identity | None
) -> Tensor:
    """CLIP2Protect, equations 5 and 6: similarity to the owner, less similarity to the target.

    The paper averages plain cosines; these are shifted and scaled to each recogniser's threshold
    and spread, because a Euclidean recogniser has no cosine and a margin means more than a value.
    """
    loss = similarity(surrogates, seen, owner)
    return loss if target is None else loss - similarity(surrogates, seen, target)

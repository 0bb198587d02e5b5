"""The adversarial term: away from the owner, and towards a target when impersonating."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.recognise import Recogniser


@dataclass(frozen=True)
class Identity:
    """Persons as every surrogate sees them: recogniser name -> embeddings (N, D), one a face."""

    embeddings: Mapping[str, Tensor]


def similarity(surrogates: Sequence[Recogniser], seen: Mapping[str, Tensor], person: Identity) -> Tensor:
    """Mean excess over the match thresholds (N,): 0 at them, 1 at a typical pair of one person.

    `seen` holds embeddings (V, N, D) of V views of N protected faces; a person (1, D) is that of all.
    """
    terms = []
    for s in surrogates:
        views, faces, _ = seen[s.name].shape
        persons = person.embeddings[s.name].expand(faces, -1).repeat(views, 1)
        terms.append(s.excess(seen[s.name].flatten(0, 1), persons).view(views, faces).mean(dim=0))
    return torch.stack(terms).mean(dim=0)


def adversarial(
    surrogates: Sequence[Recogniser], seen: Mapping[str, Tensor], owner: Identity, target: Identity | None
) -> Tensor:
    """CLIP2Protect, equations 5 and 6, (N,): similarity to the owner, less similarity to the target.

    The paper averages plain cosines; these are shifted and scaled to each recogniser's threshold
    and spread, because a Euclidean recogniser has no cosine and a margin means more than a value.
    """
    loss = similarity(surrogates, seen, owner)
    return loss if target is None else loss - similarity(surrogates, seen, target)

"""The adversarial term: away from the owner, and towards a target when impersonating."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from engines.face.recognise import Identity, Recogniser, mean_excess


def adversarial(
    surrogates: Sequence[Recogniser], views: Mapping[str, Tensor], owner: Identity, target: Identity | None
) -> Tensor:
    """CLIP2Protect, equations 5 and 6, (N,): similarity to the owner, less similarity to the target.

    `views` holds embeddings (V, N, D) of V views of N protected faces.  The paper averages plain cosines.
    Here they are shifted and scaled to each recogniser's threshold and spread: a Euclidean recogniser has no
    cosine, and a margin means more than a value.
    """
    loss = mean_excess(surrogates, views, owner)
    return loss if target is None else loss - mean_excess(surrogates, views, target)

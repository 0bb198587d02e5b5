"""The text term: a face's change against the change that a prompt asks for (CLIP2Protect, section 3.2)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def directional(embeddings: Tensor, start: Tensor, direction: Tensor) -> Tensor:
    """1 - cosine (N,) between the image's direction and the text's: equation 8, after StyleGAN-NADA.

    `embeddings` (V, N, D) are unit embeddings of V views of N searched faces, `start` those of the same views
    of the original faces.  `direction` (D,) is the prompt's embedding minus that of the source text.
    """
    change = embeddings - start
    return (1 - F.cosine_similarity(change, direction.expand_as(change), dim=-1, eps=1e-6)).mean(dim=0)

"""The text term: how far what changed in a face is from what a prompt asks for (CLIP2Protect, section 3.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Of the contrastive form: as the released code has it.
TEMPERATURE = 0.1


def directional(seen: Tensor, start: Tensor, wanted: Tensor) -> Tensor:
    """1 - cosine (N,) between the image's way and the text's: equation 8, after StyleGAN-NADA (Gal et al. 2021).

    `seen` (V, N, D) are unit embeddings of V views of N searched faces, `start` those of the same views
    of the faces as they were, `wanted` (D,) is the prompt's embedding less that of the source text.
    """
    return (1 - F.cosine_similarity(seen - start, wanted.expand_as(seen), dim=-1, eps=1e-6)).mean(dim=0)


def contrastive(seen: Tensor, start: Tensor, prompt: Tensor, source: Tensor) -> Tensor:
    """InfoNCE (N,) over directions, the form of the released code; shapes as in `directional`.

    The image's way should be near the text's and near that from the face to the prompt, and far from that
    from the face to the source text.
    """
    way = F.normalize(seen - start, dim=-1, eps=1e-6)
    right = torch.stack((prompt - source + torch.zeros_like(start), prompt - start))
    wrong = (source - start)[None]
    logits = (F.normalize(torch.cat((right, wrong)), dim=-1) * way).sum(dim=-1) / TEMPERATURE
    return (logits.logsumexp(dim=0) - logits[: len(right)].logsumexp(dim=0)).mean(dim=0)

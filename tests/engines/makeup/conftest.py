"""A drawn face, and the reference text-image model."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engines.makeup.text_image import OpenClip
from engines.stack import Stack


@pytest.fixture(scope="module")
def drawn(stack: Stack) -> Tensor:
    """A generated face (1, 3, 256, 256) in [0, 1]."""
    with torch.no_grad():
        return stack.preview.small(stack.generator.sample_w(11)).clamp(-1, 1) / 2 + 0.5


@pytest.fixture(scope="module")
def reference() -> OpenClip:
    """The paper's ViT-B/32, its weights random."""
    import open_clip

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32").eval().requires_grad_(False)
    return OpenClip(model, open_clip.get_tokenizer("ViT-B-32"))

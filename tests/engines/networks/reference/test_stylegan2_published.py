"""StyleGAN2 computes what its published layout does."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engines.models.checkpoints import fill
from tests.support import published
from tests.support.tensors import off_from_varied


@pytest.mark.slow  # 8 GB: the published arithmetic at 1024 px
@torch.no_grad()
def test_stylegan2_computes_what_the_published_layout_does(checkpoint: dict[str, Any]) -> None:
    generator = fill("stylegan2", checkpoint).eval()
    w = torch.randn(2, 18, 512, generator=torch.Generator().manual_seed(2))
    assert off_from_varied(generator(w), published.run_synthesis(checkpoint, w)) < 1e-4
    z = torch.randn(3, 512, generator=torch.Generator().manual_seed(3))
    assert off_from_varied(generator.mapping(z), published.run_mapping(checkpoint, z)) < 1e-5
    assert torch.equal(generator.mean_latent, checkpoint["latent_avg"])

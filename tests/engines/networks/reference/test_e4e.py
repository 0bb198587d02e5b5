"""e4e computes what its published layout does."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from engines.models.checkpoints import fill
from engines.networks.reference.e4e import E4E
from tests.support import published
from tests.support.published import LAYOUTS, drawer
from tests.support.tensors import faces, off_from_varied


@pytest.mark.slow
@torch.no_grad()
def test_e4e_computes_what_the_published_layout_does() -> None:
    checkpoint = LAYOUTS["e4e"](drawer())
    network = fill("e4e", checkpoint).eval()
    expected = published.run_e4e(checkpoint, faces(256))
    assert off_from_varied(network(faces(256)), expected) < 1e-4
    smooth = F.interpolate(faces(8), size=1024, mode="bicubic")
    small, mean = F.avg_pool2d(smooth, 4), torch.ones(512)
    assert off_from_varied(E4E(network, mean).offsets(smooth) + mean, network(small)) < 1e-3

"""MobileFaceNet with its norms folded computes the same."""

from __future__ import annotations

import torch

from engines.models.checkpoints import fill
from tests.support import published
from tests.support.published import LAYOUTS, drawer
from tests.support.tensors import faces, off_from_varied


@torch.no_grad()
def test_mobileface_with_its_norms_folded_computes_the_same() -> None:
    named = LAYOUTS["mobileface"](drawer())
    assert (
        off_from_varied(
            fill("mobileface", named).eval()(faces(112)), published.run_mobileface(named, faces(112))
        )
        < 1e-4
    )

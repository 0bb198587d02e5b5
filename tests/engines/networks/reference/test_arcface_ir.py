"""ArcFace computes what its published layout does."""

from __future__ import annotations

import pytest
import torch

from engines.models.checkpoints import fill
from tests.support import published
from tests.support.published import LAYOUTS, drawer
from tests.support.tensors import faces, off_from_varied


@pytest.mark.parametrize(("name", "depth"), [("ir152", 152), ("irse50", 50)])
@torch.no_grad()
def test_arcface_computes_what_the_published_layout_does(name: str, depth: int) -> None:
    named = LAYOUTS[name](drawer())
    assert (
        off_from_varied(fill(name, named).eval()(faces(112)), published.run_arcface(named, faces(112), depth))
        < 1e-4
    )

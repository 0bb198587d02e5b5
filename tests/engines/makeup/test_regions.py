"""Masks lie where the parts of a face are."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor

from engines.makeup.regions import SIZE, locate, masks
from engines.networks.frame import REGIONS
from engines.stack import Stack


@pytest.mark.models
def test_masks_lie_where_the_parts_are(stack: Stack, drawn: Tensor) -> None:
    drawn_masks = dict(zip(REGIONS, masks(locate(stack.prompter.landmarks, drawn)[0].numpy()), strict=True))
    axis = np.arange(SIZE)

    def centre(region: str) -> tuple[float, float]:
        mask = drawn_masks[region]
        return float((mask.sum(axis=0) * axis).sum() / mask.sum()), float(
            (mask.sum(axis=1) * axis).sum() / mask.sum()
        )

    heights = [centre(region)[1] for region in ("brows", "shadow", "blush", "lips")]
    assert heights == sorted(heights)
    assert all(abs(centre(region)[0] - 128) < 15 for region in REGIONS)  # both sides alike
    assert all(mask.min() >= 0 and 0.5 < mask.max() <= 1 for mask in drawn_masks.values())
    for a, b in (
        ("lips", "skin"),
        ("lips", "shadow"),
        ("lips", "blush"),
        ("shadow", "blush"),
        ("brows", "blush"),
    ):
        # Edges are soft and may share pixels; no pixel belongs mostly to both.
        assert not ((drawn_masks[a] > 0.5) & (drawn_masks[b] > 0.5)).any(), (a, b)

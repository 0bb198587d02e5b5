"""The sentence encoder is the published one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from engines.training import makeup_clip as recipe


@pytest.mark.models
def test_the_sentence_encoder_is_the_published_one() -> None:
    """Sentences that mean the same lie together; punctuation and case are its own business."""
    model = recipe.fresh_model(torch.device("cpu"))
    features = F.normalize(
        model.read(["crimson lips", "red lipstick", "a train to Paris", "RED LIPSTICK"]), dim=1
    )
    near = features @ features[1]
    assert float(near[0]) > 0.5 > float(near[2])
    assert float(near[3]) == pytest.approx(1, abs=1e-5)
    assert model.read(["word " * 500]).shape == (1, 384)

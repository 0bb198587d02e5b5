"""The method runs on the paper's networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from engines.config import PROFILES, Settings
from engines.errors import ModelError
from engines.load import reference_stack
from engines.models import reference
from engines.photo.decode import load_photo
from engines.pipeline import protect
from engines.stack import Stack
from tests.support.checkpoints import written
from tests.support.published import LAYOUTS, pooled


def test_a_missing_file_is_named_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"lacks open_clip_model\.safetensors"):
        reference_stack(tmp_path, "cpu")
    with pytest.raises(ModelError, match=r"lacks stylegan2-ffhq-config-f\.pt"):
        reference_stack(tmp_path, "cpu", text_model="embedded")


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The reference networks from files of the published layout, with small random weights."""
    where = tmp_path_factory.mktemp("reference")
    for name, layout in LAYOUTS.items():
        written(where / reference.NETWORKS[name].file, layout(pooled))
    found = reference_stack(where, "cpu", text_model="embedded")
    assert list(found.recognisers) == list(reference.RECOGNISERS)
    assert not any(p.requires_grad for p in found.generator.parameters())
    return found


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize("render", ["generator", "residual"])
def test_the_method_runs_on_the_papers_networks(paper: Stack, render: Any, tmp_path: Path) -> None:
    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "photo.png")
    photo = load_photo(tmp_path / "photo.png")
    settings = Settings(
        render=render,
        surrogates=PROFILES["reference"].surrogates,
        prompt="none",
        steps=1,
        tuning_steps=1 if render == "generator" else None,
    )
    before = {name: tensor.clone() for name, tensor in paper.generator.synthesis.state_dict().items()}
    done = protect(photo, paper, settings)
    (face,) = done.report["faces"]
    used = {name: result["surrogate"] for name, result in face["recognisers"].items()}
    assert used == {"ir152": True, "irse50": True, "facenet": True, "mobileface": False}
    left, top, right, bottom = (round(v) for v in face["box"])
    changed = np.abs(done.pixels.astype(int) - photo.pixels).max(axis=2)
    assert changed[top:bottom, left:right].mean() > 0.1
    assert changed[-20:, -20:].max() == 0  # far from the face
    after = paper.generator.synthesis.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)  # tuned for this face alone
    if render == "residual":
        assert protect(photo, paper, settings).data == done.data

"""The text-image models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engines.errors import ConfigError, ModelError
from engines.makeup.text_image import OpenClip


def test_the_reference_model_has_unit_embeddings_and_gradients(reference: OpenClip) -> None:
    assert reference.side == 224
    texts = reference.texts(["red lipstick", "a face"])
    views = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)).requires_grad_()
    images = reference.images(views)
    assert texts.shape == images.shape == (2, 512)
    for embeddings in (texts, images):
        assert torch.allclose(embeddings.norm(dim=1), torch.ones(2), atol=1e-5)
    (gradient,) = torch.autograd.grad((images @ texts[0]).sum(), views)
    assert bool(gradient.isfinite().all()) and bool(gradient.any())


def test_a_checkpoint_of_the_reference_model_is_loaded(reference: OpenClip, tmp_path: Path) -> None:
    file = tmp_path / "clip.pt"
    torch.save(reference.model.state_dict(), file)
    again = OpenClip.load("ViT-B-32", str(file), torch.device("cpu"))
    assert torch.equal(again.texts(["red lipstick"]), reference.texts(["red lipstick"]))


def test_a_missing_checkpoint_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip

    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    with pytest.raises(ModelError, match=r"nowhere\.pt: there is no such checkpoint"):
        OpenClip.load("ViT-B-32", "nowhere.pt", torch.device("cpu"))
    monkeypatch.setattr(open_clip, "create_model", offline)
    with pytest.raises(ModelError, match="--text-checkpoint FILE"):
        OpenClip.load("ViT-B-32", None, torch.device("cpu"))
    with pytest.raises(ConfigError, match="knows no model 'nobody'"):
        OpenClip.load("nobody", None, torch.device("cpu"))


def test_an_open_clip_model_of_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any name that open_clip knows may be given."""
    import open_clip

    def sentences(texts: Sequence[str]) -> Tensor:
        return tokenizer(list(texts))

    tokenizer = open_clip.get_tokenizer("RN50")
    model = OpenClip(open_clip.create_model("RN50").eval(), sentences)
    assert (
        model.images(torch.rand(1, 3, model.side, model.side)).shape == model.texts(["x"]).shape == (1, 1024)
    )

"""The files of the paper's networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.errors import FormatError, IntegrityError, ModelError
from engines.face.recognise import Recogniser
from engines.makeup.text_image import REFERENCE, OpenClip
from engines.models import checkpoints, reference
from engines.models.registry import SPECS
from tests.support.tensors import off_from_varied


@pytest.mark.parametrize("spec", reference.NETWORKS.values(), ids=lambda spec: spec.name)
def test_every_file_says_where_it_is_from(spec: reference.ReferenceSpec) -> None:
    line = str(spec)
    assert "\n" not in line
    assert line.startswith(f"{spec.file}: ") and spec.licence in line and str(spec.source) in line
    assert str(spec.source).startswith("https://")
    assert spec.trained_on
    assert spec.sha256 is None or len(spec.sha256) == 64


def test_names_of_both_registries_differ() -> None:
    assert not set(SPECS) & set(reference.NETWORKS)
    assert set(checkpoints.NAMES) == set(reference.NETWORKS) - {"clip"}


class Looker(torch.nn.Module):
    """Remembers what it was shown."""

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        return x.flatten(1)


def test_recognisers_are_the_papers() -> None:
    far = {name: reference.NETWORKS[name].threshold.far_1pct for name in reference.RECOGNISERS}
    assert far == {"ir152": 0.166788, "irse50": 0.241045, "facenet": 0.409131, "mobileface": 0.301611}
    for name in reference.RECOGNISERS:
        looker = Looker()
        recogniser = Recogniser(reference.NETWORKS[name], looker)
        side = 160 if name == "facenet" else 112
        black_and_white = torch.stack([torch.zeros(3, 200, 200), torch.ones(3, 200, 200)])
        recogniser.embed(black_and_white, np.array([[1.0, 0, 0], [0, 1.0, 0]]))
        assert looker.seen.shape == (2, 3, side, side)
        assert (float(looker.seen.min()), float(looker.seen.max())) == pytest.approx((-1, 1))
        # The same part of a face at either size.
        assert np.allclose(recogniser.template / side * 112, SMALL.template)
    spans = {reference.NETWORKS[name].threshold.same - value for name, value in far.items()}
    assert max(spans) - min(spans) < 1e-9  # all weigh the same, as in the paper


SMALL = Recogniser(SPECS["mobilefacenet-512"], torch.nn.Identity())


def test_missing_files_are_found_out(tmp_path: Path) -> None:
    assert [spec.name for spec in reference.missing(tmp_path)] == list(reference.NETWORKS)
    (tmp_path / "ir152.pth").touch()
    (tmp_path / "e4e_ffhq_encode.safetensors").touch()
    left = [spec.name for spec in reference.missing(tmp_path, text=False)]
    assert left == ["stylegan2", "irse50", "facenet", "mobileface"]
    with pytest.raises(
        ModelError, match=r"lacks irse50\.pth: .*drive\.google\.com.*take irse50\.pth.*licence: MIT"
    ):
        reference.checkpoint_file("irse50", tmp_path)
    (tmp_path / "stylegan2-ffhq-config-f.pkl").touch()
    with pytest.raises(FormatError, match=r"config-f\.pkl is no file of tensors alone"):
        reference.missing(tmp_path)


def test_a_published_hash_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ir152.pth"
    path.write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    monkeypatch.setitem(reference.NETWORKS, "ir152", replace(reference.NETWORKS["ir152"], sha256=empty))
    assert reference.checkpoint_file("ir152", tmp_path) == path
    path.write_bytes(b"something else")
    with pytest.raises(IntegrityError, match=r"ir152\.pth is not the published file"):
        reference.checkpoint_file("ir152", tmp_path)


def test_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLIP2PROTECT_HOME", str(tmp_path))
    monkeypatch.delenv(reference.FOLDER, raising=False)
    assert reference.folder() == tmp_path / "reference"
    monkeypatch.setenv(reference.FOLDER, str(tmp_path / "mine"))
    assert reference.folder() == tmp_path / "mine"
    assert reference.folder(str(tmp_path / "named")) == tmp_path / "named"


@pytest.mark.slow
@torch.no_grad()
def test_clip_comes_from_its_file_with_the_activation_it_was_trained_with(tmp_path: Path) -> None:
    import open_clip

    model = open_clip.create_model("ViT-B-32", force_quick_gelu=True).eval()
    file = tmp_path / reference.NETWORKS["clip"].file
    safetensors.torch.save_file({k: v.contiguous() for k, v in model.state_dict().items()}, file)
    read_back = OpenClip.load(REFERENCE, file, torch.device("cpu"))
    views = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    mean, deviation = (
        torch.tensor(x)[:, None, None] for x in (model.visual.image_mean, model.visual.image_std)
    )
    expected = F.normalize(model.encode_image((views - mean) / deviation))
    assert read_back.side == 224
    assert off_from_varied(read_back.images(views), expected) < 1e-5

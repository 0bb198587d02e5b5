"""The paper's networks: each published tensor in its place, files that are missing or wrong, the method run on them.

No weights of theirs are at hand: files of the published layout hold random ones, and what a network makes
of them is compared with that layout's own computation (`tests/published.py`).
"""

from __future__ import annotations

import argparse
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import skimage.data
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from engines.config import PROFILES, Settings
from engines.errors import FormatError, IntegrityError, ModelError
from engines.face.recognise import Recogniser
from engines.load import reference_stack
from engines.makeup.text_image import REFERENCE, OpenClip
from engines.models import checkpoints, reference
from engines.models.checkpoints import fill, load_checkpoint, read_checkpoint
from engines.models.registry import SPECS
from engines.networks.reference.e4e import E4E
from engines.photo.decode import load_photo
from engines.pipeline import protect
from engines.runtime import tune_allocator
from engines.stack import Stack
from tests import published
from tests.published import LAYOUTS, Named, drawer, pooled


def off(value: Tensor, expected: Tensor) -> float:
    """Relative error."""
    assert value.shape == expected.shape
    assert float(expected.std()) > 1e-3
    return float((value - expected).norm() / expected.norm())


def faces(side: int) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


# --- equal to what the published layout computes ------------------------------------------------------


@pytest.mark.parametrize(("name", "depth"), [("ir152", 152), ("irse50", 50)])
@torch.no_grad()
def test_arcface_computes_what_the_published_layout_does(name: str, depth: int) -> None:
    named = LAYOUTS[name](drawer())
    assert off(fill(name, named).eval()(faces(112)), published.run_arcface(named, faces(112), depth)) < 1e-4


@torch.no_grad()
def test_mobileface_with_its_norms_folded_computes_the_same() -> None:
    named = LAYOUTS["mobileface"](drawer())
    assert (
        off(fill("mobileface", named).eval()(faces(112)), published.run_mobileface(named, faces(112))) < 1e-4
    )


@torch.no_grad()
def test_facenet_takes_every_tensor_but_the_classifier() -> None:
    named = LAYOUTS["facenet"](drawer())
    network = fill("facenet", named).eval()
    state = network.state_dict()
    kept = {name for name in named if not name.startswith("logits.")}
    assert set(state) == kept
    assert all(torch.equal(state[name], named[name]) for name in kept if "num_batches" not in name)
    assert network(faces(160)).shape == (2, 512)
    first = F.conv2d(faces(160), named["conv2d_1a.conv.weight"], stride=2)
    expected = F.relu(published.normed(named, "conv2d_1a.bn", first, eps=1e-3))  # TensorFlow's epsilon
    assert off(network.conv2d_1a(faces(160)), expected) < 1e-5


@pytest.mark.slow
@torch.no_grad()
def test_e4e_computes_what_the_published_layout_does() -> None:
    checkpoint = LAYOUTS["e4e"](drawer())
    network = fill("e4e", checkpoint).eval()
    expected = published.run_e4e(checkpoint, faces(256))
    assert off(network(faces(256)), expected) < 1e-4
    smooth = F.interpolate(faces(8), size=1024, mode="bicubic")
    small, mean = F.avg_pool2d(smooth, 4), torch.ones(512)
    assert off(E4E(network, mean).offsets(smooth) + mean, network(small)) < 1e-3


@pytest.fixture(scope="module")
def checkpoint() -> dict[str, Any]:
    tune_allocator()
    return LAYOUTS["stylegan2"](drawer())


@torch.no_grad()
def test_stylegan2_computes_what_the_published_layout_does(checkpoint: dict[str, Any]) -> None:
    generator = fill("stylegan2", checkpoint).eval()
    w = torch.randn(2, 18, 512, generator=torch.Generator().manual_seed(2))
    assert off(generator(w), published.run_synthesis(checkpoint, w)) < 1e-4
    z = torch.randn(3, 512, generator=torch.Generator().manual_seed(3))
    assert off(generator.mapping(z), published.run_mapping(checkpoint, z)) < 1e-5
    assert torch.equal(generator.mean_latent, checkpoint["latent_avg"])


def test_nvidias_names_lead_to_the_same_generator(checkpoint: dict[str, Any]) -> None:
    layouts = checkpoint, published.nvidia(checkpoint)
    ours, theirs = (fill("stylegan2", layout).state_dict() for layout in layouts)
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_conversion_without_noise_maps_gets_the_same_ones_each_time(checkpoint: dict[str, Any]) -> None:
    named = checkpoint["g_ema"]
    bare = {name: tensor for name, tensor in named.items() if not name.startswith("noises.")}
    one, other = (fill("stylegan2", {**checkpoint, "g_ema": bare}).synthesis.noise_maps() for _ in range(2))
    assert [noise.shape for noise in one] == [named[f"noises.noise_{i}"].shape for i in range(17)]
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert 0.9 < float(one[-1].std()) < 1.1
    some = {name: tensor for name, tensor in named.items() if name != "noises.noise_3"}
    with pytest.raises(FormatError, match=r"^noises\.noise_3 is missing$"):
        fill("stylegan2", {**checkpoint, "g_ema": some})


# --- what must be refused -----------------------------------------------------------------------------


def tensors_of(name: str, checkpoint: dict[str, Any]) -> Named:
    """The part of a checkpoint that holds the tensors."""
    part = {"stylegan2": "g_ema", "e4e": "state_dict"}.get(name)
    return checkpoint[part] if part else checkpoint


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_tensor_too_many_too_few_or_of_another_shape(name: str) -> None:
    layout = LAYOUTS[name](pooled)
    named = tensors_of(name, layout)
    stranger = "encoder.stranger" if name == "e4e" else "stranger"
    named[stranger] = torch.zeros(2)
    with pytest.raises(FormatError, match=f"^{stranger} belongs to nothing$"):
        fill(name, layout)
    del named[stranger]
    key = next(key for key in reversed(named) if key.endswith(".weight") and "logits" not in key)
    kept = named.pop(key)
    with pytest.raises(FormatError, match=f"^{key} is missing$"):
        fill(name, layout)
    named[key] = torch.zeros(5, 7)
    with pytest.raises(FormatError, match=rf"^{key} has shape \(5, 7\), not \("):
        fill(name, layout)
    named[key] = "nothing"  # type: ignore[assignment]
    with pytest.raises(FormatError, match=f"^{key} is no tensor but a str$"):
        fill(name, layout)
    named[key] = kept
    fill(name, layout)


def test_another_filter_is_refused(checkpoint: dict[str, Any]) -> None:
    other = {**checkpoint["g_ema"], "convs.0.conv.blur.kernel": torch.ones(4, 4)}
    with pytest.raises(FormatError, match=r"convs\.0\.conv\.blur\.kernel is another filter"):
        fill("stylegan2", {**checkpoint, "g_ema": other})


def test_another_checkpoint_than_e4es_is_refused() -> None:
    with pytest.raises(FormatError, match="state_dict or latent_avg is missing"):
        fill("e4e", LAYOUTS["mobileface"](pooled))


def written(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


class Trap:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def test_files_are_read_without_running_code(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "ffhq.pkl").write_bytes(pickle.dumps({"G_ema": Trap(ran)}, protocol=2))
    written(tmp_path / "trap.pt", {"weight": torch.zeros(1), "more": Trap(ran)})
    written(tmp_path / "opts.pt", {"opts": argparse.Namespace(size=1024)})
    for name in ("ffhq.pkl", "trap.pt", "opts.pt"):
        with pytest.raises(
            FormatError, match=rf"{name} is no file of tensors alone.*state_dict\(\)"
        ) as refusal:
            read_checkpoint(tmp_path / name)
        assert "\n" not in str(refusal.value)
    assert not ran.exists()
    pickle.loads((tmp_path / "ffhq.pkl").read_bytes())["G_ema"].close()
    assert ran.exists()  # so the trap is one


def test_files_that_are_damaged_or_something_else(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.pt", {"weight": torch.randn(1000)})
    (tmp_path / "half.pt").write_bytes(whole.read_bytes()[:1000])
    (tmp_path / "half.safetensors").write_bytes(b"\x10\x00\x00")
    for name in ("half.pt", "half.safetensors"):
        with pytest.raises(FormatError, match=f"{name} is no .*damaged"):
            read_checkpoint(tmp_path / name)
    with pytest.raises(FormatError, match="holds a Tensor instead of named tensors"):
        read_checkpoint(written(tmp_path / "bare.pt", torch.zeros(3)))
    with pytest.raises(ModelError, match=r"cannot read .*nowhere\.pt: No such file"):
        read_checkpoint(tmp_path / "nowhere.pt")


def test_a_file_is_named_in_what_is_wrong_with_it(tmp_path: Path) -> None:
    written(tmp_path / "mobile_face.pth", {"conv1.conv.weight": torch.zeros(64, 3, 3, 3)})
    with pytest.raises(FormatError, match=r"mobile_face\.pth: conv1\.bn\.weight is missing"):
        load_checkpoint("mobileface", tmp_path)


def test_safetensors_serve_as_well(tmp_path: Path) -> None:
    named = LAYOUTS["mobileface"](drawer())
    safetensors.torch.save_file(named, tmp_path / "mobile_face.safetensors")
    found, expected = load_checkpoint("mobileface", tmp_path).state_dict(), fill("mobileface", named).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


# --- the files ----------------------------------------------------------------------------------------


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
    assert off(read_back.images(views), expected) < 1e-5


# --- the method ---------------------------------------------------------------------------------------


def test_a_missing_file_is_named_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"lacks open_clip_model\.safetensors"):
        reference_stack(tmp_path, "cpu")
    with pytest.raises(ModelError, match=r"lacks stylegan2-ffhq-config-f\.pt"):
        reference_stack(tmp_path, "cpu", text_model="embedded")


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The reference networks from files of the published layout, with random weights that take little room."""
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

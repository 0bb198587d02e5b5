"""The paper's networks, with random weights, as ONNX: equal to torch."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import open_clip
import pytest
import torch
from torch import nn

from engines.backends.manifest import exports_dir
from engines.face.recognise import Recogniser
from engines.makeup.text_image import REFERENCE, OpenClip
from engines.models import reference
from engines.models.checkpoints import fill
from engines.networks.reference.e4e import E4E, E4ENetwork
from engines.networks.reference.stylegan2 import StyleGAN2
from engines.runtime import tune_allocator
from engines.stack import Stack
from export.catalogue import Exportable, exportables
from export.limits import Deadline
from export.onnx import to_onnx
from server.cli.main import main
from tests.published import LAYOUTS, drawer

NETWORKS = (
    "mapping",
    "generator",
    "clip-image",
    "clip-text",
    "ir152",
    "irse50",
    "facenet",
    "mobileface",
    "e4e",
)


@pytest.fixture(scope="module")
def entries(stack: Stack) -> dict[str, Exportable]:
    """Of a stack of the paper's networks; detector and landmarks are the embedded ones."""
    tune_allocator()
    torch.manual_seed(0)

    def frozen(network: nn.Module) -> nn.Module:
        return network.eval().requires_grad_(False)

    generator = StyleGAN2()
    frozen(generator)
    e4e = E4ENetwork()
    frozen(e4e)
    recognisers = {
        name: Recogniser(reference.NETWORKS[name], frozen(fill(name, LAYOUTS[name](drawer()))))
        for name in reference.RECOGNISERS
    }
    paper = Stack(
        generator=generator,
        preview=generator,
        encoder=E4E(e4e, generator.mean_latent),
        detector=stack.detector,
        recognisers=recognisers,
        device=torch.device("cpu"),
    )
    clip = frozen(open_clip.create_model(REFERENCE))
    paper.__dict__["prompter"] = SimpleNamespace(model=OpenClip(clip, open_clip.get_tokenizer(REFERENCE)))
    groups = ("generator", "clip-image", "clip-text", "recognisers", "encoder")
    return {entry.name: entry for entry in exportables(paper, groups)}


def test_every_network_is_in_the_table(entries: dict[str, Exportable]) -> None:
    assert tuple(entries) == NETWORKS


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_onnx_runtime_gives_what_torch_gives(
    name: str, entries: dict[str, Exportable], tmp_path: Path
) -> None:
    entry = entries[name]
    model = tmp_path / "network.onnx"
    model.write_bytes(to_onnx(entry, Deadline(name)).SerializeToString())
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for batch in (1, 2):
        inputs = entry.random(batch, torch.Generator().manual_seed(batch))
        expected = entry.network(*inputs)
        [made] = session.run(None, {i.name: x.numpy() for i, x in zip(entry.inputs, inputs, strict=True)})
        assert made.shape == tuple(expected.shape)
        assert np.linalg.norm(made - expected.numpy()) < 1e-4 * float(expected.norm())


@pytest.mark.parametrize("action", [[], ["verify"]])
def test_what_is_missing_is_told_before_anything_is_written(
    action: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLIP2PROTECT_ENGINES", str(tmp_path / "engines"))
    command = ["export", *action, "--profile", "reference", "--reference-models", str(tmp_path)]
    assert main(command) == 1
    told = capsys.readouterr().err
    assert all(spec.file in told for spec in reference.NETWORKS.values())
    assert list(tmp_path.iterdir()) == []
    assert main(["export", *action, "--reference-models", str(tmp_path)]) == 2


def test_engines_of_both_profiles_lie_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP2PROTECT_ENGINES", str(tmp_path))
    assert (exports_dir(), exports_dir("reference")) == (tmp_path, tmp_path / "reference")
    monkeypatch.setenv("CLIP2PROTECT_ENGINES", "none")
    assert exports_dir("reference") is None

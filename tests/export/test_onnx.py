"""Every exported network gives what torch gives."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from engines.backends.loading import load_exported
from engines.backends.manifest import ExportedNetwork
from engines.errors import EngineError
from engines.stack import Stack
from export import parity
from export.catalogue import Exportable
from export.limits import Deadline
from export.onnx import to_onnx
from tests.support.exports import CPU, NETWORKS, tiny


@pytest.mark.models
def test_every_network_is_in_the_table(entries: dict[str, Exportable]) -> None:
    assert tuple(entries) == NETWORKS


@pytest.mark.models
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_runtime_gives_what_torch_gives(
    name: str, entries: dict[str, Exportable], engines: dict[str, ExportedNetwork]
) -> None:
    """On random inputs that are others in every run, one and two of them, and on a real one."""
    verdict = engines[name].verified
    assert verdict is not None
    assert set(verdict.errors) == set(entries[name].outputs)
    assert max(verdict.errors.values()) < 1e-4
    if entries[name].recogniser is not None:
        assert verdict.similarity is not None and verdict.similarity < 1e-4


@pytest.mark.models
@pytest.mark.parametrize("name", NETWORKS)
def test_the_manifest_says_what_the_file_is(
    name: str, entries: dict[str, Exportable], engines: dict[str, ExportedNetwork], engines_folder: Path
) -> None:
    engine = engines[name]
    session = onnxruntime.InferenceSession(
        engine.checked_file(engines_folder), providers=["CPUExecutionProvider"]
    )
    assert [v.name for v in engine.inputs] == [i.name for i in session.get_inputs()]
    assert (
        [v.name for v in engine.outputs]
        == [o.name for o in session.get_outputs()]
        == [*entries[name].outputs]
    )
    assert all(isinstance(v.shape[0], str) for v in (*engine.inputs, *engine.outputs))
    assert engine.weights == entries[name].weights
    assert engine.bytes == (engines_folder / engine.file).stat().st_size
    assert engine.verified is not None


@pytest.mark.models
@torch.no_grad()
@pytest.mark.parametrize("size", [(12, 12), (13, 40), (640, 427)])
def test_the_first_detector_runs_at_any_size(
    size: tuple[int, int], stack: Stack, engines: dict[str, ExportedNetwork], engines_folder: Path
) -> None:
    image = torch.rand(1, 3, *size) * 2 - 1
    got = load_exported(engines_folder, engines["pnet"], CPU)(image)
    for a, b in zip(stack.detector.pnet(image), got, strict=True):
        assert parity.relative_error(a, b) < 1e-4


@pytest.mark.models
def test_the_generator_takes_w_plus_and_every_noise_map(
    stack: Stack, entries: dict[str, Exportable], engines: dict[str, ExportedNetwork], engines_folder: Path
) -> None:
    backend = load_exported(engines_folder, engines["generator"], CPU)
    inputs = list(entries["generator"].random(1, torch.Generator().manual_seed(3)))
    assert len(inputs) == 1 + len(stack.generator.synthesis.noise_maps())
    (first,) = backend(*inputs)
    for changed in (0, 1, len(inputs) - 1):
        (other,) = backend(*(x + 0.3 if i == changed else x for i, x in enumerate(inputs)))
        assert parity.relative_error(first, other) > 1e-3


class Fixed(nn.Module):
    """A network with the batch of its sample built in."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.arange(len(x.tolist()))[:, None]


def test_a_batch_that_became_a_constant_is_refused() -> None:
    with pytest.raises(EngineError, match="fixed cannot be exported"):
        to_onnx(tiny("fixed", Fixed()), Deadline("fixed"))

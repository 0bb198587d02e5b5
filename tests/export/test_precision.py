"""Half precision: what overflows stays in float32, found without being told."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from engines.errors import EngineError
from export import onnx as exporter
from export.catalogue import Exportable, Input
from export.limits import Deadline
from export.precision import lower, lower_safely, overflowing, sample_feeds


class Exploding(nn.Module):
    """A convolution, a detour over numbers of a million, and a linear layer."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 2)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).relu().mean(dim=(2, 3))
        x = torch.sigmoid(x) * self.factor
        return self.head(torch.sqrt(x * x) / self.factor)


def entry_of(network: nn.Module) -> Exportable:
    torch.manual_seed(0)
    return Exportable(
        "exploding",
        "encoder",
        network.eval(),
        (Input("pixels_in"),),
        ("values_out",),
        random=lambda n, g: (torch.rand(n, 3, 8, 8, generator=g),),
        real=lambda: (torch.ones(1, 3, 8, 8),),
    )


@pytest.fixture(scope="module")
def exploding() -> tuple[Exportable, Any]:
    entry = entry_of(Exploding(3e3))
    return entry, exporter.to_onnx(entry, Deadline("exploding"))


def run(model: Any, feed: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feed)[0]


def operations(model: Any, names: frozenset[str] | tuple[str, ...]) -> set[str]:
    return {node.op_type for node in model.graph.node if node.name in names}


def test_what_overflows_is_found(exploding: tuple[Exportable, Any]) -> None:
    entry, model = exploding
    found = operations(model, overflowing(model, sample_feeds(entry)))
    assert "Mul" in found and "Sqrt" in found
    assert not found & {"Conv", "Gemm", "MatMul", "Relu", "Sigmoid"}


def test_what_overflows_stays_and_the_rest_is_halved(exploding: tuple[Exportable, Any]) -> None:
    entry, model = exploding
    made, kept = lower_safely(model, entry, "fp16", Deadline("exploding"))
    assert "Sqrt" in operations(model, kept)
    feed = sample_feeds(entry)[0]
    wanted, got = run(model, feed), run(made, feed)
    assert np.linalg.norm(got - wanted) < 1e-2 * np.linalg.norm(wanted)
    # ONNX Runtime computes in float32 what its CPU lacks in fp16; the reference rounds every value.
    with np.errstate(over="ignore", invalid="ignore"):
        (naive,) = ReferenceEvaluator(lower(model, frozenset(), "fp16")).run(None, feed)
        (careful,) = ReferenceEvaluator(made).run(None, feed)
    assert not np.isfinite(naive).all()
    assert np.linalg.norm(careful - wanted) < 1e-2 * np.linalg.norm(wanted)
    weights = {w.data_type for w in made.graph.initializer if len(w.dims) == 4}
    assert weights == {TensorProto.FLOAT16}


@pytest.mark.parametrize(
    ("precision", "kind"), [("fp16", TensorProto.FLOAT16), ("bf16", TensorProto.BFLOAT16)]
)
def test_inputs_and_outputs_stay_as_they_were(precision: Any, kind: int) -> None:
    entry = entry_of(Exploding(2.0))
    model = exporter.to_onnx(entry, Deadline("mild"), exporter.OPSET[precision])
    made, kept = lower_safely(model, entry, precision, Deadline("mild"))
    assert kept == ()
    assert exporter.values(made.graph.input) == exporter.values(model.graph.input)
    assert exporter.values(made.graph.output) == exporter.values(model.graph.output)
    types = {
        v.name: v.type.tensor_type.elem_type for v in onnx.shape_inference.infer_shapes(made).graph.value_info
    }
    (conv,) = [node for node in made.graph.node if node.op_type == "Conv"]
    assert types[conv.output[0]] == kind


def test_weights_that_fp16_cannot_hold_keep_their_layer() -> None:
    network = Exploding(1.0)
    with torch.no_grad():
        network.head.weight.fill_(1e6)
    entry = entry_of(network)
    model = exporter.to_onnx(entry, Deadline("large"))
    made, kept = lower_safely(model, entry, "fp16", Deadline("large"))
    assert operations(model, kept) & {"Gemm", "MatMul"}
    feed = sample_feeds(entry)[0]
    assert np.linalg.norm(run(made, feed) - run(model, feed)) < 1e-2 * np.linalg.norm(run(model, feed))


def test_the_search_keeps_its_deadline(exploding: tuple[Exportable, Any]) -> None:
    entry, model = exploding
    with pytest.raises(EngineError, match="raise --time-limit"):
        lower_safely(model, entry, "fp16", Deadline("exploding", 0))

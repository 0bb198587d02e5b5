"""Half precision without calibration: a float32 ONNX model with most of its operations in fp16 or bf16.

Inputs and outputs stay float32.  An operation stays in float32 as a whole where half precision cannot hold
its values. Two passes find these operations: the model runs on samples, and every value is inspected; then
the lowered model runs until no value is infinite.  bf16 has the range of float32, so nothing overflows there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from engines.backends.manifest import Precision
from engines.backends.ort import onnxruntime_package
from engines.errors import EngineError
from export.catalogue import Exportable
from export.limits import Deadline

#: Largest fp16 number, and the part of it that a value on the samples may reach.  Other inputs may go
#: further.
FP16_MAX = 65504.0
_HEADROOM = 0.25
#: Operations that always stay in float32: float inputs are sizes or float32 by definition, the operation
#: holds a graph, or runtimes have it in float32 alone.
_NEVER = frozenset(
    {
        "Resize",
        "Range",
        "ConstantOfShape",
        "RandomNormal",
        "If",
        "Loop",
        "Scan",
        "ScatterND",
        "ScatterElements",
    }
)
#: Number of lowered models to try.
_ROUNDS = 8


def lower_safely(
    model: Any, entry: Exportable, precision: Precision, deadline: Deadline
) -> tuple[Any, tuple[str, ...]]:
    """The model in half precision, and the names of the operations that stay in float32 because they would
    overflow.

    Raises EngineError where no choice of operations keeps the outputs finite.
    """
    if precision == "bf16":
        return lower(model, frozenset(), precision), ()
    feeds = sample_feeds(entry)
    kept = overflowing(model, feeds)
    for _ in range(_ROUNDS):
        deadline.check()
        half = lower(model, kept, precision)
        try:
            infinite = _infinite(half, feeds)
        except Exception as error:  # ONNX Runtime's errors have no base class of their own
            raise EngineError(
                f"{entry.name} cannot be run in fp16 ({str(error)[:200]}): use --precision fp32"
            ) from error
        if not infinite:
            return half, tuple(sorted(kept))
        if infinite <= kept:
            break
        kept = kept | infinite
    raise EngineError(
        f"{entry.name} overflows in fp16 wherever it is cut: export it in --precision bf16 or fp32"
    )


def sample_feeds(entry: Exportable) -> list[dict[str, np.ndarray]]:
    """Random and real inputs, by name."""
    samples = (entry.random(1, torch.Generator().manual_seed(1)), entry.real())
    return [
        {i.name: x.detach().numpy() for i, x in zip(entry.inputs, sample, strict=True)} for sample in samples
    ]


def overflowing(model: Any, feeds: Iterable[dict[str, np.ndarray]]) -> frozenset[str]:
    """Names of the operations with an input, output or constant that is too large for fp16."""
    from onnx import numpy_helper

    limit = FP16_MAX * _HEADROOM
    large = {w.name for w in model.graph.initializer if _largest(numpy_helper.to_array(w)) > FP16_MAX}
    for values in _all_values(model, feeds):
        large |= {name for name, value in values.items() if not _largest(value) <= limit}
    return frozenset(node.name for node in model.graph.node if large & {*node.input, *node.output})


def lower(model: Any, keep: frozenset[str], precision: Precision) -> Any:
    """A copy in which all operations but those in `keep` run in half precision.

    Casts stand where the two precisions meet.
    """
    return _Lowering(model, keep, precision).result


class _Lowering:
    """Walks the operations in order and keeps track of the types in which each value exists."""

    def __init__(self, model: Any, keep: frozenset[str], precision: Precision) -> None:
        import onnx

        self._onnx, proto = onnx, onnx.TensorProto
        self._full, self._half = proto.FLOAT, {"fp16": proto.FLOAT16, "bf16": proto.BFLOAT16}[precision]
        self.result = onnx.ModelProto()
        self.result.CopyFrom(model)
        graph = self.result.graph
        types = _types(model)
        self._floats = {name for name, kind in types.items() if kind == self._full}
        self._weights = {w.name: w for w in graph.initializer if w.data_type == self._full}
        self._is_half: set[str] = set()
        self._casts: dict[tuple[str, int], str] = {}
        self._nodes: list[Any] = []
        outputs = {value.name for value in graph.output}
        for node in graph.node:
            self._walk(node, node.name in keep or node.op_type in _NEVER, outputs)
        used = {name for node in self._nodes for name in node.input} | outputs
        weights = [w for w in graph.initializer if w.name in used]
        del graph.node[:], graph.value_info[:], graph.initializer[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend([*weights, *(w for w in self._half_weights if w.name in used)])
        onnx.checker.check_model(self.result, full_check=True)

    @property
    def _half_weights(self) -> list[Any]:
        return [
            self._weights[name]
            for (_, kind), name in self._casts.items()
            if kind == self._half and name in self._weights
        ]

    def _walk(self, node: Any, full: bool, outputs: set[str]) -> None:
        casts_itself = node.op_type == "Cast"
        kind = self._full if full else self._half
        for i, name in enumerate(node.input):
            if not casts_itself and (name in self._floats):
                node.input[i] = self._as(name, kind)
        self._nodes.append(node)
        if full or casts_itself:
            return
        for i, name in enumerate(node.output):
            if name not in self._floats:
                continue
            self._is_half.add(name)
            if name in outputs:  # outputs keep their name and stay float32
                node.output[i] = f"{name}_half"
                self._nodes.append(
                    self._onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=self._full)
                )
                self._casts[name, self._half] = f"{name}_half"
                self._is_half.discard(name)

    def _as(self, name: str, kind: int) -> str:
        """The value's name in that type.  The first use adds a cast."""
        if (self._half if name in self._is_half else self._full) == kind:
            return name
        if (name, kind) not in self._casts:
            result = self._casts[name, kind] = f"{name}_{'half' if kind == self._half else 'full'}"
            if name in self._weights:
                self._weights[result] = self._lowered_weight(name, result)
            else:
                self._nodes.append(
                    self._onnx.helper.make_node("Cast", [name], [result], f"cast_{result}", to=kind)
                )
        return self._casts[name, kind]

    def _lowered_weight(self, name: str, result: str) -> Any:
        values = self._onnx.numpy_helper.to_array(self._weights[name])
        kind = self._onnx.helper.tensor_dtype_to_np_dtype(self._half)
        with np.errstate(over="ignore"):  # the caller keeps operations that overflow
            return self._onnx.numpy_helper.from_array(values.astype(kind), result)


def _types(model: Any) -> dict[str, int]:
    """Element types of all values, constants included."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*graph.input, *graph.output, *graph.value_info)
    return {v.name: v.type.tensor_type.elem_type for v in values} | {
        w.name: w.data_type for w in graph.initializer
    }


def _all_values(model: Any, feeds: Iterable[dict[str, np.ndarray]]) -> Iterable[dict[str, np.ndarray]]:
    """Every floating-point value inside a model for each feed, computed operation by operation."""
    import onnx

    types, proto = _types(model), onnx.TensorProto
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    names = [
        o for node in model.graph.node for o in node.output if types.get(o) in (proto.FLOAT, proto.FLOAT16)
    ]
    outputs = {value.name for value in model.graph.output}
    probe.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, types[name], None) for name in names if name not in outputs
    )
    ort = onnxruntime_package()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = ort.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for feed in feeds:
        yield dict(zip(names, session.run(names, feed), strict=True)) | feed


def _infinite(model: Any, feeds: Iterable[dict[str, np.ndarray]]) -> frozenset[str]:
    """The first operation with a result that is not finite, on each path from the inputs."""
    operations: set[str] = set()
    for values in _all_values(model, feeds):
        infinite = {name for name, value in values.items() if not np.isfinite(_largest(value))}
        operations |= {
            n.name for n in model.graph.node if infinite & {*n.output} and not infinite & {*n.input}
        }
    return frozenset(operations)


def _largest(values: np.ndarray) -> float:
    if not np.issubdtype(values.dtype, np.floating) or not values.size:
        return 0.0
    return float(np.abs(values.astype(np.float32)).max())

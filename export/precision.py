"""Half precision without calibration: a float32 ONNX model with most of its operations in fp16 or bf16.

Inputs and outputs stay float32.  An operation stays as a whole where half precision cannot hold what flows through it:
found by running the model on samples and looking at every value, then by running the lowered model until no value is
infinite.  bf16 has float32's range, so there nothing overflows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from engines.backends.manifest import Precision
from engines.backends.ort import runtime
from engines.errors import EngineError
from export.limits import Deadline
from export.wrappers import Exportable

#: Largest fp16 number, and what part of it a value on the samples may reach: other inputs may go further.
FP16_MAX = 65504.0
_HEADROOM = 0.25
#: Operations whose float inputs say sizes or are float32 by definition, those with graphs inside, and those that
#: runtimes have in float32 alone.
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
#: Lowered models that are tried before giving up.
_ROUNDS = 8


def lowered(
    model: Any, entry: Exportable, precision: Precision, deadline: Deadline
) -> tuple[Any, tuple[str, ...]]:
    """The model in half precision, and the names of the operations that stay in float32 because they would overflow.

    Raises EngineError where no choice of such operations keeps the outputs finite.
    """
    if precision == "bf16":
        return lower(model, frozenset(), precision), ()
    feeds = sample_feeds(entry)
    kept = overflowing(model, feeds)
    for _ in range(_ROUNDS):
        deadline.check()
        made = lower(model, kept, precision)
        try:
            infinite = _infinite(made, feeds)
        except Exception as error:  # ONNX Runtime's errors have no base of their own
            raise EngineError(
                f"{entry.name} cannot be run in fp16 ({str(error)[:200]}): use --precision fp32"
            ) from error
        if not infinite:
            return made, tuple(sorted(kept))
        if infinite <= kept:
            break
        kept = kept | infinite
    raise EngineError(
        f"{entry.name} overflows in fp16 wherever it is cut: export it in --precision bf16 or fp32"
    )


def sample_feeds(entry: Exportable) -> list[dict[str, np.ndarray]]:
    """Random and real inputs by name."""
    samples = (entry.random(1, torch.Generator().manual_seed(1)), entry.real())
    return [
        {i.name: x.detach().numpy() for i, x in zip(entry.inputs, sample, strict=True)} for sample in samples
    ]


def overflowing(model: Any, feeds: Iterable[dict[str, np.ndarray]]) -> frozenset[str]:
    """Names of the operations with a value, in or out, that is too large for fp16, constants included."""
    from onnx import numpy_helper

    limit = FP16_MAX * _HEADROOM
    large = {w.name for w in model.graph.initializer if _largest(numpy_helper.to_array(w)) > FP16_MAX}
    for values in _all_values(model, feeds):
        large |= {name for name, value in values.items() if not _largest(value) <= limit}
    return frozenset(node.name for node in model.graph.node if large & {*node.input, *node.output})


def lower(model: Any, keep: frozenset[str], precision: Precision) -> Any:
    """A copy in which all operations but those named run in half precision, with casts where the two meet."""
    return _Lowering(model, keep, precision).result


class _Lowering:
    """Walks the operations in order and remembers which values are at hand in which type."""

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
        graph.initializer.extend([*weights, *(w for w in self._made if w.name in used)])
        onnx.checker.check_model(self.result, full_check=True)

    @property
    def _made(self) -> list[Any]:
        return [
            self._weights[name]
            for (_, kind), name in self._casts.items()
            if kind == self._half and name in self._weights
        ]

    def _walk(self, node: Any, full: bool, outputs: set[str]) -> None:
        casts_itself = node.op_type == "Cast"
        wanted = self._full if full else self._half
        for i, name in enumerate(node.input):
            if not casts_itself and (name in self._floats):
                node.input[i] = self._as(name, wanted)
        self._nodes.append(node)
        if full or casts_itself:
            return
        for i, name in enumerate(node.output):
            if name not in self._floats:
                continue
            self._is_half.add(name)
            if name in outputs:  # its name is promised in float32
                node.output[i] = f"{name}_half"
                self._nodes.append(
                    self._onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=self._full)
                )
                self._casts[name, self._half] = f"{name}_half"
                self._is_half.discard(name)

    def _as(self, name: str, kind: int) -> str:
        """The value's name in that type; a cast is made the first time that one is needed."""
        if (self._half if name in self._is_half else self._full) == kind:
            return name
        if (name, kind) not in self._casts:
            made = self._casts[name, kind] = f"{name}_{'half' if kind == self._half else 'full'}"
            if name in self._weights:
                self._weights[made] = self._lowered_weight(name, made)
            else:
                self._nodes.append(
                    self._onnx.helper.make_node("Cast", [name], [made], f"cast_{made}", to=kind)
                )
        return self._casts[name, kind]

    def _lowered_weight(self, name: str, made: str) -> Any:
        values = self._onnx.numpy_helper.to_array(self._weights[name])
        kind = self._onnx.helper.tensor_dtype_to_np_dtype(self._half)
        with np.errstate(over="ignore"):  # what overflows is for the caller to keep
            return self._onnx.numpy_helper.from_array(values.astype(kind), made)


def _types(model: Any) -> dict[str, int]:
    """Element types of all values, constants included."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    named = (*graph.input, *graph.output, *graph.value_info)
    return {v.name: v.type.tensor_type.elem_type for v in named} | {
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
    shown = {value.name for value in model.graph.output}
    probe.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, types[name], None) for name in names if name not in shown
    )
    ort = runtime()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = ort.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for feed in feeds:
        yield dict(zip(names, session.run(names, feed), strict=True)) | feed


def _infinite(model: Any, feeds: Iterable[dict[str, np.ndarray]]) -> frozenset[str]:
    """The first operations on each way from the inputs whose result is not finite."""
    found: set[str] = set()
    for values in _all_values(model, feeds):
        bad = {name for name, value in values.items() if not np.isfinite(_largest(value))}
        found |= {n.name for n in model.graph.node if bad & {*n.output} and not bad & {*n.input}}
    return frozenset(found)


def _largest(values: np.ndarray) -> float:
    if not np.issubdtype(values.dtype, np.floating) or not values.size:
        return 0.0
    return float(np.abs(values.astype(np.float32)).max())

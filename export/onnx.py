"""A network as an ONNX model, by torch's exporter: named inputs, the batch and other sizes left open, simplified."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.export import Dim

from engines.backends.manifest import Precision, Value
from engines.errors import EngineError
from export.limits import Deadline
from export.wrappers import Exportable, placed

#: The oldest opset with all that the networks use, for the widest choice of runtimes; bf16 convolutions came later.
OPSET: dict[Precision, int] = {"fp32": 20, "fp16": 20, "bf16": 22}
_DTYPES = {1: "float32", 7: "int64"}


def packages() -> dict[str, Any]:
    """The packages that an export needs.  Raises EngineError with the remedy where one is missing."""
    found = {}
    for name in ("onnx", "onnxscript", "onnxslim"):
        try:
            found[name] = importlib.import_module(name)
        except ImportError as error:
            raise EngineError(
                f"an export needs the package {name}: pip install 'clip2protect[export]'"
            ) from error
    return found


def to_onnx(entry: Exportable, deadline: Deadline, opset: int = OPSET["fp32"]) -> Any:
    """The network as an `onnx.ModelProto` in float32, checked.

    Raises EngineError where a package is missing, the network cannot be exported or it takes too long.
    """
    tools = packages()
    chance = torch.Generator().manual_seed(0)
    # Sizes of 1 would be taken for constants.
    inputs = entry.random(2, chance)
    dynamic = _dynamic_shapes(entry)
    with _quiet(), deadline.enforced(), placed(entry.network, torch.device("cpu")) as network:
        try:
            program = torch.onnx.export(
                network,
                inputs,
                dynamo=True,
                opset_version=opset,
                verbose=False,
                input_names=[i.name for i in entry.inputs],
                output_names=list(entry.outputs),
                dynamic_shapes=dynamic,
            )
            if program is None:
                raise RuntimeError("torch gave no model")
            require_open(entry, program.model_proto)
            model = tools["onnxslim"].slim(program.model_proto)
            tools["onnx"].checker.check_model(model, full_check=True)
        except EngineError:
            raise
        except Exception as error:  # the exporter raises whatever the network makes it stumble over
            deadline.check()
            cause = str(error).strip().partition("\n")[0][:300]
            raise EngineError(f"{entry.name} cannot be exported ({type(error).__name__}: {cause})") from error
    return model


def values(infos: Sequence[Any]) -> tuple[Value, ...]:
    """Inputs or outputs of an ONNX graph."""
    return tuple(
        Value(
            info.name,
            _DTYPES[info.type.tensor_type.elem_type],
            tuple(d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim),
        )
        for info in infos
    )


def require_open(entry: Exportable, model: Any) -> None:
    """Raises EngineError if the exporter took a size that varies for a constant: it only warns about it."""
    for declared, value in zip(entry.inputs, values(model.graph.input), strict=True):
        for axis in (0, *(axis for axis, _ in declared.axes)):
            if not isinstance(value.shape[axis], str):
                raise EngineError(
                    f"{entry.name} cannot be exported: dimension {axis} of {value.name} became a constant"
                )


def _dynamic_shapes(entry: Exportable) -> tuple[Any, ...]:
    """As `torch.onnx.export` wants them; inputs of a star argument come as a tuple."""
    batch = Dim("batch", min=1)
    named = {a.name: Dim(a.name, min=a.least, max=a.largest) for i in entry.inputs for _, a in i.axes}
    shapes = [{0: batch} | {axis: named[a.name] for axis, a in i.axes} for i in entry.inputs]
    if len(shapes) > 2:  # W+ and the star of noise maps
        return shapes[0], tuple(shapes[1:])
    return tuple(shapes)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter and its libraries talk to the log and warn of what is none of the user's business."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

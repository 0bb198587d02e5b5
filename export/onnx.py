"""A network as an ONNX model, made by torch's exporter and simplified.

Inputs have names, and the batch and some other sizes stay open.
"""

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
from export.catalogue import Exportable
from export.limits import Deadline
from export.wrappers import on_device

#: The oldest opset with all operations of the networks, for the widest choice of runtimes.  Convolutions in
#: bf16 came later.
OPSET: dict[Precision, int] = {"fp32": 20, "fp16": 20, "bf16": 22}
_DTYPES = {1: "float32", 7: "int64"}


def packages() -> dict[str, Any]:
    """The packages that an export needs.  Raises EngineError with the remedy where one is missing."""
    modules = {}
    for name in ("onnx", "onnxscript", "onnxslim"):
        try:
            modules[name] = importlib.import_module(name)
        except ImportError as error:
            raise EngineError(
                f"an export needs the package {name}: pip install 'clip2protect[export]'"
            ) from error
    return modules


def to_onnx(entry: Exportable, deadline: Deadline, opset: int = OPSET["fp32"]) -> Any:
    """The network as an `onnx.ModelProto` in float32, checked.

    Raises EngineError where a package is missing, the network cannot be exported or it takes too long.
    """
    tools = packages()
    chance = torch.Generator().manual_seed(0)
    # The exporter would take sizes of 1 for constants.
    inputs = entry.random(2, chance)
    dynamic = _dynamic_shapes(entry)
    with _quiet(), deadline.enforced(), on_device(entry.network, torch.device("cpu")) as network:
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
        except Exception as error:  # the exporter has no base class for its errors
            deadline.check()
            cause = str(error).strip().partition("\n")[0][:300]
            raise EngineError(f"{entry.name} cannot be exported ({type(error).__name__}: {cause})") from error
    return model


def values(infos: Sequence[Any]) -> tuple[Value, ...]:
    """Inputs or outputs of an ONNX graph, as the manifest records them."""
    return tuple(
        Value(
            info.name,
            _DTYPES[info.type.tensor_type.elem_type],
            tuple(d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim),
        )
        for info in infos
    )


def require_open(entry: Exportable, model: Any) -> None:
    """Raises EngineError if a varying size became a constant.  The exporter only warns about it."""
    for declared, value in zip(entry.inputs, values(model.graph.input), strict=True):
        for axis in (0, *(axis for axis, _ in declared.axes)):
            if not isinstance(value.shape[axis], str):
                raise EngineError(
                    f"{entry.name} cannot be exported: dimension {axis} of {value.name} became a constant"
                )


def _dynamic_shapes(entry: Exportable) -> tuple[Any, ...]:
    """The shapes in the form of `torch.onnx.export`.  Inputs of a star argument come as a tuple."""
    batch = Dim("batch", min=1)
    dims = {a.name: Dim(a.name, min=a.least, max=a.largest) for i in entry.inputs for _, a in i.axes}
    shapes = [{0: batch} | {axis: dims[a.name] for axis, a in i.axes} for i in entry.inputs]
    if len(shapes) > 2:  # W+ and the star of noise maps
        return shapes[0], tuple(shapes[1:])
    return tuple(shapes)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the log and the warnings of the exporter and its libraries: they do not concern the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

"""Exports networks of a stack into a folder, with the manifest beside them.  Each file is whole or absent."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from engines.backends.manifest import ExportedNetwork, Precision, record
from engines.errors import ConfigError
from engines.files import explained, write_atomic
from engines.models.fetch import OnFetch, silent
from engines.stack import Stack
from export import onnx, tensorrt
from export.catalogue import GROUPS, Exportable, exportables
from export.limits import SECONDS, Deadline, check_size
from export.precision import lower_safely

Format = Literal["onnx", "tensorrt", "tensorrt_rtx"]
Batch = tuple[int, int, int]


def parse_batch(text: str) -> Batch:
    """Parses `least:typical:largest`, or one number for all three.  Raises ConfigError."""
    match = re.fullmatch(r"(\d{1,4})(?::(\d{1,4}):(\d{1,4}))?", text)
    if match is None:
        raise ConfigError(f"--batch is one number, or least:typical:largest as in 1:4:16, not {text!r}")
    first = int(match[1])
    batch = (first, first, first) if match[2] is None else (first, int(match[2]), int(match[3]))
    if not 1 <= batch[0] <= batch[1] <= batch[2]:
        raise ConfigError(f"--batch {text}: the numbers have to be 1 or more and in rising order")
    return batch


def export(
    stack: Stack,
    folder: Path,
    groups: Sequence[str] = GROUPS,
    *,
    kind: Format = "onnx",
    precision: Precision = "fp32",
    batch: Batch = (1, 4, 16),
    time_limit: float = SECONDS,
    progress: OnFetch = silent,
) -> Iterator[ExportedNetwork]:
    """Exports one network after the other and yields its entry in the manifest.

    Raises ConfigError for an unknown name, EngineError where a package or a GPU is missing or an export
    fails, OutputError where the folder cannot be written.  Networks that were yielded before an error stay.
    """
    for value, names, option in ((kind, Format, "format"), (precision, Precision, "precision")):
        if value not in get_args(names):
            raise ConfigError(f"unknown {option} {value!r}: choose from {', '.join(get_args(names))}")
    onnx.packages()
    target = None if kind == "onnx" else tensorrt.target(kind)
    entries = exportables(stack, groups)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for number, entry in enumerate(entries):
        progress(f"{entry.name} ({number + 1} of {len(entries)})", None, None)
        yield export_one(entry, folder, target, precision, batch, Deadline(entry.name, time_limit), progress)


def export_one(
    entry: Exportable,
    folder: Path,
    target: tensorrt.Target | None,
    precision: Precision,
    batch: Batch,
    deadline: Deadline,
    progress: OnFetch,
) -> ExportedNetwork:
    """Exports one network.  Without a `target` it becomes an ONNX model.  Raises as `export`."""
    model = onnx.to_onnx(entry, deadline, onnx.OPSET[precision])
    specs = onnx.values(model.graph.input), onnx.values(model.graph.output)
    kept: tuple[str, ...] = ()
    if precision != "fp32":
        model, kept = lower_safely(model, entry, precision, deadline)
    data = _serialised(entry.name, model, folder)
    name = f"{entry.name}.{precision}.onnx"
    if target is not None:
        data = tensorrt.build(data, entry, target, batch, folder, deadline, progress)
        check_size(entry.name, len(data), folder)
        name = target.file_name(entry.name, precision)
    deadline.check()
    write_atomic(folder / name, data)
    exported = ExportedNetwork(
        network=entry.name,
        runtime="onnxruntime" if target is None else target.runtime,
        precision=precision,
        file=name,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        weights=entry.weights,
        inputs=specs[0],
        outputs=specs[1],
        batch=batch,
        opset=model.opset_import[0].version,
        made_with=_versions(),
        version=target.version if target else None,
        gpu=target.gpu if target else None,
        kept_fp32=kept,
    )
    record(folder, exported)
    return exported


def _serialised(name: str, model: Any, folder: Path) -> bytes:
    check_size(name, model.ByteSize(), folder)
    return model.SerializeToString()


def _versions() -> dict[str, str]:
    exporters = {name: importlib.metadata.version(name) for name in ("onnx", "onnxscript", "onnxslim")}
    return {"torch": str(torch.__version__)} | exporters

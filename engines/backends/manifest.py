"""`manifest.json` beside the exported networks.

It holds what each one is, what made it, and the result of its comparison with torch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import filelock
from torch import nn

from engines.errors import EngineError, OutputError
from engines.files import explained, write_atomic
from engines.models.fetch import file_sha256
from engines.models.store import cache_dir

Runtime = Literal["onnxruntime", "tensorrt", "tensorrt_rtx"]
Precision = Literal["fp32", "fp16", "bf16"]

#: Environment variable with the folder of exported networks, in place of the cache's; `none`: all run in
#: torch.
EXPORTS_VARIABLE = "CLIP2PROTECT_ENGINES"
NAME = "manifest.json"
#: Raise it when the meaning of the file or of a network's inputs changes.
FORMAT = 1


@dataclass(frozen=True)
class Value:
    """An input or output.  A name in `shape` stands for a size that may vary; the first one is the batch.

    `dtype` is torch's name of the type.  Floating-point values go in and out as float32 at any precision
    inside.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Measurement:
    """The result of a comparison with torch in float32.  It holds for `runtime` alone.

    `errors` has the largest relative error of each output.  `similarity` is the largest change in how similar
    a recogniser finds two faces.  The seconds are those of one call with a batch of 1.
    """

    runtime: str
    provider: str
    seed: int
    tolerance: float
    errors: dict[str, float]
    similarity: float | None
    seconds: float
    torch_seconds: float


@dataclass(frozen=True)
class ExportedNetwork:
    """One exported network.

    `weights` is the fingerprint of its weights.  `version` is that of the runtime that built it, and `gpu` is
    the GPU that it was built for.  Both are None for ONNX, which runs anywhere.  `batch` is the least,
    typical and largest batch.  Larger ones run in parts.  `kept_fp32` are the operations that would overflow
    in half precision.
    """

    network: str
    runtime: Runtime
    precision: Precision
    file: str
    sha256: str
    bytes: int
    weights: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    batch: tuple[int, int, int]
    opset: int
    made_with: dict[str, str]
    version: str | None = None
    gpu: str | None = None
    kept_fp32: tuple[str, ...] = ()
    verified: Measurement | None = None

    def checked_file(self, folder: Path) -> Path:
        """The path of its file.  Raises EngineError unless the file has the recorded sha256."""
        path = folder / self.file
        try:
            intact = file_sha256(path) == self.sha256
        except OSError as error:
            raise EngineError(f"cannot read {path}: {error.strerror}; export it again") from error
        if not intact:
            raise EngineError(f"{path} is not the file that was exported: export it again")
        return path


def exports_dir(profile: str = "embedded") -> Path | None:
    """Folder of exported networks: `CLIP2PROTECT_ENGINES`, else `engines` in the cache.  None: all run in
    torch.

    Networks of the reference profile lie in a folder below, because some have the same names.
    """
    setting = os.environ.get(EXPORTS_VARIABLE)
    if setting == "none":
        return None
    folder = Path(setting).expanduser().absolute() if setting else cache_dir() / "engines"
    return folder if profile == "embedded" else folder / profile


def fingerprint(*modules: nn.Module) -> str:
    """One sha256 over all parameters and buffers, independent of their names and order."""
    tensors = {id(t): t for module in modules for t in (*module.parameters(), *module.buffers())}
    digests = []
    for tensor in tensors.values():
        plain = tensor.detach().cpu().contiguous()
        head = f"{plain.dtype} {tuple(plain.shape)} ".encode()
        digests.append(hashlib.sha256(head + plain.numpy().tobytes()).digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def read_manifest(folder: Path) -> list[ExportedNetwork]:
    """The exported networks of a folder, none where it has no manifest.

    Raises EngineError for a manifest that cannot be read.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise EngineError(
            f"cannot read {path} ({type(error).__name__}): export into another folder"
        ) from error
    try:
        if content["format"] != FORMAT:
            raise ValueError("format")
        return [_exported_network(entry) for entry in content["engines"]]
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(f"{path} was written by another version: remove it and export again") from error


def record(folder: Path, exported: ExportedNetwork) -> None:
    """Adds an exported network to the manifest, or replaces the entry of the same file."""
    with _locked(folder):
        others = [other for other in read_manifest(folder) if other.file != exported.file]
        content = {"format": FORMAT, "engines": [asdict(entry) for entry in (*others, exported)]}
        write_atomic(folder / NAME, json.dumps(content, indent=1).encode())


def record_measurement(
    folder: Path, exported: ExportedNetwork, measurement: Measurement | None
) -> ExportedNetwork:
    """Writes the result of a comparison into the manifest.  None: the network did not pass."""
    exported = replace(exported, verified=measurement)
    record(folder, exported)
    return exported


def _exported_network(entry: dict[str, Any]) -> ExportedNetwork:
    values = {
        key: tuple(Value(v["name"], v["dtype"], tuple(v["shape"])) for v in entry[key])
        for key in ("inputs", "outputs")
    }
    least, typical, largest = (int(n) for n in entry["batch"])
    measurement = None if entry["verified"] is None else Measurement(**entry["verified"])
    kept = tuple(entry["kept_fp32"])
    exported = ExportedNetwork(
        **entry | values | {"batch": (least, typical, largest), "verified": measurement, "kept_fp32": kept}
    )
    known = exported.runtime in get_args(Runtime) and exported.precision in get_args(Precision)
    if not known or Path(exported.file).name != exported.file:
        raise ValueError(exported.file)
    return exported


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Processes that write into the folder take turns."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = filelock.FileLock(folder / ".lock")
        lock.acquire()
    except OSError as error:
        raise OutputError(f"cannot lock {folder}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()

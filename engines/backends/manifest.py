"""`manifest.json` beside exported engines: what each one is, what made it, and whether it was compared with torch."""

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

#: Names the folder of engines instead of the cache's; `none`: no engine is used.
ENGINES = "CLIP2PROTECT_ENGINES"
NAME = "manifest.json"
#: Raise it when the meaning of the file or of an engine's inputs changes.
FORMAT = 1


@dataclass(frozen=True)
class Value:
    """An input or output; a name in `shape` stands for a size that may vary, the first of which is the batch's.

    `dtype` is torch's name of it: whatever the precision inside, floating-point values go in and out as float32.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Verdict:
    """What the comparison with torch in float32 found.

    `errors` is the largest relative error of each output; `similarity` how much a recogniser's verdict on two faces
    moved at most.  The seconds are those of one call with a batch of 1.  It holds for `runtime` alone.
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
class Engine:
    """One exported network.

    `weights` is the fingerprint of what was exported.  `version` is that of the runtime that built it and `gpu`
    names what it was built for, both None for ONNX, which runs anywhere.  `batch` is least, typical and largest; larger
    ones are run in parts.  `kept_fp32` are the operations that would overflow in half precision.
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
    verified: Verdict | None = None

    def checked(self, folder: Path) -> Path:
        """Its file, once that has the recorded sha256.  Raises EngineError."""
        path = folder / self.file
        try:
            intact = file_sha256(path) == self.sha256
        except OSError as error:
            raise EngineError(f"cannot read {path}: {error.strerror}; export it again") from error
        if not intact:
            raise EngineError(f"{path} is not the file that was exported: export it again")
        return path


def engines_dir(profile: str = "embedded") -> Path | None:
    """Folder of exported engines: `CLIP2PROTECT_ENGINES`, else `engines` in the cache; None: none are wanted.

    Those of the reference profile, some of the same names, lie in a folder below.
    """
    named = os.environ.get(ENGINES)
    if named == "none":
        return None
    folder = Path(named).expanduser().absolute() if named else cache_dir() / "engines"
    return folder if profile == "embedded" else folder / profile


def fingerprint(*modules: nn.Module) -> str:
    """One sha256 over all parameters and buffers, whatever they are called and in whatever order they come."""
    tensors = {id(t): t for module in modules for t in (*module.parameters(), *module.buffers())}
    digests = []
    for tensor in tensors.values():
        plain = tensor.detach().cpu().contiguous()
        head = f"{plain.dtype} {tuple(plain.shape)} ".encode()
        digests.append(hashlib.sha256(head + plain.numpy().tobytes()).digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def read(folder: Path) -> list[Engine]:
    """The engines of a folder, none where there is no manifest.  Raises EngineError for one that cannot be read."""
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
        return [_engine(entry) for entry in content["engines"]]
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(f"{path} was written by another version: remove it and export again") from error


def record(folder: Path, engine: Engine) -> None:
    """Adds an engine to the manifest, or takes the place of the one with that file."""
    with _locked(folder):
        others = [known for known in read(folder) if known.file != engine.file]
        content = {"format": FORMAT, "engines": [asdict(e) for e in (*others, engine)]}
        write_atomic(folder / NAME, json.dumps(content, indent=1).encode())


def judged(folder: Path, engine: Engine, verdict: Verdict | None) -> Engine:
    """Writes down what the comparison found; None: it does not hold."""
    engine = replace(engine, verified=verdict)
    record(folder, engine)
    return engine


def _engine(entry: dict[str, Any]) -> Engine:
    values = {
        key: tuple(Value(v["name"], v["dtype"], tuple(v["shape"])) for v in entry[key])
        for key in ("inputs", "outputs")
    }
    least, typical, largest = (int(n) for n in entry["batch"])
    verdict = None if entry["verified"] is None else Verdict(**entry["verified"])
    kept = tuple(entry["kept_fp32"])
    engine = Engine(
        **entry | values | {"batch": (least, typical, largest), "verified": verdict, "kept_fp32": kept}
    )
    named = engine.runtime in get_args(Runtime) and engine.precision in get_args(Precision)
    if not named or Path(engine.file).name != engine.file:
        raise ValueError(engine.file)
    return engine


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two processes that write engines take turns."""
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

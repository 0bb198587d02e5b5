"""From an entry of the manifest to something that runs."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from engines.backends import Backend, ort, trt
from engines.backends.manifest import Engine, Runtime
from engines.errors import EngineError


class Torch:
    """A torch module as a backend: where there is no engine, and what engines are compared with."""

    differentiable = True

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        weight = next(network.parameters())
        self.name = (
            f"torch {torch.__version__} {weight.device.type} {str(weight.dtype).removeprefix('torch.')}"
        )

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """As the protocol says."""
        outputs = self.network(*inputs)
        return outputs if isinstance(outputs, tuple) else (outputs,)


def load(folder: Path, engine: Engine, device: torch.device, provider: str | None = None) -> Backend:
    """An engine of a folder, ready to run; its sha256 is checked first.

    Raises EngineError for a changed file, a missing runtime, and an engine built for another GPU or version.
    """
    path = engine.checked(folder)
    if engine.runtime == "onnxruntime":
        return ort.OnnxRuntime(path, engine, cast(ort.Provider, provider or device.type))
    return trt.TensorRT(path, engine)


def runtime_version(runtime: Runtime) -> str:
    """The runtime that is installed here, as a verdict names it.  Raises EngineError where it is missing."""
    return ort.version() if runtime == "onnxruntime" else f"{runtime} {trt.runtime(runtime).__version__}"


def require_verified(engine: Engine, weights: str) -> None:
    """Raises EngineError for an engine of other weights, and for one not compared with torch on this runtime."""
    again = "run `clip2protect export verify`"
    if engine.weights != weights:
        raise EngineError(f"{engine.file} holds other weights than the network here: export it again")
    if engine.verified is None:
        raise EngineError(f"{engine.file} was not compared with torch, or did not pass: {again}")
    here = runtime_version(engine.runtime)
    if engine.verified.runtime != here:
        raise EngineError(f"{engine.file} was compared on {engine.verified.runtime}, here is {here}: {again}")

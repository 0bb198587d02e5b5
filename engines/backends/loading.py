"""From an entry of the manifest to a backend that runs it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from engines.backends import Backend, ort, trt
from engines.backends.manifest import ExportedNetwork, Runtime
from engines.errors import EngineError


class Torch:
    """A torch module as a backend.  Exported networks are compared with it."""

    differentiable = True

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        weight = next(network.parameters())
        self.name = (
            f"torch {torch.__version__} {weight.device.type} {str(weight.dtype).removeprefix('torch.')}"
        )

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """See `Backend`."""
        outputs = self.network(*inputs)
        return outputs if isinstance(outputs, tuple) else (outputs,)


def load_exported(
    folder: Path, exported: ExportedNetwork, device: torch.device, provider: str | None = None
) -> Backend:
    """An exported network of a folder, ready to run.  Its sha256 is checked first.

    Raises EngineError for a changed file, a missing runtime, and a file built for another GPU or version.
    """
    path = exported.checked_file(folder)
    if exported.runtime == "onnxruntime":
        return ort.OnnxRuntime(path, exported, cast(ort.Provider, provider or device.type))
    return trt.TensorRT(path, exported)


def runtime_version(runtime: Runtime) -> str:
    """Name and version of a runtime as it is installed here.  Raises EngineError where it is missing."""
    if runtime == "onnxruntime":
        return f"onnxruntime {ort.onnxruntime_package().__version__}"
    return f"{runtime} {trt.tensorrt_package(runtime).__version__}"


def require_verified(exported: ExportedNetwork, weights: str) -> None:
    """Raises EngineError for other weights, and where no comparison with torch on this runtime was passed."""
    again = "run `clip2protect export verify`"
    if exported.weights != weights:
        raise EngineError(f"{exported.file} holds other weights than the network here: export it again")
    if exported.verified is None:
        raise EngineError(f"{exported.file} was not compared with torch, or did not pass: {again}")
    here = runtime_version(exported.runtime)
    if exported.verified.runtime != here:
        raise EngineError(
            f"{exported.file} was compared on {exported.verified.runtime}, here is {here}: {again}"
        )

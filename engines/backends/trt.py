"""TensorRT, and TensorRT for RTX, which has the same API.

A TensorRT engine runs only on the GPU and with the version that it was built for.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engines.backends.manifest import ExportedNetwork
from engines.errors import EngineError

#: Runtime -> the extra that installs it.
PACKAGES = {"tensorrt": "'clip2protect[gpu]'", "tensorrt_rtx": "'clip2protect[rtx]'"}


def tensorrt_package(name: str) -> Any:
    """The package `tensorrt` or `tensorrt_rtx`.  Raises EngineError with the remedy where it is missing."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:  # OSError: a shared library that it needs
        raise EngineError(
            f"{name} cannot be used ({_first_line(error)}): pip install {PACKAGES[name]}"
        ) from error


def gpu_name() -> str | None:
    """The first GPU and its compute capability, `NVIDIA H100 80GB HBM3 sm90`.  None where there is none."""
    if not torch.cuda.is_available():
        return None
    major, minor = torch.cuda.get_device_capability(0)
    return f"{torch.cuda.get_device_name(0)} sm{major}{minor}"


def require_built_for_here(exported: ExportedNetwork, version: str, gpu: str | None) -> None:
    """Raises EngineError, with the remedy, for a TensorRT engine of another version or another GPU."""
    again = f"build it here by `clip2protect export --format {exported.runtime}`"
    if exported.version != version:
        raise EngineError(
            f"{exported.file} was built by {exported.runtime} {exported.version}, here is {version}: {again}"
        )
    if gpu is None:
        raise EngineError(
            f"{exported.file} needs an NVIDIA GPU and torch sees none: use --format onnx on this machine"
        )
    if exported.gpu is not None and exported.gpu != gpu:
        raise EngineError(f"{exported.file} was built for {exported.gpu}, here is {gpu}: {again}")


def logger(trt: Any) -> Any:
    """A silent logger that keeps its last error in `error`."""

    class Quiet(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.error = ""

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.error = message.strip().partition("\n")[0][:300]

    return Quiet()


class TensorRT:
    """A TensorRT engine with one execution context.  Calls take turns."""

    differentiable = False

    def __init__(self, path: Path, exported: ExportedNetwork) -> None:
        """Raises EngineError if the package or the GPU is missing, or differs from that of the build."""
        trt = tensorrt_package(exported.runtime)
        require_built_for_here(exported, trt.__version__, gpu_name())
        self.exported = exported
        self.name = f"{exported.runtime} {trt.__version__} {exported.precision}"
        self._logger = logger(trt)
        self._turn = threading.Lock()
        self._loaded = trt.Runtime(self._logger).deserialize_cuda_engine(path.read_bytes())
        if self._loaded is None:
            raise EngineError(f"{path} cannot be loaded ({self._logger.error}): export it again")
        self._context = self._loaded.create_execution_context()
        if self._context is None:
            raise EngineError(
                f"not enough GPU memory for {path.name}: close other programs, or export a smaller --batch"
            )

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """See `Backend`.  More than the largest batch runs in parts."""
        return in_parts(self._run, inputs, self.exported.batch[2])

    def _run(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        device = torch.device("cuda")
        with self._turn:
            copies = [x.detach().to(device).contiguous() for x in inputs]
            for value, x in zip(self.exported.inputs, copies, strict=True):
                if not self._context.set_input_shape(value.name, tuple(x.shape)):
                    raise EngineError(
                        f"{self.name}: {value.name} of {tuple(x.shape)} is outside the built range"
                    )
                self._context.set_tensor_address(value.name, x.data_ptr())
            outputs = []
            for value in self.exported.outputs:
                shape = tuple(self._context.get_tensor_shape(value.name))
                outputs.append(torch.empty(shape, dtype=getattr(torch, value.dtype), device=device))
                self._context.set_tensor_address(value.name, outputs[-1].data_ptr())
            stream = torch.cuda.current_stream(device)
            done = self._context.execute_async_v3(stream.cuda_stream)
            stream.synchronize()  # the copies must live until then
        if not done:
            raise EngineError(f"{self.name} failed on {self.exported.network}: {self._logger.error}")
        return tuple(y.to(inputs[0].device) for y in outputs)


def in_parts(
    run: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]], inputs: tuple[Tensor, ...], largest: int
) -> tuple[Tensor, ...]:
    """Runs at most `largest` of the batch at a time and joins the outputs."""
    if len(inputs[0]) <= largest:
        return run(inputs)
    parts = [run(part) for part in zip(*(x.split(largest) for x in inputs), strict=True)]
    return tuple(torch.cat(outputs) for outputs in zip(*parts, strict=True))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]

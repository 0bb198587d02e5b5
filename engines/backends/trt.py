"""TensorRT, and TensorRT for RTX, which has the same API: engines that were built for one GPU and one version."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engines.backends.manifest import Engine
from engines.errors import EngineError

#: Runtime -> what installs it.
PACKAGES = {"tensorrt": "'clip2protect[gpu]'", "tensorrt_rtx": "'clip2protect[rtx]'"}


def runtime(name: str) -> Any:
    """The package `tensorrt` or `tensorrt_rtx`.  Raises EngineError with the remedy where it is missing."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:  # OSError: a shared library that it needs
        raise EngineError(f"{name} cannot be used ({_first(error)}): pip install {PACKAGES[name]}") from error


def gpu_name() -> str | None:
    """The first GPU and its compute capability, `NVIDIA H100 80GB HBM3 sm90`; None where there is none."""
    if not torch.cuda.is_available():
        return None
    major, minor = torch.cuda.get_device_capability(0)
    return f"{torch.cuda.get_device_name(0)} sm{major}{minor}"


def require_built_for_here(engine: Engine, version: str, gpu: str | None) -> None:
    """Raises EngineError, with the remedy, for an engine that another version or another GPU needs."""
    again = f"build it here by `clip2protect export --format {engine.runtime}`"
    if engine.version != version:
        raise EngineError(
            f"{engine.file} was built by {engine.runtime} {engine.version}, here is {version}: {again}"
        )
    if gpu is None:
        raise EngineError(
            f"{engine.file} needs an NVIDIA GPU and torch sees none: use --format onnx on this machine"
        )
    if engine.gpu is not None and engine.gpu != gpu:
        raise EngineError(f"{engine.file} was built for {engine.gpu}, here is {gpu}: {again}")


def logger(trt: Any) -> Any:
    """One that keeps its last error, in `error`, and says nothing."""

    class Quiet(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.error = ""

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.error = message.strip().partition("\n")[0][:300]

    return Quiet()


class TensorRT:
    """An engine with one execution context; calls take turns."""

    differentiable = False

    def __init__(self, path: Path, engine: Engine) -> None:
        """Raises EngineError if the package or GPU is missing, or the engine was built for another one."""
        trt = runtime(engine.runtime)
        require_built_for_here(engine, trt.__version__, gpu_name())
        self.engine = engine
        self.name = f"{engine.runtime} {trt.__version__} {engine.precision}"
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
        """As the protocol says; more than the largest batch is run in parts."""
        return in_parts(self._run, inputs, self.engine.batch[2])

    def _run(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        device = torch.device("cuda")
        with self._turn:
            held = [x.detach().to(device).contiguous() for x in inputs]
            for value, x in zip(self.engine.inputs, held, strict=True):
                if not self._context.set_input_shape(value.name, tuple(x.shape)):
                    raise EngineError(
                        f"{self.name}: {value.name} of {tuple(x.shape)} is outside of what was built"
                    )
                self._context.set_tensor_address(value.name, x.data_ptr())
            outputs = []
            for value in self.engine.outputs:
                shape = tuple(self._context.get_tensor_shape(value.name))
                outputs.append(torch.empty(shape, dtype=getattr(torch, value.dtype), device=device))
                self._context.set_tensor_address(value.name, outputs[-1].data_ptr())
            stream = torch.cuda.current_stream(device)
            done = self._context.execute_async_v3(stream.cuda_stream)
            stream.synchronize()  # before what is held may go
        if not done:
            raise EngineError(f"{self.name} failed on {self.engine.network}: {self._logger.error}")
        return tuple(y.to(inputs[0].device) for y in outputs)


def in_parts(
    run: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]], inputs: tuple[Tensor, ...], largest: int
) -> tuple[Tensor, ...]:
    """`run` over at most so many of the batch at a time, put together again."""
    if len(inputs[0]) <= largest:
        return run(inputs)
    parts = [run(part) for part in zip(*(x.split(largest) for x in inputs), strict=True)]
    return tuple(torch.cat(outputs) for outputs in zip(*parts, strict=True))


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]

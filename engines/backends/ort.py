"""ONNX Runtime: on the CPU, on CUDA, or through its TensorRT provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from engines.backends.manifest import ExportedNetwork
from engines.errors import EngineError

Provider = Literal["cpu", "cuda", "tensorrt"]


def onnxruntime_package() -> Any:
    """The package `onnxruntime`.  Raises EngineError with the remedy where it is missing."""
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(f"no ONNX Runtime ({error}): pip install 'clip2protect[cpu]', or [gpu]") from error
    return onnxruntime


def _providers(provider: Provider, cache: Path) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """The provider's name, and the providers with their options.  TF32 would cost three digits."""
    cuda: tuple[str, dict[str, Any]] = ("CUDAExecutionProvider", {"use_tf32": 0})
    if provider == "cuda":
        return cuda[0], [cuda]
    if provider == "tensorrt":
        options = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(cache)}
        return "TensorrtExecutionProvider", [("TensorrtExecutionProvider", options), cuda]
    return "CPUExecutionProvider", [("CPUExecutionProvider", {})]


class OnnxRuntime:
    """A model in ONNX Runtime."""

    differentiable = False

    def __init__(self, path: Path, exported: ExportedNetwork, provider: Provider = "cpu") -> None:
        """Raises EngineError if the package or the provider is missing, or the model cannot be loaded."""
        ort = onnxruntime_package()
        self.exported, self.provider = exported, provider
        self.name = f"onnxruntime {ort.__version__} {provider} {exported.precision}"
        name, providers = _providers(provider, path.parent)
        if name not in ort.get_available_providers():
            raise EngineError(f"this ONNX Runtime has no {name}: pip install 'clip2protect[gpu]'")
        options = ort.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # its errors have no base class of their own
            raise EngineError(
                f"ONNX Runtime cannot load {path}: {_first_line(error)}; export it again"
            ) from error
        # Where a provider's libraries are missing, the runtime takes the next provider and only logs it.
        if self._session.get_providers()[0] != name:
            raise EngineError(
                f"ONNX Runtime cannot start {name}: its CUDA libraries are missing or of another version"
            )

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """See `Backend`."""
        try:
            if self.provider == "cpu":
                return self._on_cpu(inputs)
            return self._on_gpu(inputs)
        except Exception as error:
            raise EngineError(
                f"ONNX Runtime failed on {self.exported.network}: {_first_line(error)}"
            ) from error

    def _on_cpu(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        feed = {v.name: x.detach().cpu().numpy() for v, x in zip(self.exported.inputs, inputs, strict=True)}
        outputs = self._session.run([v.name for v in self.exported.outputs], feed)
        return tuple(torch.from_numpy(y).to(inputs[0].device) for y in outputs)

    def _on_gpu(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Inputs and outputs stay on the GPU."""
        binding, device = self._session.io_binding(), torch.device("cuda", 0)
        copies = [x.detach().to(device).contiguous() for x in inputs]  # must live until the run is over
        torch.cuda.current_stream(device).synchronize()
        for value, x in zip(self.exported.inputs, copies, strict=True):
            kind = {torch.float32: "float32", torch.int64: "int64"}[x.dtype]
            binding.bind_input(value.name, "cuda", 0, _numpy_type(kind), tuple(x.shape), x.data_ptr())
        for value in self.exported.outputs:
            binding.bind_output(value.name, "cuda", 0)
        self._session.run_with_iobinding(binding)
        return tuple(
            torch.utils.dlpack.from_dlpack(y).clone().to(inputs[0].device) for y in binding.get_outputs()
        )


def _numpy_type(name: str) -> Any:
    import numpy as np

    return np.dtype(name).type


def _first_line(error: Exception) -> str:
    """The first line of an error's message, cut to 200 characters."""
    return str(error).strip().partition("\n")[0][:200]

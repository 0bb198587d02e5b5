"""TensorRT engines from ONNX models, also for TensorRT for RTX.

Networks are strongly typed, as TensorRT 11 demands: the ONNX model decides the precision
(`export.precision`).  A build ends at its deadline and on Ctrl-C.  An unfinished build leaves nothing behind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engines.backends import trt as backend
from engines.backends.manifest import Precision
from engines.errors import EngineError
from engines.files import write_atomic
from engines.models.fetch import OnFetch
from export.catalogue import Axis, Exportable
from export.limits import Deadline

#: Scratch memory of a build on the GPU, in bytes.
_WORKSPACE = 4 << 30


@dataclass(frozen=True)
class Target:
    """The runtime that builds an engine, its version, and the GPU that the engine is for.

    A `gpu` of None stands for any GPU that the runtime knows.
    """

    runtime: Literal["tensorrt", "tensorrt_rtx"]
    version: str
    gpu: str | None

    def file_name(self, network: str, precision: Precision) -> str:
        """The file name.  Engines for another GPU, version or precision have other names."""
        return f"{network}.{precision}.{self.runtime}-{self._suffix}.engine"

    @property
    def cache_name(self) -> str:
        """File name of the measured times of kernels.  They hold for one GPU and version."""
        return f"timing.{self.runtime}-{self._suffix}.cache"

    @property
    def _suffix(self) -> str:
        return re.sub(r"[^\w.]+", "_", f"{self.version}-{self.gpu or 'any'}")


def target(runtime: Literal["tensorrt", "tensorrt_rtx"]) -> Target:
    """This machine as a target.  Raises EngineError where the package is missing, or the GPU that it measures
    on.

    TensorRT for RTX measures nothing: the machine that runs an engine finishes it.
    """
    version = backend.tensorrt_package(runtime).__version__
    gpu = None if runtime == "tensorrt_rtx" else backend.gpu_name()
    if runtime == "tensorrt" and gpu is None:
        raise EngineError(
            "TensorRT builds for the GPU that it runs on and torch sees none: use --format onnx here"
        )
    return Target(runtime, version, gpu)


def build(
    model: bytes,
    entry: Exportable,
    target: Target,
    batch: tuple[int, int, int],
    folder: Path,
    deadline: Deadline,
    progress: OnFetch,
) -> bytes:
    """The TensorRT engine of an ONNX model.  Raises EngineError where the build fails or takes too long."""
    trt = backend.tensorrt_package(target.runtime)
    log = backend.logger(trt)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model):
        cause = parser.get_error(0).desc() if parser.num_errors else log.error
        raise EngineError(
            f"{entry.name}: {target.runtime} cannot read the model ({cause}): use --format onnx"
        )
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE)
    config.clear_flag(trt.BuilderFlag.TF32)
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        profile.set_shape(tensor.name, *profile_shapes(entry, index, tuple(tensor.shape), batch))
    config.add_optimization_profile(profile)
    watch = _monitor(trt, entry.name, deadline, progress)
    config.progress_monitor = watch
    keep_times = _use_times(trt, config, target, folder)
    plan = builder.build_serialized_network(network, config)
    if watch.stopped is not None:
        raise watch.stopped
    deadline.check()
    if plan is None:
        raise EngineError(f"{entry.name}: {target.runtime} cannot build it ({log.error}): use --format onnx")
    keep_times()
    return bytes(plan)


def profile_shapes(
    entry: Exportable, index: int, shape: tuple[int, ...], batch: tuple[int, int, int]
) -> list[tuple[int, ...]]:
    """Least, typical and largest shape of an input.  Sizes that vary are -1 in `shape`."""
    axes = {0: Axis("batch", *batch)} | dict(entry.inputs[index].axes)
    return [
        tuple(getattr(axes[i], size) if length < 0 else length for i, length in enumerate(shape))
        for size in ("least", "typical", "largest")
    ]


def _monitor(trt: Any, name: str, deadline: Deadline, progress: OnFetch) -> Any:
    """Reports the progress of a build.

    The build ends at its deadline, or when the report raises, as on Ctrl-C.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.phases: dict[str, int] = {}
            self.stopped: BaseException | None = None

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self.phases[phase] = steps

        def step_complete(self, phase: str, step: int) -> bool:
            try:
                progress(f"{name}: {phase}", step, self.phases.get(phase))
                deadline.check()
            except (
                BaseException
            ) as error:  # an exception cannot cross TensorRT, so it is raised after the build
                self.stopped = error
            return self.stopped is None

        def phase_finish(self, phase: str) -> None:
            self.phases.pop(phase, None)

    return Monitor()


def _use_times(trt: Any, config: Any, target: Target, folder: Path) -> Callable[[], None]:
    """Loads the kernel times of earlier builds.  Returns a function that saves them.

    Only TensorRT measures.  For TensorRT for RTX nothing is loaded or saved.
    """
    if target.runtime != "tensorrt":
        return lambda: None
    path = folder / target.cache_name
    try:
        times = path.read_bytes()
    except OSError:
        times = b""
    cache = config.create_timing_cache(times)
    config.set_timing_cache(cache, ignore_mismatch=False)
    return lambda: write_atomic(path, bytes(cache.serialize()))

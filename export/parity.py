"""Compares exported networks with torch in float32, on fresh random inputs and on real ones."""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engines.backends import Backend
from engines.backends.loading import Torch, load_exported, runtime_version
from engines.backends.manifest import (
    ExportedNetwork,
    Measurement,
    Precision,
    read_manifest,
    record_measurement,
)
from engines.errors import EngineError
from engines.face.recognise import Recogniser
from engines.models.fetch import OnFetch, silent
from engines.stack import Stack
from export.catalogue import Exportable, Tensors, exportables
from export.wrappers import on_device

#: Largest relative error of an output, the norm of the difference over that of the value.
TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "fp16": 2e-2, "bf16": 1e-1}
#: Largest change in how similar a recogniser finds two faces, in cosine or distance.
SIMILARITY: dict[Precision, float] = {"fp32": 1e-4, "fp16": 5e-3, "bf16": 3e-2}
#: Number of timed calls, after one to warm up.
_CALLS = 3


@dataclass(frozen=True)
class Parity:
    """The result for one exported network.

    `measurement` is None where it could not run.  `cause` tells why it must not be used, None where it may.
    """

    exported: ExportedNetwork
    measurement: Measurement | None
    cause: str | None

    @property
    def passed(self) -> bool:
        """Whether it may be used."""
        return self.cause is None


def verify(
    stack: Stack,
    folder: Path,
    *,
    provider: str | None = None,
    seed: int | None = None,
    progress: OnFetch = silent,
) -> Iterator[Parity]:
    """Compares every exported network of a folder with its original in `stack` and records the result.

    All run on the device of the stack.  `seed` draws the random inputs; None: other inputs on every call.
    Raises EngineError for a folder without exported networks.
    """
    exports = read_manifest(folder)
    if not exports:
        raise EngineError(f"{folder} holds no exported network: run `clip2protect export -o {folder}`")
    seed = secrets.randbelow(2**31) if seed is None else seed
    for exported in exports:
        progress(exported.file, None, None)
        yield _verify_one(stack, folder, exported, provider, seed)


def _verify_one(
    stack: Stack, folder: Path, exported: ExportedNetwork, provider: str | None, seed: int
) -> Parity:
    try:
        entry = original(stack, exported)
        backend = load_exported(folder, exported, stack.device, provider)
        measurement = compare(entry, exported, backend, stack.device, provider or stack.device.type, seed)
    except EngineError as error:
        return Parity(record_measurement(folder, exported, None), None, str(error))
    cause = _too_far(exported, measurement)
    recorded = record_measurement(folder, exported, measurement if cause is None else None)
    return Parity(recorded, measurement, cause)


def original(stack: Stack, exported: ExportedNetwork) -> Exportable:
    """The network of a stack that was exported.  Raises EngineError where the stack has another one."""
    entry = next((e for e in exportables(stack) if e.name == exported.network), None)
    if entry is None:
        raise EngineError(
            f"{exported.file}: this stack has no network {exported.network}: export into another folder"
        )
    if entry.weights != exported.weights:
        raise EngineError(f"{exported.file} holds other weights than the network here: export it again")
    return entry


@torch.no_grad()
def compare(
    entry: Exportable,
    exported: ExportedNetwork,
    backend: Backend,
    device: torch.device,
    provider: str,
    seed: int,
) -> Measurement:
    """Compares a single random input, a batch and a real input.  Seconds are those of the single one."""
    chance = torch.Generator().manual_seed(seed)
    least, _, largest = exported.batch
    samples = [entry.random(n, chance) for n in sorted({least, min(least + 1, largest)})]
    samples.append(_at_least(entry.real(), least))
    samples = [tuple(x.to(device) for x in sample) for sample in samples]
    errors = dict.fromkeys(entry.outputs, 0.0)
    change = 0.0
    with on_device(entry.network, device) as network:
        reference = Torch(network)
        for inputs in samples:
            expected, actual = reference(*inputs), backend(*inputs)
            for name, a, b in zip(entry.outputs, expected, actual, strict=True):
                errors[name] = max(errors[name], relative_error(a, b))
            if entry.recogniser is not None:
                change = max(change, effect_on_similarity(entry.recogniser, expected[0], actual[0]))
        times = seconds(backend, samples[0]), seconds(reference, samples[0])
    return Measurement(
        runtime=runtime_version(exported.runtime),
        provider=provider,
        seed=seed,
        tolerance=TOLERANCE[exported.precision],
        errors=errors,
        similarity=None if entry.recogniser is None else change,
        seconds=times[0],
        torch_seconds=times[1],
    )


def relative_error(expected: Tensor, actual: Tensor) -> float:
    """Norm of the difference over the norm of `expected`.

    Infinite if the shapes differ or a value of `actual` is not finite.
    """
    if expected.shape != actual.shape or not bool(actual.isfinite().all()):
        return float("inf")
    return float((actual.double() - expected.double()).norm() / expected.double().norm().clamp(min=1e-12))


def effect_on_similarity(recogniser: Recogniser, expected: Tensor, actual: Tensor) -> float:
    """Largest change in similarity if the exported network embeds one face of a pair.

    Every face is paired with the first, which torch embeds.
    """
    a, b = recogniser.scaled(expected), recogniser.scaled(actual)
    first = a[:1].expand_as(a)
    return float((recogniser.compare(first, b) - recogniser.compare(first, a)).abs().max())


def seconds(backend: Backend, inputs: Tensors, calls: int = _CALLS) -> float:
    """Median seconds of a call."""
    times = []
    for _ in range(calls + 1):
        start = time.perf_counter()
        backend(*inputs)
        if inputs[0].is_cuda:
            torch.cuda.synchronize(inputs[0].device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _at_least(inputs: Tensors, least: int) -> Tensors:
    """Repeats inputs until the batch holds at least `least`."""
    return tuple(x.repeat(-(-least // len(x)), *(1,) * (x.dim() - 1)) for x in inputs)


def _too_far(exported: ExportedNetwork, measurement: Measurement) -> str | None:
    name, error = max(measurement.errors.items(), key=lambda item: item[1])
    if not error < measurement.tolerance:
        return (
            f"{exported.file}: {name} is off by {error:.1e}, more than {measurement.tolerance:.0e}:"
            " use --precision fp32"
        )
    limit = SIMILARITY[exported.precision]
    if measurement.similarity is not None and not measurement.similarity < limit:
        return (
            f"{exported.file}: similarities move by {measurement.similarity:.1e}, more than {limit:.0e}:"
            " use --precision fp32"
        )
    return None

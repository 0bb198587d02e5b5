"""Whether exported engines give what torch gives in float32, on fresh random and on real inputs."""

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
from engines.backends.loading import Torch, load, runtime_version
from engines.backends.manifest import Engine, Precision, Verdict, judged, read
from engines.errors import EngineError
from engines.face.recognise import Recogniser
from engines.models.fetch import OnFetch, silent
from engines.stack import Stack
from export.wrappers import Exportable, Tensors, exportables, placed

#: Largest relative error of an output, the norm of the difference over that of the value.
TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "fp16": 2e-2, "bf16": 1e-1}
#: How far a recogniser's verdict on two faces may move, in cosine or distance.
SIMILARITY: dict[Precision, float] = {"fp32": 1e-4, "fp16": 5e-3, "bf16": 3e-2}
#: Calls that are timed, after one that warms up.
_CALLS = 3


@dataclass(frozen=True)
class Parity:
    """What was found about one engine: `verdict` where it could be run, `cause` where it is not to be used."""

    engine: Engine
    verdict: Verdict | None
    cause: str | None

    @property
    def passed(self) -> bool:
        return self.cause is None


def verify(
    stack: Stack,
    folder: Path,
    *,
    provider: str | None = None,
    seed: int | None = None,
    progress: OnFetch = silent,
) -> Iterator[Parity]:
    """Compares every engine of a folder with the network of `stack`, whose device it runs on, and records the verdict.

    `seed` draws the random inputs; None: others on every call.  Raises EngineError for a folder without engines.
    """
    engines = read(folder)
    if not engines:
        raise EngineError(f"{folder} holds no exported engine: run `clip2protect export -o {folder}`")
    chosen = secrets.randbelow(2**31) if seed is None else seed
    for engine in engines:
        progress(engine.file, None, None)
        yield _judge(stack, folder, engine, provider, chosen)


def _judge(stack: Stack, folder: Path, engine: Engine, provider: str | None, seed: int) -> Parity:
    try:
        entry = find(stack, engine)
        backend = load(folder, engine, stack.device, provider)
        verdict = compare(entry, engine, backend, stack.device, provider or stack.device.type, seed)
    except EngineError as error:
        return Parity(judged(folder, engine, None), None, str(error))
    cause = _too_far(engine, verdict)
    return Parity(judged(folder, engine, verdict if cause is None else None), verdict, cause)


def find(stack: Stack, engine: Engine) -> Exportable:
    """The network of a stack that an engine was made of.  Raises EngineError where it is another one."""
    entry = next((e for e in exportables(stack) if e.name == engine.network), None)
    if entry is None:
        raise EngineError(
            f"{engine.file}: this stack has no network {engine.network}: export into another folder"
        )
    if entry.weights != engine.weights:
        raise EngineError(f"{engine.file} holds other weights than the network here: export it again")
    return entry


@torch.no_grad()
def compare(
    entry: Exportable, engine: Engine, backend: Backend, device: torch.device, provider: str, seed: int
) -> Verdict:
    """Largest errors over a single input, a batch, and a real input; seconds of a single one."""
    chance = torch.Generator().manual_seed(seed)
    least, _, largest = engine.batch
    samples = [entry.random(n, chance) for n in sorted({least, min(least + 1, largest)})]
    samples.append(_at_least(entry.real(), least))
    samples = [tuple(x.to(device) for x in sample) for sample in samples]
    errors = dict.fromkeys(entry.outputs, 0.0)
    moved = 0.0
    with placed(entry.network, device) as network:
        reference = Torch(network)
        for inputs in samples:
            wanted, got = reference(*inputs), backend(*inputs)
            for name, a, b in zip(entry.outputs, wanted, got, strict=True):
                errors[name] = max(errors[name], relative_error(a, b))
            if entry.recogniser is not None:
                moved = max(moved, effect_on_similarity(entry.recogniser, wanted[0], got[0]))
        taken = seconds(backend, samples[0]), seconds(reference, samples[0])
    return Verdict(
        runtime=runtime_version(engine.runtime),
        provider=provider,
        seed=seed,
        tolerance=TOLERANCE[engine.precision],
        errors=errors,
        similarity=None if entry.recogniser is None else moved,
        seconds=taken[0],
        torch_seconds=taken[1],
    )


def relative_error(wanted: Tensor, got: Tensor) -> float:
    """Norm of the difference over the norm of what is wanted; infinite for another shape and for what is not finite."""
    if wanted.shape != got.shape or not bool(got.isfinite().all()):
        return float("inf")
    return float((got.double() - wanted.double()).norm() / wanted.double().norm().clamp(min=1e-12))


def effect_on_similarity(recogniser: Recogniser, wanted: Tensor, got: Tensor) -> float:
    """How much verdicts move where one face of a pair (all with the first) is embedded by the engine."""
    a, b = recogniser.scaled(wanted), recogniser.scaled(got)
    first = a[:1].expand_as(a)
    return float((recogniser.compare(first, b) - recogniser.compare(first, a)).abs().max())


def seconds(backend: Backend, inputs: Tensors, calls: int = _CALLS) -> float:
    """Median seconds of a call."""
    taken = []
    for _ in range(calls + 1):
        start = time.perf_counter()
        backend(*inputs)
        if inputs[0].is_cuda:
            torch.cuda.synchronize(inputs[0].device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def _at_least(inputs: Tensors, least: int) -> Tensors:
    """Repeated until the batch is large enough."""
    return tuple(x.repeat(-(-least // len(x)), *(1,) * (x.dim() - 1)) for x in inputs)


def _too_far(engine: Engine, verdict: Verdict) -> str | None:
    name, error = max(verdict.errors.items(), key=lambda item: item[1])
    if not error < verdict.tolerance:
        return f"{engine.file}: {name} is off by {error:.1e}, more than {verdict.tolerance:.0e}: use --precision fp32"
    limit = SIMILARITY[engine.precision]
    if verdict.similarity is not None and not verdict.similarity < limit:
        return f"{engine.file}: similarities move by {verdict.similarity:.1e}, more than {limit:.0e}: use --precision fp32"
    return None

"""Chooses the backend of each forward-only job of a stack.

It is the fastest exported network that passed its comparison and beats torch, else torch.  Jobs that need
gradients (inversion's refinement, tuning, search) always run in torch.  `Stack.unused` tells why an exported
network of the folder is not used.  The command line prints it, and the report holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from engines.backends import Backend
from engines.backends.loading import load_exported, require_verified
from engines.backends.manifest import ExportedNetwork, fingerprint, read_manifest
from engines.backends.served import Served
from engines.errors import EngineError
from engines.face.recognise import Recogniser
from engines.networks.encoder import Encoder
from engines.networks.generator import StyleGenerator
from engines.networks.mobilestylegan import Generator
from engines.networks.mtcnn import MTCNN
from engines.networks.preview import Preview
from engines.networks.reference.e4e import E4E

#: The forward-only jobs.
JOBS = ("detection", "encoding", "embedding", "render", "target")


class Networks(Protocol):
    """The parts of a stack (`engines.stack.Stack`) that exported networks can stand in for."""

    generator: StyleGenerator
    preview: StyleGenerator | Preview
    encoder: Encoder | E4E
    detector: MTCNN
    recognisers: dict[str, Recogniser]
    device: torch.device
    served: dict[str, Served]
    unused: list[str]
    failures: list[str]


@dataclass(frozen=True)
class _Slot:
    """A place for an exported network: job, name, the torch modules behind it, and the way into it."""

    job: str
    network: str
    modules: tuple[nn.Module, ...]
    module: Callable[..., Tensor | tuple[Tensor, ...]]
    put: Callable[[Served], None]


def attach(stack: Networks, folder: Path | None) -> None:
    """Puts the exported networks of a folder into the stack.  Without a folder everything runs in torch."""
    try:
        exports = read_manifest(folder) if folder is not None else []
    except EngineError as error:
        stack.unused.append(f"all networks run in torch: {error}")
        return
    for slot in _slots(stack):
        candidates = [exported for exported in exports if exported.network == slot.network]
        if folder is not None and candidates:
            backend = _fastest(folder, candidates, slot, stack.device, stack.unused)
            if backend is not None:
                stack.served[slot.network] = served = Served(
                    slot.network, slot.module, backend, stack.failures
                )
                slot.put(served)


def backends(stack: Networks) -> dict[str, str]:
    """Forward-only job -> name of its runtime, for the report."""
    jobs: dict[str, dict[str, list[str]]] = {job: {} for job in JOBS}
    for slot in _slots(stack):
        served = stack.served.get(slot.network)
        jobs[slot.job].setdefault("torch" if served is None else served.backend, []).append(slot.network)
    return {job: _joined(runtimes) if runtimes else "torch" for job, runtimes in jobs.items()}


def _joined(networks_by_runtime: dict[str, list[str]]) -> str:
    """One runtime by its name, several with the networks that each of them runs."""
    if len(networks_by_runtime) == 1:
        return next(iter(networks_by_runtime))
    return ", ".join(f"{runtime} ({', '.join(names)})" for runtime, names in networks_by_runtime.items())


def _fastest(
    folder: Path, candidates: Sequence[ExportedNetwork], slot: _Slot, device: torch.device, unused: list[str]
) -> Backend | None:
    """The fastest exported network that can be used and beats torch."""
    weights, usable = fingerprint(*slot.modules), []
    for exported in candidates:
        try:
            require_verified(exported, weights)
        except EngineError as error:
            unused.append(f"{slot.network} does not use its exported file: {error}")
            continue
        measurement = exported.verified
        if measurement is None or (measurement.provider != "cpu" and device.type == "cpu"):
            continue
        if measurement.seconds < measurement.torch_seconds:
            usable.append((measurement.seconds, exported, measurement.provider))
    for _, exported, provider in sorted(usable, key=lambda item: item[0]):
        try:
            return load_exported(folder, exported, device, provider)
        except EngineError as error:
            unused.append(f"{slot.network} does not use its exported file: {error}")
    return None


def _slots(stack: Networks) -> list[_Slot]:
    """The places in this stack.  A network of another class runs in torch until it gets a place here."""
    detector, encoder, preview, generator = stack.detector, stack.encoder, stack.preview, stack.generator
    slots = []
    for name in ("pnet", "rnet", "onet") if isinstance(detector, MTCNN) else ():
        network: nn.Module = getattr(detector, name)
        slots.append(_Slot("detection", name, (network,), network, partial(setattr, detector, name)))
    if isinstance(encoder, Encoder):
        parts: tuple[nn.Module, ...] = (encoder.trunk, encoder.head)
        slots.append(
            _Slot("encoding", "encoder", parts, encoder.in_torch, partial(setattr, encoder, "exported"))
        )
    for name, recogniser in stack.recognisers.items():
        network = recogniser.network
        slots.append(_Slot("embedding", name, (network,), network, partial(setattr, recogniser, "exported")))
    if isinstance(preview, Preview):
        parts = (preview.generator.synthesis, preview.head)
        slots.append(
            _Slot("render", "preview", parts, preview.in_torch, partial(setattr, preview, "exported"))
        )
    if isinstance(generator, Generator):
        parts = (generator.synthesis,)
        slots.append(
            _Slot("target", "generator", parts, generator.in_torch, partial(setattr, generator, "exported"))
        )
    return slots

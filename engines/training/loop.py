"""A training run that can be stopped at any moment and resumed at the same step."""

from __future__ import annotations

import argparse
import io
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from engines.files import write_atomic

#: Number of steps between two checkpoints.
_SAVE_EVERY = 200


def command(doc: str | None, *, name: str, steps: int) -> argparse.ArgumentParser:
    """The command line of every recipe.  `name` is the name of its files."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=Path(f"{name}.pt"),
        help="the run resumes from this file if it exists",
    )
    parser.add_argument("-o", dest="output", type=Path, default=Path(f"{name}.safetensors"))
    parser.add_argument("--device", default="auto")
    return parser


def train(
    network: nn.Module,
    loss_of: Callable[[int], Tensor],
    *,
    steps: int,
    rate: float,
    checkpoint: Path,
    stop: int | None = None,
    say: Callable[[str], object] = sys.stderr.write,
) -> None:
    """Trains the network in place: AdamW on `loss_of(step)` with a warm-up and a cosine to zero.

    `loss_of` must draw its data from the step alone, so that a resumed run gives the same network as an
    unbroken one. `checkpoint` holds network, optimiser and step.  `stop` ends a run early, but keeps the
    schedule of all `steps`.
    """
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=1e-4)
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
    mean, start = 0.0, time.monotonic()
    last = steps if stop is None else stop
    for step in range(first, last):
        decay = 0.5 + 0.5 * math.cos(math.pi * step / steps)
        optimiser.param_groups[0]["lr"] = rate * min(1, (step + 1) / 100) * decay
        loss = loss_of(step)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        mean += (float(loss.detach()) - mean) / min(step - first + 1, 50)
        if (step + 1) % 50 == 0:
            pace = (time.monotonic() - start) / (step + 1 - first)
            say(f"step {step + 1} of {steps}: loss {mean:.4f}, {pace:.2f} s a step\n")
        if (step + 1) % _SAVE_EVERY == 0 or step + 1 == last:
            save_checkpoint(checkpoint, network, optimiser, step + 1)


def steps_done(checkpoint: Path) -> int:
    """The step at which a run with this checkpoint resumes."""
    return int(torch.load(checkpoint, weights_only=True)["step"]) if checkpoint.exists() else 0


def save_checkpoint(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    """Writes the state that a run needs to resume.  The file is written whole or not at all."""
    buffer = io.BytesIO()
    torch.save({"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step}, buffer)
    write_atomic(path, buffer.getvalue())


def write_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Writes the weights that ship, in half precision.  Counters stay whole numbers."""
    weights = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
    write_atomic(path, save({key: tensor.cpu().contiguous() for key, tensor in weights.items()}))

"""The time of every network in torch, ONNX Runtime and TensorRT, and its distance from torch in float32.

    python benchmarks/measure_engines.py [--device auto] [--models all] [--batch 1,8] [--calls 10]
        [--json FILE]

One run exports, builds, compares and times all runtimes on the same inputs; exports go into a temporary
folder. A runtime that is missing here gives a row with the reason.  The table is Markdown, the seconds are
medians.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engines.backends import Backend
from engines.backends.loading import Torch, load_exported
from engines.backends.manifest import Precision
from engines.errors import EngineError
from engines.load import embedded_stack
from engines.models.fetch import silent
from engines.runtime import tune_allocator
from engines.stack import Stack
from export import tensorrt
from export.build import Format, export_one
from export.catalogue import Exportable, exportables
from export.limits import Deadline
from export.parity import relative_error, seconds

#: Rows beside torch: name, format, precision, provider of ONNX Runtime.
ENGINES: tuple[tuple[str, Format, Precision, str | None], ...] = (
    ("ONNX Runtime CPU", "onnx", "fp32", "cpu"),
    ("ONNX Runtime CUDA", "onnx", "fp32", "cuda"),
    ("ONNX Runtime CUDA fp16", "onnx", "fp16", "cuda"),
    ("TensorRT fp32", "tensorrt", "fp32", None),
    ("TensorRT fp16", "tensorrt", "fp16", None),
    ("TensorRT RTX fp16", "tensorrt_rtx", "fp16", None),
)
Row = dict[str, Any]


def main() -> int:
    """Parse, measure network by network, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--models", default="all", help="groups, as `clip2protect export` has them")
    parser.add_argument("--batch", default="1,8", help="sizes")
    parser.add_argument("--calls", type=int, default=10, help="that are timed, after one that is not")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile on a CPU too")
    parser.add_argument("--json", type=Path, help="also keep the figures")
    args = parser.parse_args()
    tune_allocator()
    stack = embedded_stack(args.device, engines=False)
    sizes = [int(n) for n in args.batch.split(",")]
    groups = args.models.split(",")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        missing: dict[str, str] = {}
        for entry in exportables(stack, groups):
            for row in measure(stack, entry, sizes, args.calls, Path(folder), missing, args.compile):
                rows.append(row)
                sys.stderr.write(json.dumps(row) + "\n")
    rows += [{"network": "all", "runtime": name, "cause": cause} for name, cause in missing.items()]
    print(table(rows, sizes))
    print("\n" + where(stack.device))
    if args.json:
        args.json.write_text(json.dumps({"where": where(stack.device), "rows": rows}, indent=1))
    return 0


def measure(
    stack: Stack,
    entry: Exportable,
    sizes: list[int],
    calls: int,
    folder: Path,
    missing: dict[str, str],
    compile_on_cpu: bool = False,
) -> Iterator[Row]:
    """One network in every runtime."""
    eager = Torch(entry.network.to(stack.device).eval())
    chance = torch.Generator().manual_seed(0)
    inputs = {n: tuple(x.to(stack.device) for x in entry.random(n, chance)) for n in sizes}
    wanted = {n: call(eager, x) for n, x in inputs.items()}
    base = {n: timed(eager, x, calls) for n, x in inputs.items()}
    yield row(entry.name, "torch", base, base, 0.0)
    makers: list[tuple[str, Callable[[], Backend]]] = [
        ("torch.compile", lambda: compiled(entry, stack, compile_on_cpu))
    ]
    for name, kind, half, provider in ENGINES:
        makers.append((name, lambda k=kind, h=half, p=provider: engine(stack, entry, sizes, folder, k, h, p)))
    for name, make in makers:
        if name in missing:
            continue
        try:
            backend = make()
            error = max(
                relative_error(a, b)
                for n in sizes
                for a, b in zip(wanted[n], call(backend, inputs[n]), strict=True)
            )
            yield row(entry.name, name, {n: timed(backend, x, calls) for n, x in inputs.items()}, base, error)
        except Exception as failure:  # one runtime that fails is a row, not the end
            cause = str(failure).strip().partition("\n")[0][:200]
            if isinstance(failure, EngineError) and entry.name not in cause:
                missing[name] = cause  # it is not this network's fault: the others would say the same
                continue
            yield {"network": entry.name, "runtime": name, "cause": f"{type(failure).__name__}: {cause}"}


def engine(
    stack: Stack,
    entry: Exportable,
    sizes: list[int],
    folder: Path,
    kind: Format,
    half: Precision,
    provider: str | None,
) -> Backend:
    """The network exported and loaded."""
    if provider is not None and provider != "cpu" and stack.device.type == "cpu":
        raise EngineError("torch sees no GPU here")
    if provider == "cpu" and stack.device.type != "cpu":
        raise EngineError("measured with --device cpu")
    target = None if kind == "onnx" else tensorrt.target(kind)
    if target is not None and stack.device.type == "cpu":
        raise EngineError("torch sees no GPU here")
    batch = (1, min(sizes), max(sizes))
    made = export_one(entry, folder, target, half, batch, Deadline(entry.name), silent)
    return load_exported(folder, made, stack.device, provider)


def compiled(entry: Exportable, stack: Stack, on_cpu: bool) -> Backend:
    """torch.compile of it, warmed up by its first call."""
    if stack.device.type == "cpu" and not on_cpu:
        raise EngineError("left out on a CPU, where it compiles for minutes: --compile measures it")
    made = Torch(entry.network.to(stack.device))
    made.network = torch.compile(entry.network)  # type: ignore[assignment]
    return made


@torch.no_grad()
def call(backend: Backend, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Outputs without a graph."""
    return backend(*inputs)


@torch.no_grad()
def timed(backend: Backend, inputs: tuple[Tensor, ...], calls: int) -> float:
    """Median milliseconds."""
    return 1000 * seconds(backend, inputs, calls)


def row(network: str, runtime: str, ms: dict[int, float], base: dict[int, float], error: float) -> Row:
    """What the table shows of one runtime."""
    speed = {n: base[n] / ms[n] for n in ms}
    return {"network": network, "runtime": runtime, "ms": ms, "speed_up": speed, "error": error}


def table(rows: list[Row], sizes: list[int]) -> str:
    """Markdown."""
    heads = [
        "network",
        "runtime",
        *(f"ms, batch {n}" for n in sizes),
        *(f"speed-up {n}" for n in sizes),
        "error",
    ]
    lines = [heads, ["---"] * len(heads)]
    for r in rows:
        if "cause" in r:
            lines.append([r["network"], r["runtime"], r["cause"], *[""] * (len(heads) - 3)])
            continue
        error = "" if r["runtime"] == "torch" else f"{r['error']:.1e}"
        lines.append(
            [
                r["network"],
                r["runtime"],
                *(f"{r['ms'][n]:.2f}" for n in sizes),
                *(f"{r['speed_up'][n]:.2f}" for n in sizes),
                error,
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def where(device: torch.device) -> str:
    """Device and versions."""
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {torch.get_num_threads()} threads"
    )
    return f"{name}; torch {torch.__version__}"


if __name__ == "__main__":
    sys.exit(main())

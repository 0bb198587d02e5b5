"""`clip2protect export`: networks as ONNX models and TensorRT engines, and their comparison with torch.

The one module of the server that imports `export`: the command line is where both meet.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.config import PROFILES
from engines.errors import ConfigError
from server.cli.console import Bar, complain, say, table
from server.cli.options import add_profile, reference_folder

if TYPE_CHECKING:
    from engines.backends.manifest import ExportedNetwork
    from engines.stack import Stack
    from export.parity import Parity


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the command and its action `verify`."""
    parser = commands.add_parser(
        "export",
        parents=[common],
        help="write networks as ONNX models or TensorRT engines",
        description="Exported networks speed up the work that needs no gradients.  They are used once"
        " `export verify` has compared them with torch.  CLIP2PROTECT_ENGINES names another folder of them,"
        " or `none`.",
    )
    parser.add_argument(
        "--models", metavar="NAMES", default="all", help="which, separated by commas (default: all)"
    )
    parser.add_argument(
        "--format",
        choices=("onnx", "tensorrt", "tensorrt_rtx"),
        default="onnx",
        help="of the files (default: onnx)",
    )
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "bf16"),
        default="fp32",
        help="inside the networks (default: fp32)",
    )
    parser.add_argument(
        "--batch",
        metavar="LEAST:TYPICAL:LARGEST",
        default="1:4:16",
        help="sizes of a batch to build for (default: 1:4:16)",
    )
    parser.add_argument(
        "--time-limit", type=float, metavar="SECONDS", default=1800.0, help="for each network (default: 1800)"
    )
    _add_place(parser)
    add_profile(parser)
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    verify = actions.add_parser(
        "verify", parents=[common], help="compare every exported network with torch in float32"
    )
    verify.add_argument(
        "folder", nargs="?", metavar="DIR", help="of the exported networks (default: the cache's)"
    )
    verify.add_argument("--seed", type=int, help="of the random inputs (default: others every time)")
    verify.add_argument(
        "--provider", choices=("cpu", "cuda", "tensorrt"), help="of ONNX Runtime (default: the device's own)"
    )
    verify.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where (default: auto)"
    )
    add_profile(verify)
    verify.set_defaults(run=run_verify)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute (default: auto)"
    )
    parser.add_argument(
        "-o", dest="output", metavar="DIR", help="folder of the exported networks (default: the cache's)"
    )


def run(args: argparse.Namespace) -> int:
    """Export one network after the other, a line for each."""
    from export.build import export, parse_batch
    from export.catalogue import GROUPS

    groups = [name.strip() for name in args.models.split(",") if name.strip()]
    unknown = [name for name in groups if name not in (*GROUPS, "all")]
    if unknown or not groups:
        raise ConfigError(f"--models {args.models}: choose from {', '.join(GROUPS)}, all")
    if not args.time_limit > 0:
        raise ConfigError(f"--time-limit must be more than 0, not {args.time_limit:g}")
    batch, folder = parse_batch(args.batch), _folder(args.output, args.profile)
    stack = _stack(args)
    with Bar() as bar:
        made = export(
            stack,
            folder,
            groups,
            kind=args.format,
            precision=args.precision,
            batch=batch,
            time_limit=args.time_limit,
            progress=bar.fetching,
        )
        for exported in made:
            say(_line(exported, folder))
    say(f"next: clip2protect export verify {folder}")
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Prints one line for each exported network.  The exit code is 1 if one of them must not be used."""
    from export.parity import verify

    folder = _folder(args.folder, args.profile)
    stack = _stack(args)
    with Bar() as bar:
        found = list(verify(stack, folder, provider=args.provider, seed=args.seed, progress=bar.fetching))
    say(
        table(
            [
                (
                    "network",
                    "relative error by output",
                    "similarity moves",
                    "exported s",
                    "torch s",
                    "verdict",
                ),
                *map(_row, found),
            ]
        )
    )
    for parity in found:
        if parity.cause is not None:
            complain(parity.cause)
    return 0 if all(parity.passed for parity in found) else 1


def _folder(named: str | None, profile: str) -> Path:
    from engines.backends.manifest import EXPORTS_VARIABLE, exports_dir

    folder = Path(named) if named else exports_dir(profile)
    if folder is None:
        raise ConfigError(f"{EXPORTS_VARIABLE}=none turns exported networks off: name a folder, or unset it")
    return folder


def _stack(args: argparse.Namespace) -> Stack:
    """The networks in torch, without any exported ones."""
    from server.cli.session import Session

    where = reference_folder(args)
    return Session(
        args.device, text_model=PROFILES[args.profile].text_model, reference=where, engines=False
    ).stack


def _line(exported: ExportedNetwork, folder: Path) -> str:
    kept = f", {len(exported.kept_fp32)} operations kept in fp32" if exported.kept_fp32 else ""
    return f"{exported.network}: {folder / exported.file} ({exported.bytes / 1e6:.1f} MB{kept})"


def _row(parity: Parity) -> tuple[str, ...]:
    measurement = parity.measurement
    if measurement is None:
        return parity.exported.file, "-", "-", "-", "-", "cannot be run"
    change = "-" if measurement.similarity is None else f"{measurement.similarity:.1e}"
    errors = " ".join(f"{error:.1e}" for error in measurement.errors.values())
    return (
        parity.exported.file,
        errors,
        change,
        f"{measurement.seconds:.4f}",
        f"{measurement.torch_seconds:.4f}",
        "passed" if parity.passed else "failed",
    )

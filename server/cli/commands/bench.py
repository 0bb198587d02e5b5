"""`clip2protect bench`: how long each stage takes on this machine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from engines.errors import ConfigError
from server.cli.console import say, table
from server.cli.session import Session


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "bench",
        parents=[common],
        help="measure the time and memory that a face takes here",
        description="Protect a photo several times.  Print the median seconds of every stage, the peak"
        " memory, and the ratio to the paper's schedule.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="how many times (default: 3)")
    parser.add_argument("--faces", type=int, default=1, metavar="N", help="faces in the photo (default: 1)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    for name in ("runs", "faces"):
        if getattr(args, name) < 1:
            raise ConfigError(f"--{name} must be 1 or more, not {getattr(args, name)}")
    stack = Session().stack
    from engines.evaluation.bench import bench

    result = bench(stack, args.runs, args.faces)
    say(json.dumps(result, indent=2) if args.json else table([("measured", "value"), *_rows(result)]))
    return 0


def _rows(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings flattened to `outer inner` names."""
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _rows(value, f"{name} ")
        else:
            yield name, f"{value:.2f}" if isinstance(value, float) else str(value)

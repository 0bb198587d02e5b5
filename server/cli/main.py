"""Entry point of `clip2protect`: the parser, and what each kind of error becomes.

Exit codes: 0 all done, 1 something failed, 2 wrong usage, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from engines.errors import ConfigError
from engines.version import installed_version
from server.cli.commands import (
    bench,
    demo,
    doctor,
    evaluate,
    export,
    models,
    owner,
    prompts,
    protect,
    serve,
    study,
    verify,
)
from server.cli.console import complain
from server.common.errors import reason

OK, FAILED, USAGE, STOPPED = 0, 1, 2, 130
_COMMANDS = (protect, verify, serve, owner, demo, prompts, models, export, evaluate, study, bench, doctor)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command; each sets `run`, a function from the namespace to an exit code."""
    parser = argparse.ArgumentParser(
        prog="clip2protect",
        description="Changes the faces in photos so that face recognition no longer matches them.",
        epilog="`clip2protect COMMAND --help` lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"clip2protect {installed_version()}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show where in the program an error arose")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add(commands, common)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; wrong usage leaves through SystemExit(2)."""
    for stream in (sys.stdout, sys.stderr):  # a terminal of few letters must not end a run
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    args = build_parser().parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        complain("stopped; every file written so far is whole, and no other was begun")
        return STOPPED
    except BrokenPipeError:  # the reader of our output has enough: `clip2protect models list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if args.debug:
            traceback.print_exc()
        complain(reason(error))
        return USAGE if isinstance(error, ConfigError) else FAILED

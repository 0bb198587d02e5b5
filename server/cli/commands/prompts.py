"""`clip2protect prompts`: the named looks."""

from __future__ import annotations

import argparse
from typing import Any

from engines.makeup.presets import PRESETS
from server.cli.console import say, table


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the command and its action."""
    parser = commands.add_parser("prompts", help="list the looks that have names")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list", parents=[common], help="every preset and the prompt that it stands for"
    )
    listing.set_defaults(run=list_prompts)


def list_prompts(args: argparse.Namespace) -> int:
    """One line a preset."""
    say(table([("name", "prompt"), *PRESETS.items()]))
    return 0

"""`clip2protect verify`: do two photos show one person, in the eyes of every recogniser?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engines.errors import NoFaceError
from server.cli.console import measured, printable, rule, say, table
from server.cli.session import Session

if TYPE_CHECKING:
    from engines.face.recognise import Comparison


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "verify",
        parents=[common],
        help="ask every recogniser whether two photos show the same person",
        description="Compare the largest faces of two photos.  A protected photo beside another photo of the"
        " same person shows whether the protection works.  The exit code is 0 for every verdict.",
    )
    parser.add_argument("a", metavar="A", help="a photo")
    parser.add_argument("b", metavar="B", help="another photo")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare two photos and print one line a recogniser."""
    from engines.photo.decode import load_photo

    a, b = load_photo(args.a), load_photo(args.b)
    stack = Session().stack
    from engines.verify import compare

    try:
        comparisons = compare(stack, a, b)
    except NoFaceError as error:
        raise NoFaceError(f"{printable(args.a)}, {printable(args.b)}: {error}") from error
    say(_verdicts(comparisons))
    return 0


def _verdicts(comparisons: Sequence[Comparison]) -> str:
    rows = [("recogniser", "measured", "same person if", "verdict")]
    rows += [
        (c.recogniser, measured(c.metric, c.similarity), rule(c.metric, c.threshold), _verdict(c.same))
        for c in comparisons
    ]
    same = sum(c.same for c in comparisons)
    return f"{table(rows)}\n{same} of {len(comparisons)} recognisers take them for the same person."


def _verdict(same: bool) -> str:
    return "same person" if same else "different people"

"""`clip2protect owner`: enrol by a few photos, for `--faces mine`."""

from __future__ import annotations

import argparse
import time
from typing import Any

from server.cli.console import complain, printable, say, table
from server.cli.options import add_device
from server.cli.session import Session
from server.common.errors import reason


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the command and its actions."""
    parser = commands.add_parser("owner", help="say which face is yours, for --faces mine")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    enrolling = actions.add_parser(
        "add",
        parents=[common],
        help="learn your face from photos of you",
        description="Keeps the recognisers' embeddings of the largest face of each photo, readable by you"
        " alone.  The photos are not kept.",
    )
    enrolling.add_argument("photos", nargs="+", metavar="PHOTO")
    add_device(enrolling)
    enrolling.set_defaults(run=enrol)
    actions.add_parser("list", parents=[common], help="list the enrolled photos").set_defaults(run=listing)
    removing = actions.add_parser("remove", parents=[common], help="forget photos")
    removing.add_argument("ids", nargs="+", metavar="ID", help="of `owner list`, or all")
    removing.set_defaults(run=remove)


def enrol(args: argparse.Namespace) -> int:
    """Learn from every photo that shows a face."""
    from engines.errors import ImageError, NoFaceError
    from engines.owner import enrol as enrol_photo
    from engines.photo.decode import load_photo
    from server.common.enrolled import Enrolled, plain

    enrolled, session, failed = Enrolled(), Session(args.device), 0
    for path in args.photos:
        try:
            photo = load_photo(path)
            say(f"{printable(path)}: enrolled as {enrolled.add(plain(enrol_photo(session.stack, photo))).id}")
        except (ImageError, NoFaceError) as error:
            failed += 1
            complain(f"{printable(path)}: {reason(error).removeprefix(f'{printable(path)}: ')}")
    return 1 if failed else 0


def listing(args: argparse.Namespace) -> int:
    """One line a photo."""
    from server.common.enrolled import Enrolled

    rows = [(p.id, time.strftime("%Y-%m-%d %H:%M", time.localtime(p.added))) for p in Enrolled().photos()]
    say(table([("id", "enrolled"), *rows]) if rows else "nobody is enrolled")
    return 0


def remove(args: argparse.Namespace) -> int:
    """Forget photos."""
    from server.common.enrolled import Enrolled

    enrolled = Enrolled()
    ids = [photo.id for photo in enrolled.photos()] if args.ids == ["all"] else args.ids
    missing = [number for number in ids if not enrolled.remove(number)]
    for number in missing:
        complain(f"{printable(number)}: no such photo is enrolled, see `clip2protect owner list`")
    return 1 if missing else 0

"""`clip2protect demo`: the whole way, on a photo that comes with scikit-image."""

from __future__ import annotations

import argparse
import json
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.config import Settings
from engines.errors import OutputError
from engines.files import explained, write_atomic
from server.cli.console import complain, measured, rule, say, table
from server.cli.options import add_device
from server.cli.plan import Job, check_writable
from server.cli.saving import protect_one
from server.cli.session import Session

if TYPE_CHECKING:
    from engines.report import RecogniserReport, Report


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "demo",
        parents=[common],
        help="protect a photo that is at hand and show the result",
        description="Protect the portrait of the astronaut Eileen Collins (NASA, public domain) and print"
        " every recogniser's verdict.  The exit code is 0 if a recogniser that took no part in the search"
        " matched her before and does not match her now.",
    )
    parser.add_argument(
        "-o", dest="output", metavar="DIR", default="demo", help="folder of the results (default: demo)"
    )
    add_device(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the photo, protect it, print the table and name the files."""
    from engines.photo.decode import load_photo

    folder = Path(args.output)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    job = Job(folder / "astronaut.jpg", folder / "astronaut-protected.jpg", folder / "astronaut-compared.png")
    report_file = folder / "astronaut-report.json"
    check_writable(report_file)
    write_atomic(job.source, _astronaut())
    protected = protect_one(job, load_photo(job.source), Settings(), Session(args.device))
    write_atomic(report_file, (json.dumps(protected.report, indent=2) + "\n").encode())
    say(report_table(protected.report))
    for path in (job.source, job.output, job.comparison, report_file):
        say(str(path))
    if _fooled(protected.report):
        return 0
    complain("no recogniser that was held out stopped matching")
    return 1


def report_table(report: Report) -> str:
    """What every recogniser made of every face, before and after."""
    rows = [("face", "recogniser", "role", "before", "after", "same person if", "verdict")]
    for number, face in enumerate(report["faces"], 1):
        for name, result in face["recognisers"].items():
            metric = result["metric"]
            values = measured(metric, result["before"]), measured(metric, result["after"])
            role = "in the search" if result["surrogate"] else "held out"
            rows.append(
                (str(number), name, role, *values, rule(metric, result["threshold"]), _verdict(result))
            )
    return table(rows)


def _verdict(result: RecogniserReport) -> str:
    if result["matched_after"]:
        return "still matched"
    return "no longer matched" if result["matched_before"] else "not matched before either"


def _fooled(report: Report) -> bool:
    """Whether a held-out recogniser matched a face before and does not now."""
    return any(
        result["matched_before"] and not result["matched_after"] and not result["surrogate"]
        for face in report["faces"]
        for result in face["recognisers"].values()
    )


def _astronaut() -> bytes:
    """The photo as a JPEG of quality 95, as a camera would have it."""
    from PIL import Image

    try:
        from skimage.data import astronaut

        pixels = astronaut()
    except (ImportError, OSError) as error:
        raise OutputError(f"scikit-image, which carries the photo, is not whole: {error}") from error
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()

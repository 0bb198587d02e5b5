"""`clip2protect study`: a local page where people say what they see."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.errors import ConfigError
from server.cli.console import printable, say, table

if TYPE_CHECKING:
    from engines.evaluation.score.statistics import RateReport
    from engines.evaluation.study.questions import Kind
    from server.study.site import Study

_QUESTIONS: dict[Kind, str] = {"identity": "who is it", "retouched": "which was changed"}


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "study",
        parents=[common],
        help="ask people what they see in an evaluation's photos",
        description="Serves a page on this machine.  On it, people pick a protected face's owner out of two"
        " persons, and the changed one of a photo's two versions; half right means that they cannot tell. "
        " Choices are kept in REPORT_DIR/study.json under random names.  Ctrl-C stops the server.",
    )
    parser.add_argument(
        "report", metavar="REPORT_DIR", help="folder that `clip2protect evaluate` has written"
    )
    parser.add_argument("--trials", type=int, metavar="N", help="trials of each participant (default: all)")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port (default: any that is free)")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument(
        "--score", action="store_true", help="show how often people were right, without asking"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask, or print the answers so far."""
    folder = Path(args.report)
    if args.trials is not None and args.trials < 1:
        raise ConfigError("--trials is a number from 1")
    if not 0 <= args.port <= 65535:
        raise ConfigError("--port is a number from 0 to 65535")
    if args.score:
        return _score(folder)
    from server.common.log import configure
    from server.study.site import Study

    configure(logging.ERROR)
    return asyncio.run(_serve(Study(folder, limit=args.trials, port=args.port), browser=args.open))


async def _serve(study: Study, *, browser: bool) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await study.start()
    say(f"the study is at {study.link}")
    sys.stdout.flush()
    if browser:
        import webbrowser

        await asyncio.to_thread(webbrowser.open, study.link)
    await stop.wait()
    await study.stop()
    say("stopped; every choice is kept")
    return 0


def _score(folder: Path) -> int:
    from engines.evaluation.study.answers import score

    found = score(folder)
    if found is None:
        raise ConfigError(f"nobody was asked yet: run `clip2protect study {printable(folder)}`")
    groups = [
        ("all choices", found),
        ("mean of participants", found["participants"]),
        ("strangers only", found["strangers"]),
        *((f"method {printable(name)}", rates) for name, rates in found["methods"].items()),
    ]
    rows = [("question", "of", "right", "95 % interval", "choices", "people")]
    rows += [
        (words, group, _percent(rate["value"]), _interval(rate), str(rate["n"]), str(rate["people"]))
        for kind, words in _QUESTIONS.items()
        for group, rates in groups
        if (rate := rates[kind])["n"]
    ]
    say(f"{table(rows)}\n50 % is what guessing gives.")
    return 0


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _interval(rate: RateReport) -> str:
    return "-" if rate["low"] is None else f"{_percent(rate['low'])} to {_percent(rate['high'])}"

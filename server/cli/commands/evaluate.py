"""`clip2protect evaluate`: how well protection works on a folder of people, for a sceptic to read."""

from __future__ import annotations

import argparse
import importlib.util
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.errors import ConfigError
from server.cli.console import Bar, complain, printable, say, watched
from server.cli.options import add_device, add_profile, reference_folder

if TYPE_CHECKING:
    from engines.evaluation.experiment.plan import Plan
    from engines.evaluation.experiment.tasks import Networks

#: Without somebody who watches a bar, progress is said at every such part of a stage.
_PARTS = 10
#: Bytes that a process takes at its peak, and some more.
_MEMORY = 2 << 30
#: Tables that are printed; the report has all.
_SHOWN = 2


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "evaluate",
        parents=[common],
        help="measure protection on a folder of people, and write a report",
        description="Protect photos of everybody who has two or more, by every method.  Each recogniser in"
        " turn takes no part, and judges the result.  FOLDER has one folder a person (as LFW), photos with a"
        " file of identities (as CelebA), or makeup/ and non-makeup/ (as LADN).  The report shows the"
        " photos' faces: keep it to yourself.",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="photos by person")
    parser.add_argument(
        "-o", dest="output", metavar="DIR", type=Path, required=True, help="folder of the report"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the evaluation that DIR holds")
    _add_plan(parser)
    parser.add_argument(
        "--identities", metavar="FILE", type=Path, help="lines of PHOTO PERSON, for loose photos"
    )
    parser.add_argument(
        "--groups", metavar="FILE.csv", type=Path, help="columns person,GROUP,… (default: groups.csv)"
    )
    parser.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="that work side by side (default: one a core, if memory allows)",
    )
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="work on a Ray cluster; local: started on this machine"
    )
    add_profile(parser)
    add_device(parser)
    parser.set_defaults(run=run)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    def names(option: str, what: str) -> None:
        parser.add_argument(option, metavar="NAMES", help=what)

    names(
        "--methods",
        "what protects, with commas between; METHOD@RECOGNISER holds out that one alone (default: all)",
    )
    names("--tasks", "verification, identification (default: both)")
    names("--mode", "dodge, impersonate (default: dodge)")
    names("--transforms", "what is done to protected photos (default: all)")
    names("--held-out", "recognisers that judge in turn (default: all)")
    names(
        "--closely", "of them, whose protected photos trackers also enrol and learn from (default: balanced)"
    )
    names(
        "--impersonating", "of them, which impersonate too (default: balanced, strong, pgd, mi-fgsm, tip-im)"
    )
    parser.add_argument(
        "--per-person", type=int, default=1, metavar="N", help="photos to protect (default: 1)"
    )
    parser.add_argument(
        "--distractors", type=int, default=1000, metavar="N", help="generated people (default: 1000)"
    )
    parser.add_argument(
        "--look-alikes",
        type=int,
        default=50,
        metavar="N",
        help="generated people like each person, for a threshold of their own (default: 50; 0 for none)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="same seed, same report (default: 0)"
    )


def run(args: argparse.Namespace) -> int:
    """Gather what is missing, write the report, print its first tables."""
    from engines.evaluation.experiment import evidence, pools, results, tasks
    from engines.evaluation.experiment.dataset import read_dataset
    from engines.evaluation.experiment.plan import check
    from engines.evaluation.report.cells import to_markdown
    from engines.evaluation.report.publish import publish
    from engines.evaluation.report.summary import headline
    from engines.evaluation.report.tables import tables
    from engines.runtime import choose_device

    _require()
    plan = _plan(args)
    dataset = read_dataset(args.folder, identities=args.identities, groups=args.groups)
    device = choose_device(args.device).type
    networks = tasks.Networks(device, reference_folder(args))
    check(plan, evidence.recognisers(networks), dataset)
    results.claim(args.output, evidence.fingerprint(dataset, networks), resume=args.resume)
    _fetch(networks)
    processes = args.processes or (1 if device == "cuda" else _side_by_side())
    runner = partial(pools.run, work=tasks.work, processes=processes, ray=args.ray)
    with Bar() as bar:
        progress = bar.counting if watched() else _Lines()
        store = results.Store(args.output)
        gathered = evidence.gather(dataset, plan, networks, store, runner, progress)
    report = publish(gathered, networks, args.output)
    for line in headline(report):
        say(line)
    for table in tables(report)[:_SHOWN]:
        say(f"\n{to_markdown(table)}")
    page = printable(args.output / "report.html")
    say(f"{page} has the rest; it shows faces and names of the photos: keep it to yourself")
    return 0


def _side_by_side() -> int:
    """One process a core, as far as their networks fit into memory."""
    cores = os.cpu_count() or 1
    if not hasattr(os, "sysconf"):
        return cores
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(cores, memory // _MEMORY))


def _require() -> None:
    """What the report is made with, before hours of work.  Raises ConfigError where it is missing."""
    missing = [name for name in ("matplotlib", "sklearn") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError("an evaluation needs matplotlib and scikit-learn: pip install 'clip2protect[eval]'")


def _plan(args: argparse.Namespace) -> Plan:
    from engines.evaluation.experiment.plan import Plan

    wanted: dict[str, Any] = {
        "per_person": args.per_person,
        "distractors": args.distractors,
        "look_alikes": args.look_alikes,
        "seed": args.seed,
    }
    for option, name in (
        ("methods", "methods"),
        ("tasks", "protocols"),
        ("mode", "modes"),
        ("transforms", "transforms"),
        ("held_out", "held_out"),
        ("closely", "closely"),
        ("impersonating", "impersonating"),
    ):
        said = getattr(args, option)
        if said is not None:
            wanted[name] = tuple(dict.fromkeys(part.strip() for part in said.split(",") if part.strip()))
    if args.processes is not None and args.processes < 1:
        raise ConfigError(f"--processes must be 1 or more, not {args.processes}")
    return Plan(**wanted)


def _fetch(networks: Networks) -> None:
    """The networks, once, before several processes want them; the user brought those of the paper."""
    from engines.models import store
    from engines.models.registry import SPECS

    if networks.reference is None:
        with Bar() as bar:
            store.pull(SPECS, progress=bar.fetching)


class _Lines:
    """Progress for a log: a line where a stage begins, at every tenth of it, and where it ends."""

    def __init__(self) -> None:
        self._said: tuple[str, int] = ("", -1)

    def __call__(self, stage: str, done: int, total: int) -> None:
        part = (stage, _PARTS * done // max(total, 1))
        if part != self._said:
            self._said = part
            complain(f"{stage}: {done} of {total}")

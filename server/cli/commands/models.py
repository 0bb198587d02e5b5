"""`clip2protect models`: the networks in the cache."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from engines.models.registry import SPECS, get_spec
from server.cli.console import Bar, complain, say, table


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the command and its four actions."""
    parser = commands.add_parser(
        "models",
        help="list, fetch and check the networks",
        description="The networks are fetched by themselves when they are first needed.  This command fetches"
        " them beforehand, and checks them.  CLIP2PROTECT_HOME moves the cache; CLIP2PROTECT_MODELS names a"
        " file or folder to take the networks from.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list", parents=[common], help="every network, its licence and whether it is cached"
    )
    listing.set_defaults(run=list_models)
    pull = _with_names(actions, common, "pull", "fetch networks (default: all)", pull_models)
    pull.add_argument("--force", action="store_true", help="fetch again what is cached")
    _with_names(
        actions, common, "verify", "read networks whole and check them (default: all cached)", verify_models
    )
    _with_names(actions, common, "path", "where networks lie (default: the cache folder)", show_paths)


def _with_names(
    actions: Any,
    common: argparse.ArgumentParser,
    name: str,
    explanation: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, parents=[common], help=explanation)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(SPECS)}")
    parser.set_defaults(run=run)
    return parser


def list_models(args: argparse.Namespace) -> int:
    """One line a network."""
    from engines.models import store

    rows = [("name", "role", "cached", "licence", "source")]
    rows += [
        (
            spec.name,
            spec.role,
            "no" if size is None else f"{size / 1e6:.1f} MB",
            _short(spec.licence),
            str(spec.source),
        )
        for spec, _, size in store.status()
    ]
    say(table(rows))
    return 0


def pull_models(args: argparse.Namespace) -> int:
    """Fetch, verify and convert; whatever is cached already stays as it is."""
    from engines.models import store

    names = _known(args.names) or list(SPECS)
    with Bar() as bar:
        paths = store.pull(names, force=args.force, progress=bar.fetching)
    for name, path in zip(dict.fromkeys(names), paths, strict=True):
        say(f"{name}: {path}")
    return 0


def verify_models(args: argparse.Namespace) -> int:
    """Exit code 1 if a network that was named is missing, or any is damaged."""
    from engines.models import store

    cached = [spec.name for spec, path, size in store.status() if size is not None or path.exists()]
    verdicts = store.verify(_known(args.names) or cached)
    for name, ok, message in verdicts:
        (say if ok else complain)(f"{name}: {message}")
    if not verdicts:
        say("no network is cached yet: `clip2protect models pull` fetches all of them")
    return 0 if all(verdict.ok for verdict in verdicts) else 1


def show_paths(args: argparse.Namespace) -> int:
    """Paths only, one a line, for use in scripts."""
    from engines.models import store

    names = _known(args.names)
    for path in [store.path(name) for name in names] or [store.cache_dir()]:
        say(str(path))
    return 0


def _known(names: list[str]) -> list[str]:
    """The names, once each of them is found in the registry; ConfigError otherwise."""
    return [get_spec(name).name for name in names]


def _short(licence: str) -> str:
    return licence.partition(" (")[0]

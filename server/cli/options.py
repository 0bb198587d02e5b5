"""Options that several commands have, alike in each."""

from __future__ import annotations

import argparse
from pathlib import Path

from engines.config import PROFILES
from engines.errors import ConfigError, ModelError
from engines.models import reference
from server.cli.console import complain


def add_profile(parser: argparse.ArgumentParser) -> None:
    """The options for the networks."""
    parser.add_argument(
        "--profile",
        choices=tuple(PROFILES),
        default="embedded",
        help="the networks: embedded are fetched by themselves; reference are the paper's own, whose files"
        " you bring (default: %(default)s)",
    )
    parser.add_argument(
        "--reference-models",
        metavar="DIR",
        help=f"the folder of the reference networks' files (default: {reference.FOLDER}, else reference in"
        f" the cache)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """The option --device, alike in every command that has it."""
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute (default: auto)"
    )


def reference_folder(args: argparse.Namespace, *, text: bool = True) -> Path | None:
    """The folder of the reference profile's files; None for the embedded profile.  `text`: CLIP is needed.

    Raises ConfigError for a folder without the profile, ModelError where files are missing.
    """
    if args.profile != "reference":
        if args.reference_models is not None:
            raise ConfigError("--reference-models needs --profile reference")
        return None
    where = reference.folder(args.reference_models)
    missing = reference.missing(where, text=text)
    for spec in missing:
        complain(f"missing {spec}")
    if missing:
        raise ModelError(
            f"{where} lacks {len(missing)} of the reference networks' files: put them there, or name their"
            f" folder with --reference-models DIR or {reference.FOLDER}"
        )
    return where

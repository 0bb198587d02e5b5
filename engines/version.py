"""The version of the installed package."""

from __future__ import annotations

import importlib.metadata


def installed_version() -> str:
    """The installed version, or a note that the program runs from a bare checkout."""
    try:
        return importlib.metadata.version("clip2protect")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"

"""Files that only their owner may read: JSON in the user's data folder."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import platformdirs

from engines.errors import ConfigError
from engines.files import write_atomic


def data_folder() -> Path:
    """The user's folder for such files, which need not exist."""
    return Path(platformdirs.user_data_dir("clip2protect"))


def read_private(path: Path) -> Any:
    """A file's content, None if there is no file.

    Raises ConfigError where others may read it, or it is damaged.
    """
    if not path.exists():
        return None
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"others may read {path}: run `chmod 600` on it, or remove it and start again")
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is damaged: remove it and start again") from error


def write_private(path: Path, content: Any) -> None:
    """Write JSON that only its owner may read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(path, json.dumps(content).encode(), mode=0o600)

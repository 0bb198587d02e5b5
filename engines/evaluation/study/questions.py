"""The study's questions: people choose one of two photos.

A person sees a protected face and picks its owner out of two other photos, or picks the changed one of a
photo's two versions.  Guessing is right half of the time (two-alternative forced choice).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from engines.errors import ConfigError

Kind = Literal["identity", "retouched"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: The questions' file, in the folder of a report.
TRIALS = "study-trials.json"
#: Suffix of a picture -> its type.
PICTURES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


@dataclass(frozen=True)
class Trial:
    """One question: pictures are paths within the report's folder, `answer` is the right option's index."""

    id: str
    kind: Kind
    method: str
    person: str
    shown: str | None
    options: tuple[str, str]
    answer: int

    @property
    def pictures(self) -> tuple[str, ...]:
        """The paths of all its pictures."""
        return (*self.options, *([self.shown] if self.shown is not None else []))


def read_trials(folder: Path) -> list[Trial]:
    """The trials of a report.

    Raises:
        ConfigError: there are none, or one of them cannot be shown.
    """
    path = folder / TRIALS
    if not path.exists():
        raise ConfigError(f"{path} does not exist: name a folder that `clip2protect evaluate` has written")
    try:
        trials = [_trial(entry) for entry in json.loads(path.read_text("utf-8"))["trials"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is damaged: run `clip2protect evaluate` again") from error
    if not trials or len({trial.id for trial in trials}) < len(trials):
        raise ConfigError(f"{path} has no trials, or two of one name: run `clip2protect evaluate` again")
    for name in sorted({name for trial in trials for name in trial.pictures}):
        picture(folder, name)
    return trials


def _trial(entry: dict[str, Any]) -> Trial:
    trial = Trial(
        **{field.name: entry[field.name] for field in fields(Trial)} | {"options": tuple(entry["options"])}
    )
    texts = (trial.id, trial.method, trial.person, *trial.pictures)
    known = (
        trial.kind in KINDS
        and len(trial.options) == 2
        and type(trial.answer) is int
        and trial.answer in (0, 1)
    )
    if (
        not known
        or not all(isinstance(text, str) for text in texts)
        or (trial.kind == "identity") != bool(trial.shown)
    ):
        raise ValueError(trial)
    return trial


def picture(folder: Path, name: str) -> Path:
    """The file of a picture.

    Raises:
        ConfigError: it is no picture, or lies outside the folder.
    """
    path = Path(os.path.realpath(folder / name))
    if (
        not path.is_relative_to(os.path.realpath(folder))
        or path.suffix.lower() not in PICTURES
        or not path.is_file()
    ):
        raise ConfigError(f"{folder / name} is no picture of this report: run `clip2protect evaluate` again")
    return path

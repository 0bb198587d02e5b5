"""What people see: trials in which they choose one of two photos, and what their choices say.

Recognisers measure identity as machines see it.  Here a person is shown a protected face and picks its owner out of
two others, or picks the changed one of a photo's two versions: two-alternative forced choice, in which whoever cannot
tell is right half of the time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal, cast, get_args

from scipy.stats import binomtest, t

from engines.errors import ConfigError

Kind = Literal["identity", "retouched"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: The files, in the folder of a report.
TRIALS, ANSWERS = "study-trials.json", "study.json"
#: How names of pictures end, and their types.
PICTURES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Trial:
    """One question: pictures are paths within the report's folder, `answer` is the index of the right option."""

    id: str
    kind: Kind
    method: str
    person: str
    shown: str | None
    options: tuple[str, str]
    answer: int

    @property
    def pictures(self) -> tuple[str, ...]:
        """All that are shown."""
        return (*self.options, *([self.shown] if self.shown is not None else []))


@dataclass(frozen=True)
class Choice:
    """What one participant, a random name, chose in one trial: an index of its options."""

    participant: str
    trial: str
    choice: int
    correct: bool
    milliseconds: int
    familiar: bool


def read_trials(folder: Path) -> list[Trial]:
    """The trials of a report.  Raises ConfigError where there are none, or one of them cannot be shown."""
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
    """The file of a picture.  Raises ConfigError where it is none, or lies elsewhere than in the folder."""
    path = Path(os.path.realpath(folder / name))
    if (
        not path.is_relative_to(os.path.realpath(folder))
        or path.suffix.lower() not in PICTURES
        or not path.is_file()
    ):
        raise ConfigError(f"{folder / name} is no picture of this report: run `clip2protect evaluate` again")
    return path


def read_choices(entries: Any, path: Path) -> list[Choice]:
    """The choices of a file's content, None if there is none.  Raises ConfigError for one that is damaged."""
    types = {
        "participant": str,
        "trial": str,
        "choice": int,
        "correct": bool,
        "milliseconds": int,
        "familiar": bool,
    }
    try:
        choices = [Choice(**entry) for entry in entries or []]
        if not all(type(getattr(c, name)) is kind for c in choices for name, kind in types.items()):
            raise TypeError
    except TypeError as error:
        raise ConfigError(f"{path} is damaged: remove it and begin anew") from error
    return choices


def score(folder: Path) -> dict[str, Any] | None:
    """How often people were right, None where nobody was asked.

    `identity` and `retouched` are rates {value, low, high, n, people} of all choices together, with the exact interval
    of Clopper and Pearson, 1934; value, low and high are None where n is 0.  That interval takes choices of one person
    for independent; under `participants` are the same rates as means over people, with Student's interval (None for
    one person alone).  `strangers` has only the choices of people who did not know the face, `methods` has a mapping
    of each method's rates by kind.  Raises ConfigError for files that are damaged.
    """
    path = folder / ANSWERS
    if not path.exists():
        return None
    trials = {trial.id: trial for trial in read_trials(folder)}
    try:
        choices = read_choices(json.loads(path.read_text("utf-8")), path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is damaged: remove it and begin anew") from error
    choices = [choice for choice in choices if choice.trial in trials]
    if not choices:
        return None

    def by_kind(some: Iterable[Choice], rate: Any = _pooled) -> dict[str, Any]:
        some = list(some)
        return {
            kind: rate([choice for choice in some if trials[choice.trial].kind == kind]) for kind in KINDS
        }

    methods = list(dict.fromkeys(trial.method for trial in trials.values()))
    return {
        **by_kind(choices),
        "participants": by_kind(choices, _of_people),
        "strangers": by_kind(choice for choice in choices if not choice.familiar),
        "methods": {
            method: by_kind(c for c in choices if trials[c.trial].method == method) for method in methods
        },
    }


def _rate(
    value: float | None, low: float | None, high: float | None, choices: Sequence[Choice]
) -> dict[str, Any]:
    people = len({choice.participant for choice in choices})
    return {"value": value, "low": low, "high": high, "n": len(choices), "people": people}


def _pooled(choices: Sequence[Choice]) -> dict[str, Any]:
    if not choices:
        return _rate(None, None, None, choices)
    right = sum(choice.correct for choice in choices)
    interval = binomtest(right, len(choices)).proportion_ci(_CONFIDENCE, method="exact")
    return _rate(right / len(choices), float(interval.low), float(interval.high), choices)


def _of_people(choices: Sequence[Choice]) -> dict[str, Any]:
    people: dict[str, list[bool]] = {}
    for choice in choices:
        people.setdefault(choice.participant, []).append(choice.correct)
    shares = [fmean(right) for right in people.values()]
    if len(shares) < 2:
        return _rate(shares[0] if shares else None, None, None, choices)
    half = cast(float, t.ppf((1 + _CONFIDENCE) / 2, len(shares) - 1)) * stdev(shares) / len(shares) ** 0.5
    mean = fmean(shares)
    return _rate(mean, float(max(0.0, mean - half)), float(min(1.0, mean + half)), choices)

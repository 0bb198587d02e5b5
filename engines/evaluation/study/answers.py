"""The study's answers: the choices of people, and how often they are right."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, TypedDict, cast

from scipy.stats import binomtest, t

from engines.errors import ConfigError
from engines.evaluation.score.statistics import RateReport
from engines.evaluation.study.questions import KINDS, read_trials

#: The choices' file, in the folder of a report.
ANSWERS = "study.json"
_CONFIDENCE = 0.95


class KindRates(TypedDict):
    """Rates of right choices by the kind of question."""

    identity: RateReport
    retouched: RateReport


class StudyReport(KindRates):
    """The rates of all choices; the same as means over people, of strangers' choices alone, and by method."""

    participants: KindRates
    strangers: KindRates
    methods: dict[str, KindRates]


@dataclass(frozen=True)
class Choice:
    """The choice of a participant, a random name, in one trial: an index of its options."""

    participant: str
    trial: str
    choice: int
    correct: bool
    milliseconds: int
    familiar: bool


def read_choices(entries: Any, path: Path) -> list[Choice]:
    """The choices of a file's content, None if there is no file.

    Raises:
        ConfigError: the content is damaged.
    """
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
        raise ConfigError(f"{path} is damaged: remove it and start again") from error
    return choices


def score(folder: Path) -> StudyReport | None:
    """How often people were right; None before the first answer.

    The rates of all choices have the exact interval of Clopper and Pearson (1934), which takes the choices of
    one person as independent.  Under `participants` are means over people, with Student's interval (None for
    one person alone).  `strangers` counts only choices of people who did not know the face.  A rate's value
    and interval are None without choices.

    Raises:
        ConfigError: a file is damaged.
    """
    path = folder / ANSWERS
    if not path.exists():
        return None
    trials = {trial.id: trial for trial in read_trials(folder)}
    try:
        choices = read_choices(json.loads(path.read_text("utf-8")), path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is damaged: remove it and start again") from error
    choices = [choice for choice in choices if choice.trial in trials]
    if not choices:
        return None

    def by_kind(
        some: Sequence[Choice], rate: Callable[[Sequence[Choice]], RateReport] = _pooled
    ) -> KindRates:
        of_kind = {kind: [choice for choice in some if trials[choice.trial].kind == kind] for kind in KINDS}
        return {"identity": rate(of_kind["identity"]), "retouched": rate(of_kind["retouched"])}

    methods = list(dict.fromkeys(trial.method for trial in trials.values()))
    return {
        **by_kind(choices),
        "participants": by_kind(choices, _mean_of_people),
        "strangers": by_kind([choice for choice in choices if not choice.familiar]),
        "methods": {
            method: by_kind([c for c in choices if trials[c.trial].method == method]) for method in methods
        },
    }


def _rate(
    value: float | None, low: float | None, high: float | None, choices: Sequence[Choice]
) -> RateReport:
    people = len({choice.participant for choice in choices})
    return {"value": value, "low": low, "high": high, "n": len(choices), "people": people}


def _pooled(choices: Sequence[Choice]) -> RateReport:
    if not choices:
        return _rate(None, None, None, choices)
    right = sum(choice.correct for choice in choices)
    interval = binomtest(right, len(choices)).proportion_ci(_CONFIDENCE, method="exact")
    return _rate(right / len(choices), float(interval.low), float(interval.high), choices)


def _mean_of_people(choices: Sequence[Choice]) -> RateReport:
    people: dict[str, list[bool]] = {}
    for choice in choices:
        people.setdefault(choice.participant, []).append(choice.correct)
    shares = [fmean(right) for right in people.values()]
    if len(shares) < 2:
        return _rate(shares[0] if shares else None, None, None, choices)
    half = cast(float, t.ppf((1 + _CONFIDENCE) / 2, len(shares) - 1)) * stdev(shares) / len(shares) ** 0.5
    mean = fmean(shares)
    return _rate(mean, float(max(0.0, mean - half)), float(min(1.0, mean + half)), choices)

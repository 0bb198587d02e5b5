"""The contents of report.json as types, and the ways to read them.

An evaluation's report is a dictionary, ready for JSON.  A figure is None, or its key is missing, where the
plan did not ask for it or nothing could be measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from engines.config import Mode
from engines.evaluation.score.adaptive import AreaReport
from engines.evaluation.score.statistics import Extremes, RateReport
from engines.evaluation.study.answers import StudyReport
from engines.models.registry import Metric

#: The name of the rows over all judges, in place of a recogniser's.
POOLED = "all"


class Margin(TypedDict):
    """The distance of pairs from a match: the mean and the least."""

    mean: float
    least: float


class AfterTransform(TypedDict):
    """Pairs that match after a transform, and the share of faces that are found after it."""

    matched: RateReport
    found: float | None


class WorstTransform(TypedDict):
    """The transform after which most pairs match."""

    transform: str
    matched: RateReport


class KernelDistance(TypedDict):
    """KID and its standard deviation."""

    value: float
    deviation: float | None


class Naturalness(TypedDict):
    """The change of the photos; `found` and `usable` are shares of them."""

    psnr: Extremes | None
    ssim: Extremes | None
    lpips: Extremes | None
    fid: float | None
    kid: KernelDistance | None
    agreement: float | None
    found: float | None
    usable: float | None


class Adaptive(TypedDict):
    """Trackers that adapt: pairs that match with a trained head, with an untrained one, and a detector."""

    head: RateReport | None
    untaught: RateReport | None
    detector_auc: AreaReport | None


class StrangersReport(TypedDict):
    """Whether protected photos look like a stranger's, and another stranger's each time.

    `rank`: clean photos of the owner that are nearer than a stranger is; .5 is a stranger.  `cohort`: pairs
    that match at the person's own threshold, by transform ("none" is no transform).  `linked`: pairs of two
    protected photos of one person that match, by threshold; `rank`, those that are nearer than a protected
    photo of somebody else; `grown`, the photos that a growing tracker takes for their owner.
    """

    rank: RateReport | None
    cohort: dict[str, RateReport]
    linked: dict[str, RateReport]


class Failure(TypedDict):
    """A photo without a result."""

    photo: str
    held_out: str
    why: str


class Row(TypedDict):
    """A method in a mode: before one judge, or before all (`held_out` is `POOLED`).

    Rates have a threshold, a group, or a rank as their key.
    """

    method: str
    title: str
    kind: str
    mode: Mode
    held_out: str
    photos: int
    pairs: int
    verification: dict[str, RateReport]
    margin: Margin | None
    protected: dict[str, RateReport]
    target: dict[str, RateReport] | None
    identification: dict[str, dict[str, RateReport]] | None
    transforms: dict[str, AfterTransform]
    mean: RateReport | None
    worst: WorstTransform | None
    any: RateReport | None
    naturalness: Naturalness
    adaptive: Adaptive
    strangers: StrangersReport
    groups: dict[str, dict[str, RateReport]]
    people: dict[str, float]
    failures: list[Failure]


class LeftOut(TypedDict):
    """A photo that counts in no figure."""

    photo: str
    why: str


class DatasetReport(TypedDict):
    """The photos: `compared` people have two or more, `probes` is the number of photos that are judged."""

    layout: str
    people: int
    compared: NotRequired[int]
    photos: int
    probes: int
    left_out: list[LeftOut]
    groups: dict[str, list[str]]


class Limit(TypedDict):
    """A threshold at a false accept rate, the pairs it comes from, and the rate among them."""

    value: float
    source: str
    achieved: float


class Thresholds(TypedDict):
    """A judge's thresholds: its own, and by false accept rate."""

    metric: Metric
    own: float
    far: dict[str, Limit]


class Hardware(TypedDict):
    """The machine."""

    cpu: str
    cores: int | None
    device: str
    threads: NotRequired[str]


class Seconds(TypedDict):
    """The median time of a photo's protection."""

    median: float | None
    photos: int


class Timing(TypedDict):
    """Seconds by method and mode; they differ from run to run."""

    hardware: Hardware
    seconds: dict[str, dict[str, Seconds]]


class EvaluationReport(TypedDict):
    """An evaluation's report, as report.json holds it."""

    version: str
    dataset: DatasetReport
    settings: dict[str, Any]
    thresholds: dict[str, Thresholds]
    rows: list[Row]
    notes: list[str]
    study: StudyReport | None
    timing: Timing


def pooled(report: EvaluationReport, mode: str) -> list[Row]:
    """The rows of a mode over all judges, in the report's order."""
    return [row for row in report["rows"] if row["mode"] == mode and row["held_out"] == POOLED]


def modes(report: EvaluationReport) -> list[Mode]:
    """The modes of the report's rows, in its order."""
    return list(dict.fromkeys(row["mode"] for row in report["rows"]))


def at(figures: Mapping[str, Any] | None, *path: str) -> Any:
    """The figure at a path of keys; None where the path ends early."""
    figure: Any = figures
    for key in path:
        figure = figure.get(key) if figure else None
    return figure

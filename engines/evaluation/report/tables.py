"""The report's figures as tables; the page and the README show the same cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from engines.evaluation.report.cells import NOTHING, Table
from engines.evaluation.report.schema import (
    POOLED,
    EvaluationReport,
    Row,
    Seconds,
    Thresholds,
    at,
    modes,
    pooled,
)
from engines.evaluation.report.wording import MODES, interval, number, percent, several, threshold_name
from engines.photo.quality import MAX_PSNR

#: Gallery -> its name in the head of a column.
_GALLERIES = {
    "clean": "clean gallery",
    "mixed": "mixed gallery",
    "protected": "protected gallery",
    "protected, probe clean": "protected gallery, clean photo",
}
Column = tuple[str, Callable[[Row], str]]


def tables(report: EvaluationReport) -> list[Table]:
    """Every table of a report that has content, in reading order."""
    made: list[Table | None] = []
    for mode in modes(report):
        rows = pooled(report, mode)
        made += _impersonation(report, rows) if mode == "impersonate" else _verification(report, rows)
    for part in (_strangers, _identification, _robustness, _naturalness, _adaptive, _by_group):
        for mode in modes(report):
            made += part(pooled(report, mode), MODES.get(mode, mode))
    return [table for table in [*made, *_background(report)] if table]


def _verification(report: EvaluationReport, rows: Sequence[Row]) -> list[Table | None]:
    keys = _thresholds(rows)
    note = (
        "Share of pairs (a protected photo, another photo of its owner) that still match: lower protects"
        " better. Each pair is compared by every judge; a judge took no part in the search. “Protected and"
        " natural”: no longer matched, and the photo can still be used. FAR: false accept rate. Margin: the"
        " distance of the pairs from a match, the mean (the least); 0 at the own threshold, -1 at a typical"
        " pair of one person."
    )
    columns = [*_counts(), *((threshold_name(k), _rate("verification", k)) for k in keys)]
    columns += [("protected and natural, own threshold", _rate("protected", "own")), ("margin", _margin)]
    section = "Verification"
    return [
        _table(section, "Pairs that still match, all recognisers", note, rows, columns),
        _by_judge(
            report, section, "Pairs that still match, by recogniser held out", "dodge", ("verification",)
        ),
    ]


def _impersonation(report: EvaluationReport, rows: Sequence[Row]) -> list[Table | None]:
    note = (
        "“Target”: the protected photo matches the person it should look like. “Owner”: it still matches its"
        " owner as well. Papers report the first figure; a photo protects only where the second is low too."
    )
    columns = list(_counts())
    for key in _thresholds(rows):
        name = threshold_name(key)
        columns += [(f"target, {name}", _rate("target", key)), (f"owner, {name}", _rate("verification", key))]
    columns.append(("owner not matched and natural, own threshold", _rate("protected", "own")))
    section, title = "Impersonation", "Target matched, by recogniser held out (owner still matched beside it)"
    return [
        _table(section, "Target matched, and owner still matched beside it", note, rows, columns),
        _by_judge(report, section, title, "impersonate", ("target", "verification")),
    ]


def _by_judge(
    report: EvaluationReport, section: str, title: str, mode: str, parts: Sequence[str]
) -> Table | None:
    """Methods by recognisers, at the own threshold and FAR 1 %; None where there is only one."""
    by_judge = {(row["method"], row["held_out"]): row for row in report["rows"] if row["mode"] == mode}
    judges = [name for name in dict.fromkeys(judge for _, judge in by_judge) if name != POOLED]
    if len(judges) < 2:
        return None
    names = {"target": "target, ", "verification": "owner, "} if len(parts) > 1 else {}
    columns: list[Column] = [
        (f"{judge}: {names.get(part, '')}{threshold_name(key)}", _judged(by_judge, judge, part, key))
        for judge in judges
        for key in ("own", "0.01")
        for part in parts
    ]
    return _table(section, title, "The same pairs, one recogniser at a time.", pooled(report, mode), columns)


def _judged(rows: Mapping[tuple[str, str], Row], judge: str, part: str, key: str) -> Callable[[Row], str]:
    return lambda row: interval(at(rows.get((row["method"], judge)), part, key))


def _strangers(rows: Sequence[Row], mode: str) -> list[Table | None]:
    note = (
        "“Rank”: how often a clean photo of the owner is nearer to the protected one than a stranger's photo"
        " is. 50 % is a stranger; above it the owner is still there, below it the photo shows the owner's"
        " opposite, and a tracker finds it by that. “Own look-alikes”: pairs that match at a threshold that"
        " lets 1 % of the owner's look-alikes through."
    )
    columns: list[Column] = [
        ("rank against strangers", _rate("strangers", "rank")),
        ("match among own look-alikes", _rate("strangers", "cohort", "none")),
        ("the same after JPEG 75", _rate("strangers", "cohort", "jpeg-75")),
    ]
    linked = (
        "Two protected photos of one person: whoever has one finds the other if they match. “Rank”: how often"
        " the other one is nearer than a protected photo of somebody else; 50 % is a stranger. “Growing"
        " tracker”: photos taken for their owner by a tracker that begins with the owner's other clean photos"
        " and adds every photo that it accepts."
    )
    keys = [key for key in _thresholds(rows) if any(at(row, "strangers", "linked", key) for row in rows)]
    pairs: list[Column] = [(threshold_name(key), _rate("strangers", "linked", key)) for key in keys]
    pairs += [
        ("rank", _rate("strangers", "linked", "rank")),
        ("growing tracker", _rate("strangers", "linked", "grown")),
    ]
    closely = [row for row in rows if at(row, "strangers", "linked")]
    return [
        _table("Strangers", f"A stranger, or the owner's opposite, {mode}", note, rows, columns),
        _table(
            "Strangers", f"Protected photos of one person that are linked, {mode}", linked, closely, pairs
        ),
    ]


def _identification(rows: Sequence[Row], mode: str) -> list[Table | None]:
    note = (
        "A search for the protected photo in a gallery: the share whose {} is among the 1 or 5 most alike"
        " people{}. The gallery's photos are clean, or every second one of a person is protected (mixed), or"
        " all are. Last: a search for a clean photo among protected ones."
    )
    galleries = [g for g in _GALLERIES if any(at(row, "identification", g) for row in rows)]
    made = []
    for prefix, who, better in (("", "owner", ", lower protects better"), ("target_", "target", "")):
        columns = [
            (f"{_GALLERIES[g]}, rank {k}", _rate("identification", g, f"{prefix}rank{k}"))
            for g in galleries
            for k in (1, 5)
        ]
        made.append(
            _table("Identification", f"{who.title()} found, {mode}", note.format(who, better), rows, columns)
        )
    return made


def _robustness(rows: Sequence[Row], mode: str) -> list[Table | None]:
    names = list(dict.fromkeys(name for row in rows for name in row.get("transforms") or {}))
    note = (
        "Share of pairs that match their owner at the own threshold after the protected photo went through a "
        "transform. “Any”: after at least one of them, as for a tracker that tries them all."
    )
    columns: list[Column] = [("mean", _rate("mean")), ("worst", _worst), ("any", _rate("any"))]
    columns += [(name, _share("transforms", name, "matched", "value")) for name in names]
    lost = [
        name for name in names if any(at(row, "transforms", name, "found") not in (None, 1) for row in rows)
    ]
    gone: list[Column] = [(name, _share("transforms", name, "found")) for name in lost]
    return [
        _table("Robustness", f"Pairs that match after a transform, {mode}", note, rows, columns),
        _table(
            "Robustness",
            f"Faces still found after a transform, {mode}",
            "Only where some were not.",
            rows,
            gone,
        ),
    ]


def _naturalness(rows: Sequence[Row], mode: str) -> list[Table | None]:
    note = (
        "PSNR (dB) and SSIM of the face, higher is nearer to the original; LPIPS, FID and KID, lower is"
        " nearer. Medians, the worst in parentheses. “Found”: photos whose face is found again; “usable”:"
        " found and natural."
    )
    columns: list[Column] = [
        ("face PSNR", _median("psnr", 1)),
        ("face SSIM", _median("ssim", 3)),
        ("LPIPS", _median("lpips", 3)),
        ("FID", lambda row: number(at(row, "naturalness", "fid"))),
        ("KID", _kernel_distance),
        ("agreement with the words", lambda row: number(at(row, "naturalness", "agreement"))),
        ("found", _share("naturalness", "found")),
        ("usable", _share("naturalness", "usable")),
    ]
    return [_table("Naturalness", f"How much photos change, {mode}", note, rows, columns)]


def _adaptive(rows: Sequence[Row], mode: str) -> list[Table | None]:
    note = (
        "“Tracker that learns”: pairs that match after its training on protected photos of other people, at a"
        " new threshold at FAR 1 %. “Before it learns”: the same without training. “Detector”: area under the"
        " curve (95 % interval) of a detector of protected photos; 0.50 is guessing."
    )
    columns: list[Column] = [
        ("tracker that learns", _rate("adaptive", "head")),
        ("before it learns", _rate("adaptive", "untaught")),
        ("detector of protection", _detector),
    ]
    tried = [row for row in rows if any(at(row, "adaptive", key) for key in ("head", "detector_auc"))]
    return [
        _table(
            "Trackers that adapt",
            f"Against trackers that know of the protection, {mode}",
            note,
            tried,
            columns,
        )
    ]


def _by_group(rows: Sequence[Row], mode: str) -> list[Table | None]:
    made = []
    for name in dict.fromkeys(name for row in rows for name in row.get("groups") or {}):
        labels = dict.fromkeys(label for row in rows for label in (row.get("groups") or {}).get(name, {}))
        people = {
            label: max(at(row, "groups", name, label, "people") or 0 for row in rows) for label in labels
        }
        columns = [
            (f"{label} ({several(people[label], 'person', 'people')})", _rate("groups", name, label))
            for label in labels
        ]
        note = "Pairs that match their owner at the own threshold. Groups of few people differ by chance."
        made.append(_table("By group", f"By {name}, {mode}", note, rows, columns))
    return made


def _background(report: EvaluationReport) -> Iterator[Table | None]:
    """What people saw, and where the figures come from."""
    study = report.get("study")
    asked = (("identity", "Which of the two is this person?"), ("retouched", "Which of the two was changed?"))
    answers = [
        (text, interval(rate), str(rate["n"])) for key, text in asked if (rate := at(study, key)) is not None
    ]
    note = "Answers of people who chose between two photos; 50 % is guessing."
    yield _plain_table("People", "What people see", note, ("question", "right answers", "answers"), answers)
    note = "Own: the threshold of “clip2protect verify”. The others have a false accept rate on these pairs."
    head = ("recogniser", "threshold", "same person if", "where it comes from", "false accepts there")
    limits = [line for name, limit in report["thresholds"].items() for line in _limits(name, limit)]
    yield _plain_table("Background", "Thresholds", note, head, limits)
    yield _plain_table(
        "Background", "Seconds a photo", _hardware(report), ("method", "median", "photos"), _seconds(report)
    )
    note = "Photos that a method could not protect, or whose result could not be judged."
    head = ("photo", "method", "mode", "held out", "why")
    failed = [
        (
            f["photo"],
            row["title"],
            MODES.get(row["mode"], row["mode"]),
            f.get("held_out") or row["held_out"],
            f["why"],
        )
        for row in report["rows"]
        for f in row.get("failures") or ()
    ]
    yield _plain_table("Failures", "What failed", note, head, list(dict.fromkeys(failed)))
    left = [(item["photo"], item["why"]) for item in report["dataset"].get("left_out") or ()]
    yield _plain_table("Failures", "Photos left out", "They count in no figure.", ("photo", "why"), left)


def _limits(name: str, thresholds: Thresholds) -> Iterator[tuple[str, ...]]:
    distance = thresholds["metric"] == "euclidean"

    def rule(value: float | None) -> str:
        if value is None:
            return NOTHING
        return f"distance below {abs(value):.3f}" if distance else f"cosine above {value:.3f}"

    yield name, threshold_name("own"), rule(thresholds["own"]), "this program's table of recognisers", NOTHING
    for key in sorted(thresholds["far"], key=float, reverse=True):
        limit = thresholds["far"][key]
        yield name, threshold_name(key), rule(limit["value"]), limit["source"], percent(limit.get("achieved"))


def _seconds(report: EvaluationReport) -> list[tuple[str, ...]]:
    titles = {row["method"]: row["title"] for row in report["rows"]}
    seconds: dict[str, dict[str, Seconds]] = at(report, "timing", "seconds") or {}
    return [
        (
            f"{titles.get(method, method)}, {MODES.get(mode, mode)}",
            number(spent["median"], 1),
            str(spent["photos"]),
        )
        for method, by_mode in seconds.items()
        for mode, spent in by_mode.items()
    ]


def _hardware(report: EvaluationReport) -> str:
    device, cpu, count = (at(report, "timing", "hardware", key) for key in ("device", "cpu", "cores"))
    cores = several(count, "core", "cores") if count else ""
    return ", ".join(str(part) for part in (device, cpu, cores) if part)


def _counts() -> tuple[Column, Column]:
    return (
        ("people", lambda row: str(at(row, "verification", "own", "people") or 0)),
        ("comparisons", lambda row: str(row["pairs"])),
    )


def _thresholds(rows: Sequence[Row]) -> list[str]:
    """`own`, then the false accept rates from the loosest."""
    rates = {key for row in rows for key in row["verification"]} - {"own"}
    return ["own", *sorted(rates, key=float, reverse=True)]


def _table(
    section: str, title: str, note: str, rows: Sequence[Row], columns: Sequence[Column]
) -> Table | None:
    lines = [(str(row["title"]), *(cell(row) for _, cell in columns)) for row in rows]
    return _plain_table(section, title, note, ("method", *(name for name, _ in columns)), lines)


def _plain_table(
    section: str, title: str, note: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> Table | None:
    """A table, or None where all cells but names and counts are empty."""
    cells = (
        cell
        for row in rows
        for cell, name in zip(row[1:], head[1:], strict=True)
        if name not in ("people", "comparisons")
    )
    return Table(title, note, head, tuple(rows), section) if any(cell != NOTHING for cell in cells) else None


def _rate(*path: str) -> Callable[[Row], str]:
    return lambda row: interval(at(row, *path))


def _share(*path: str) -> Callable[[Row], str]:
    return lambda row: percent(at(row, *path))


def _median(name: str, digits: int) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        figure = at(row, "naturalness", name)
        if not figure or figure["median"] is None:
            return NOTHING
        if name == "psnr" and figure["median"] >= MAX_PSNR:
            return "unchanged"
        return f"{number(figure['median'], digits)} ({number(figure['worst'], digits)})"

    return cell


def _margin(row: Row) -> str:
    margin = at(row, "margin")
    return f"{number(margin['mean'])} ({number(margin['least'])})" if margin else NOTHING


def _worst(row: Row) -> str:
    rate = interval(at(row, "worst", "matched"))
    return rate if rate == NOTHING else f"{rate} {at(row, 'worst', 'transform')}"


def _kernel_distance(row: Row) -> str:
    distance = at(row, "naturalness", "kid")
    if not distance:
        return NOTHING
    spread = "" if distance["deviation"] is None else f" (± {distance['deviation']:.4f})"
    return f"{distance['value']:.4f}{spread}"


def _detector(row: Row) -> str:
    area = at(row, "adaptive", "detector_auc")
    return f"{area['value']:.2f} ({area['low']:.2f}–{area['high']:.2f})" if area else NOTHING

"""What a report's figures say, and what they do not, in sentences made from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engines.evaluation.report.tables import (
    Report,
    Row,
    at,
    interval,
    modes,
    number,
    percent,
    pooled,
    several,
)

#: The level that people get unless they ask for another, and the photos as they are.
MAIN, CLEAN = "balanced", "clean"


def headline(report: Report) -> list[str]:
    """The report in a few sentences, the weak points with the strong; empty without a row of `MAIN`."""
    said: list[str] = []
    for mode in modes(report):
        by_method = {row["method"]: row for row in pooled(report, mode)}
        main, clean = by_method.get(MAIN), by_method.get(CLEAN)
        if main and at(main, "verification", "own", "value") is not None:
            said += _impersonated(main) if mode == "impersonate" else _dodged(main, clean)
    return [*said, _reach(report)] if said else []


def limits(report: Report) -> list[str]:
    """What the figures do not show, and what they rest on: a sentence each."""
    data, settings = report["dataset"], report["settings"]
    said = [_reach(report)]
    said.append(
        "A share is a share of pairs, and pairs of one person go together: intervals are made over people, and "
        "0 % means that no pair matched here, not that none ever will."
    )
    if left := len(data.get("left_out") or ()):
        said.append(f"{several(left, 'photo was', 'photos were')} left out: see “Photos left out”.")
    if failed := len(
        {(f["photo"], row["method"]) for row in report["rows"] for f in row.get("failures") or ()}
    ):
        said.append(f"{several(failed, 'result', 'results')} failed: see “What failed”.")
    said += _far(report)
    if distractors := settings.get("distractors"):
        said.append(
            f"Galleries hold {several(distractors, 'face', 'faces')} beside the people of these photos. In a larger "
            "one a person is harder to find, protected or not."
        )
    if names := settings.get("transforms"):
        said.append(
            f"Transforms that were tried: {', '.join(names)}. What others do to a protection is unknown."
        )
    said.append(_adaptive(report))
    if not report.get("study"):
        said.append(
            "Nobody was asked whether people look like themselves: naturalness is measured, not seen."
        )
    return said


def _dodged(main: Row, clean: Row | None) -> Iterator[str]:
    still = main["verification"]["own"]
    yield (
        f"{_share(still)} pairs of a photo protected by “{main['title']}” and another photo of its owner still match "
        f"({_basis(still)}). The recognisers that judge took no part in the search."
    )
    before = at(clean, "verification", "own")
    if before and before["value"] is not None:
        yield f"Of the photos as they are, {_share(before).lower()} pairs match ({_basis(before)})."
    worst = at(main, "worst", "matched")
    if worst and worst["value"] is not None:
        count = len(main.get("transforms") or {})
        rest = (
            f"; after at least one of the {count} that were tried, {interval(main['any'])}"
            if main.get("any")
            else ""
        )
        yield f"After the transform that undoes most, {main['worst']['transform']}, {interval(worst)} match{rest}."
    yield from _told(main)
    kept = at(main, "protected", "own", "value")
    if kept is not None:
        change = at(main, "naturalness", "psnr", "median")
        face = (
            f"; half of the faces keep a PSNR of {number(change, 1)} dB or more" if change is not None else ""
        )
        yield f"{percent(kept)} of pairs are protected by a photo that can still be used{face}."


def _told(main: Row) -> Iterator[str]:
    clean, hidden = (at(main, "identification", gallery, "rank1") for gallery in ("clean", "protected"))
    if clean and clean["value"] is not None:
        also = ""
        if hidden and hidden["value"] is not None:
            also = f", and {interval(hidden)} where the photos of the gallery are protected too"
        yield f"Searched for in a gallery of clean photos, {interval(clean)} of owners come first{also}."
    learns, told = at(main, "adaptive", "head"), at(main, "adaptive", "detector_auc", "value")
    if learns and learns["value"] is not None:
        yield f"A tracker that learned from protected photos of other people matches {interval(learns)} of pairs."
    if told is not None:
        yield f"A simple detector tells protected from untouched photos: AUC {number(told)} (0.50 is guessing)."


def _impersonated(main: Row) -> Iterator[str]:
    target = at(main, "target", "own")
    if target and target["value"] is not None:
        yield (
            f"Asked to look like someone else, {interval(target)} of the pairs match that person, and "
            f"{interval(main['verification']['own'])} still match the owner "
            f"({several(target['n'], 'comparison', 'comparisons')}, {several(target['people'], 'person', 'people')})."
        )


def _reach(report: Report) -> str:
    """Whom and what the figures are about."""
    data, judges = report["dataset"], list(report["thresholds"])
    counts = [
        several(data.get("compared", data["people"]), "person", "people"),
        several(data["probes"], "protected photo", "protected photos"),
        several(len(judges), "recogniser", "recognisers"),
    ]
    return (
        f"These are {counts[0]}, {counts[1]} and {counts[2]} ({', '.join(judges)}): other people, photos and "
        "recognisers were not asked, and may say otherwise."
    )


def _far(report: Report) -> Iterator[str]:
    """Thresholds whose false accept rate rests on generated faces."""
    found = {limit["source"] for limits in report["thresholds"].values() for limit in limits["far"].values()}
    if any("generated" in source for source in found):
        yield "Some thresholds were set with generated faces, for want of photos of enough people: see “Thresholds”."


def _adaptive(report: Report) -> str:
    if any(at(row, "adaptive", "head") for row in report["rows"]):
        return (
            "The trackers that adapt are small: a linear layer and a linear detector. One that trains a whole network "
            "on protected photos can do better."
        )
    return "No tracker that learns from protected photos was tried."


def _share(rate: Mapping[str, Any]) -> str:
    return {0: "None of the", 1: "All"}.get(rate["value"], f"{percent(rate['value'])} of the")


def _basis(rate: Mapping[str, Any]) -> str:
    ends = (
        ""
        if rate.get("low") is None
        else f"95 % interval {percent(rate['low'])} to {percent(rate['high'])}, "
    )
    return f"{ends}{several(rate['n'], 'comparison', 'comparisons')}, {several(rate['people'], 'person', 'people')}"

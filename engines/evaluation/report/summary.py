"""The report's figures as sentences: their strong points, their weak points, and their limits."""

from __future__ import annotations

from collections.abc import Iterator

from engines.evaluation.report.schema import EvaluationReport, Row, at, modes, pooled
from engines.evaluation.report.wording import interval, number, percent, several
from engines.evaluation.score.statistics import RateReport

#: The default level, and the photos as they are.
MAIN, CLEAN = "balanced", "clean"


def headline(report: EvaluationReport) -> list[str]:
    """The report in a few sentences, weak points too; empty without a row of `MAIN`."""
    sentences: list[str] = []
    for mode in modes(report):
        by_method = {row["method"]: row for row in pooled(report, mode)}
        main, clean = by_method.get(MAIN), by_method.get(CLEAN)
        if main and at(main, "verification", "own", "value") is not None:
            sentences += _impersonated(main) if mode == "impersonate" else _dodged(main, clean)
    return [*sentences, _reach(report)] if sentences else []


def limits(report: EvaluationReport) -> list[str]:
    """The limits and the basis of the figures, one sentence each."""
    data, settings = report["dataset"], report["settings"]
    sentences = [_reach(report)]
    sentences.append(
        "A share is a share of pairs. Pairs of one person are alike, so intervals are drawn over people. "
        "0 % means that no pair matched here, not that none ever will."
    )
    if left := len(data.get("left_out") or ()):
        sentences.append(f"{several(left, 'photo was', 'photos were')} left out: see “Photos left out”.")
    if failed := len(
        {(f["photo"], row["method"]) for row in report["rows"] for f in row.get("failures") or ()}
    ):
        sentences.append(f"{several(failed, 'result', 'results')} failed: see “What failed”.")
    sentences += _far(report)
    if distractors := settings.get("distractors"):
        sentences.append(
            f"Galleries hold {several(distractors, 'generated face', 'generated faces')} beside the people of"
            " these photos. A person is harder to find in a larger one, protected or not."
        )
    if names := settings.get("transforms"):
        sentences.append(f"These transforms were tried: {', '.join(names)}. The effect of others is unknown.")
    sentences.append(_adaptive(report))
    if not report.get("study"):
        sentences.append("No people judged the photos: naturalness was measured only.")
    return sentences


def _dodged(main: Row, clean: Row | None) -> Iterator[str]:
    still = main["verification"]["own"]
    yield (
        f"{_share(still)} pairs of a photo protected by “{main['title']}” and another photo of its owner"
        f" still match ({_basis(still)}). The recognisers that judge took no part in the search."
    )
    before = at(clean, "verification", "own")
    if before and before["value"] is not None:
        yield f"Of the photos as they are, {_share(before).lower()} pairs match ({_basis(before)})."
    worst = at(main, "worst", "matched")
    if worst and worst["value"] is not None:
        count = len(main.get("transforms") or {})
        rest = (
            f"; after at least one of the {count} transforms, {interval(main['any'])}"
            if main.get("any")
            else ""
        )
        name = at(main, "worst", "transform")
        yield f"After the transform that undoes most, {name}, {interval(worst)} match{rest}."
    yield from _searched(main)
    kept = at(main, "protected", "own", "value")
    if kept is not None:
        change = at(main, "naturalness", "psnr", "median")
        face = (
            f"; half of the faces keep a PSNR of {number(change, 1)} dB or more" if change is not None else ""
        )
        yield f"{percent(kept)} of pairs are protected by a photo that can still be used{face}."


def _searched(main: Row) -> Iterator[str]:
    clean, hidden = (at(main, "identification", gallery, "rank1") for gallery in ("clean", "protected"))
    if clean and clean["value"] is not None:
        also = ""
        if hidden and hidden["value"] is not None:
            also = f", and {interval(hidden)} where the photos of the gallery are protected too"
        yield f"Searched for in a gallery of clean photos, {interval(clean)} of owners come first{also}."
    learns, area = at(main, "adaptive", "head"), at(main, "adaptive", "detector_auc", "value")
    if learns and learns["value"] is not None:
        share = interval(learns)
        yield f"A tracker that learned from protected photos of other people matches {share} of pairs."
    if area is not None:
        yield f"A simple detector of protected photos has AUC {number(area)} (0.50 is guessing)."


def _impersonated(main: Row) -> Iterator[str]:
    target = at(main, "target", "own")
    if target and target["value"] is not None:
        yield (
            f"Asked to look like someone else, {interval(target)} of the pairs match that person, and"
            f" {interval(main['verification']['own'])} still match the owner"
            f" ({several(target['n'], 'comparison', 'comparisons')},"
            f" {several(target['people'], 'person', 'people')})."
        )


def _reach(report: EvaluationReport) -> str:
    """The people, photos and recognisers behind the figures."""
    data, judges = report["dataset"], list(report["thresholds"])
    counts = [
        several(data.get("compared", data["people"]), "person", "people"),
        several(data["probes"], "protected photo", "protected photos"),
        several(len(judges), "recogniser", "recognisers"),
    ]
    return (
        f"These are {counts[0]}, {counts[1]} and {counts[2]} ({', '.join(judges)}). Results for other people,"
        " photos and recognisers may differ."
    )


def _far(report: EvaluationReport) -> Iterator[str]:
    """Thresholds whose false accept rate rests on generated faces."""
    sources = {limit["source"] for judge in report["thresholds"].values() for limit in judge["far"].values()}
    if any("generated" in source for source in sources):
        yield (
            "Some thresholds come from generated faces, because there are photos of too few people: see"
            " “Thresholds”."
        )


def _adaptive(report: EvaluationReport) -> str:
    if any(at(row, "adaptive", "head") for row in report["rows"]):
        return (
            "The trackers that adapt are small: a linear layer and a linear detector. One that trains a"
            " whole network on protected photos can do better."
        )
    return "No tracker that learns from protected photos was tried."


def _share(rate: RateReport) -> str:
    if rate["value"] in (0, 1):
        return "All" if rate["value"] else "None of the"
    return f"{percent(rate['value'])} of the"


def _basis(rate: RateReport) -> str:
    counts = [several(rate["n"], "comparison", "comparisons"), several(rate["people"], "person", "people")]
    if rate["low"] is not None:
        counts.insert(0, f"95 % interval {percent(rate['low'])} to {percent(rate['high'])}")
    return ", ".join(counts)

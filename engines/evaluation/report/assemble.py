"""From trials to the report: every figure of report.json, for each judge and over all of them."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from engines.config import Mode
from engines.evaluation.experiment import perceptual
from engines.evaluation.experiment.evidence import Evidence
from engines.evaluation.experiment.methods import METHODS
from engines.evaluation.experiment.plan import Condition
from engines.evaluation.experiment.tasks import Networks
from engines.evaluation.report.schema import (
    POOLED,
    DatasetReport,
    EvaluationReport,
    Hardware,
    Margin,
    Naturalness,
    Row,
    Seconds,
    Thresholds,
)
from engines.evaluation.score import adaptive
from engines.evaluation.score.adaptive import AreaReport
from engines.evaluation.score.statistics import (
    RateReport,
    frechet_distance,
    kernel_distance,
    median_worst,
    rate,
)
from engines.evaluation.score.trials import (
    USABLE_SSIM,
    Judge,
    Outcome,
    Trials,
    judge_of,
    merged,
    outcome_of,
    trials_of,
)
from engines.version import installed_version

Rates = Mapping[tuple[str, ...], RateReport]


def judges_of(evidence: Evidence) -> dict[str, Judge]:
    """The recognisers that judge."""
    return {name: judge_of(evidence, name) for name in (*evidence.judges, *evidence.plan.alone)}


def assemble(evidence: Evidence, judges: Mapping[str, Judge], networks: Networks) -> EvaluationReport:
    """The report, ready for JSON, without the study.  The same evidence gives the same report but for
    `timing`.
    """
    rows: list[Row] = []
    seconds: dict[str, dict[str, Seconds]] = {}
    for method, alone in evidence.plan.entries:
        judging = [judges[name] for name in ([alone] if alone else evidence.judges)]
        for mode in dict.fromkeys(c.mode for c in evidence.protected if c.method == method):
            outcomes = [outcome_of(evidence, judge, method, mode) for judge in judging]
            rows += _rows([outcome for outcome in outcomes if outcome is not None], alone)
            seconds.setdefault(method, {})[mode] = _seconds(evidence, method, mode)
    return {
        "version": installed_version(),
        "dataset": _dataset(evidence),
        "settings": evidence.plan.as_json(),
        "thresholds": {name: _thresholds(judge) for name, judge in judges.items()},
        "rows": rows,
        "notes": list(_notes(evidence)),
        "study": None,
        "timing": {"hardware": _hardware(networks), "seconds": seconds},
    }


def _rows(outcomes: Sequence[Outcome], alone: str) -> Iterator[Row]:
    """One row over all judges, and one for each."""
    trials = [trials_of(outcome) for outcome in outcomes]
    yield _row(outcomes, trials, POOLED, alone)
    for outcome, own in zip(outcomes, trials, strict=True):
        yield _row([outcome], [own], outcome.judge.name, alone)


def _row(outcomes: Sequence[Outcome], trials: Sequence[Trials], held_out: str, alone: str) -> Row:
    method, together = METHODS[outcomes[0].method], merged(trials)
    rates: Rates = {path: rate(hits).to_json() for path, hits in together.items()}

    def branch(*path: str) -> dict[str, RateReport]:
        return {p[-1]: r for p, r in rates.items() if p[:-1] == path}

    columns = dict.fromkeys(path[1] for path in rates if path[0] == "groups")
    galleries = dict.fromkeys(path[1] for path in rates if path[0] == "identification")
    own = rates.get(("verification", "own"))
    after = branch("transforms")
    worst = max(after, key=lambda name: after[name]["value"] or 0, default=None)
    return {
        "method": method.name,
        "title": method.title + (f" ({alone} held out alone)" if alone else ""),
        "kind": method.kind,
        "mode": outcomes[0].mode,
        "held_out": held_out,
        "photos": sum(len(outcome.inspections) for outcome in outcomes),
        "pairs": 0 if own is None else own["n"],
        "verification": branch("verification"),
        "margin": _margin(outcomes) if "verification" in outcomes[0].evidence.plan.protocols else None,
        "protected": branch("protected"),
        "target": branch("target") or None,
        "identification": {name: branch("identification", name) for name in galleries} or None,
        "transforms": {
            name: {"matched": matched, "found": rates["found", name]["value"]}
            for name, matched in after.items()
        },
        "mean": rates.get(("mean",)),
        "worst": None if worst is None else {"transform": worst, "matched": after[worst]},
        "any": rates.get(("any",)),
        "naturalness": _naturalness(outcomes, rates),
        "adaptive": {
            "head": rates.get(("adaptive", "head")),
            "untaught": rates.get(("adaptive", "untaught")),
            "detector_auc": _detector_auc(outcomes),
        },
        "strangers": {"rank": rates.get(("rank",)), "cohort": branch("cohort"), "linked": branch("linked")},
        "groups": {column: branch("groups", column) for column in columns},
        "people": {
            person: float(np.mean(hits)) for person, hits in together.get(("verification", "own"), {}).items()
        },
        "failures": [
            {"photo": photo, "held_out": outcome.judge.name, "why": reason}
            for outcome in outcomes
            for photo, reason in outcome.failures.items()
        ],
    }


def _margin(outcomes: Sequence[Outcome]) -> Margin | None:
    """The distance from a match of the pairs in which a face was found, the mean and the least."""
    margins = [o.judge.margin(pair) for o in outcomes for pair in o.pairs() if np.isfinite(pair.similarity)]
    return {"mean": float(np.mean(margins)), "least": min(margins)} if margins else None


# --- naturalness and the detector --------------------------------------------------------------------


def _naturalness(outcomes: Sequence[Outcome], rates: Rates) -> Naturalness:
    inspections = [result for outcome in outcomes for result in outcome.inspections.values()]
    usable = [name in outcome.usable for outcome in outcomes for name in outcome.inspections]

    def values(name: str) -> list[float]:
        return [value for result in inspections if (value := result.values[name]) is not None]

    distances = [d for outcome in outcomes if (d := _distances(outcome)) is not None]
    fids, kids, deviations = zip(*distances, strict=True) if distances else ((), (), ())
    found = rates.get(("found", "none"))
    return {
        "psnr": median_worst(values("psnr")),
        "ssim": median_worst(values("ssim")),
        "lpips": median_worst(values("lpips"), high_is_good=False),
        "fid": _mean(fids),
        "kid": {"value": float(np.mean(kids)), "deviation": _mean(deviations)} if kids else None,
        "agreement": _mean(values("agreement")),
        "found": None if found is None else found["value"],
        "usable": _mean(usable),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of the values that were measured."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _distances(outcome: Outcome) -> tuple[float, float, float | None] | None:
    """FID, KID and its deviation: of the photos that are compared, to the clean photos that are not."""
    features = np.array([result.arrays["features"] for result in outcome.inspections.values()])
    reference = np.array(
        [
            result.arrays["features"]
            for name, result in outcome.evidence.clean.items()
            if result.failed is None and name not in outcome.compared
        ]
    )
    if min(len(features), len(reference)) < 2:
        return None
    return frechet_distance(features, reference), *kernel_distance(features, reference)


def _detector_auc(outcomes: Sequence[Outcome]) -> AreaReport | None:
    """Clean photos against protected ones; the clean ones saved in the same way, if the plan has that row."""
    clean, hidden, people = [], [], []
    for outcome in outcomes:
        saved = outcome.evidence.protected.get(Condition("clean", "dodge", ""), {})
        for name, result in outcome.inspections.items():
            plain = saved[name][1] if name in saved else None
            if plain is None or plain.failed is not None:
                plain = outcome.evidence.clean[name]
            clean.append(plain.arrays["forensic"])
            hidden.append(result.arrays["forensic"])
            people.append(outcome.owners[name])
    area = adaptive.detector_auc(np.array(clean), np.array(hidden), people) if clean else None
    return None if area is None else area.to_json()


# --- the rest of the report --------------------------------------------------------------------------


def _dataset(evidence: Evidence) -> DatasetReport:
    dataset = evidence.dataset
    usable = [
        [evidence.clean[s.name] for s in shots if evidence.clean[s.name].failed is None]
        for shots in dataset.people.values()
    ]
    return {
        "layout": dataset.layout,
        "people": len(dataset.people),
        "compared": sum(len(inspections) > 1 for inspections in usable),
        "photos": len(dataset.shots),
        "probes": len(evidence.compared),
        "left_out": [{"photo": name, "why": why} for name, why in evidence.left_out.items()],
        "groups": {column: sorted(set(of.values())) for column, of in dataset.groups.items()},
    }


def _thresholds(judge: Judge) -> Thresholds:
    return {
        "metric": judge.metric,
        "own": judge.own,
        "far": {
            far: {"value": c.value, "source": c.source, "achieved": c.achieved}
            for far, c in judge.calibrations.items()
        },
    }


def _notes(evidence: Evidence) -> Iterator[str]:
    clean = [name for name, result in evidence.clean.items() if result.failed is None]
    rest = len(clean) - len(set(clean) & set(evidence.compared))
    yield (
        "FID and KID use features of aligned faces in the text-image model that reads prompts. Their"
        f" reference are the {rest} clean photos that were not protected for comparison, mostly of the same"
        " people. They are means over the recognisers held out. With few photos FID is far too high; compare"
        " it with the row of clean photos."
    )
    strangers = max((len(s) for s in evidence.strangers.values()), default=0)
    yield (
        f"Usable: the face is found again, and the SSIM in its box is {USABLE_SSIM} or more."
        " Identification: each person scores by the best of their photos, without the probe's own original,"
        f" among {strangers:,} generated strangers."
    )
    if evidence.cohorts:
        yield (
            f"A person's own threshold lets 1 % of their look-alikes through: {evidence.plan.look_alikes}"
            " generated people near the pivot of their last photo, whose scores are taken for normal. It"
            " rests on the generator: people whom it cannot draw well have worse look-alikes."
        )
    if "mobilefacenet-512" in evidence.specs:
        yield (
            "The encoder that begins an inversion reads features of MobileFaceNet-512, also where that"
            " recogniser is held out. The adversarial search does not use it then."
        )
    if evidence.targets:
        yield (
            "Impersonation: each owner has a target of their own, a generated person. The search gets one"
            " picture of the target; recognisers judge by another one, of the same pose and shape in another"
            " light. The two pictures of a target match each other, at the own thresholds, in"
            f" {_ceiling(evidence)}: no protection can do better."
        )
        failed = [person for person, target in evidence.targets.items() if target.failed is not None]
        if failed:
            yield f"These people had no target and impersonated no one: {', '.join(failed)}."
    why = perceptual.why_no_lpips()
    if why is not None:
        yield why


def _ceiling(evidence: Evidence) -> str:
    """The share of targets whose two pictures match each other, by recogniser."""
    alike = [target.values["alike"] for target in evidence.targets.values() if target.failed is None]
    names = alike[0] if alike else ()
    return (
        ", ".join(f"{sum(a[name] for a in alike)} of {len(alike)} cases by {name}" for name in names)
        or "no case"
    )


def _seconds(evidence: Evidence, method: str, mode: Mode) -> Seconds:
    seconds = [
        protection.values["seconds"]
        for condition, results in evidence.protected.items()
        if (condition.method, condition.mode) == (method, mode)
        for protection, _ in results.values()
        if protection.failed is None
    ]
    return {"median": float(np.median(seconds)) if seconds else None, "photos": len(seconds)}


def _hardware(networks: Networks) -> Hardware:
    cuda = networks.device != "cpu" and torch.cuda.is_available()
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "threads": "one thread of torch a process",
    }


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()

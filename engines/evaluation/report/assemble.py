"""From trials to the report: every figure of report.json, by recogniser held out and over all of them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from engines.config import Mode
from engines.evaluation.experiment import lpips
from engines.evaluation.experiment.methods import METHODS
from engines.evaluation.experiment.plan import Evidence, Row, shown
from engines.evaluation.experiment.tasks import Networks
from engines.evaluation.score import adaptive
from engines.evaluation.score.statistics import frechet_distance, kernel_distance, median_worst, rate
from engines.evaluation.score.trials import (
    USABLE_SSIM,
    Judge,
    Trials,
    Tried,
    judge_of,
    merged,
    trials_of,
    tried_by,
)


def judges_of(evidence: Evidence) -> dict[str, Judge]:
    """The recognisers that judge."""
    alone = (name.partition("@")[2] for name in evidence.plan.methods if "@" in name)
    return {name: judge_of(evidence, name) for name in (*(evidence.plan.held_out or evidence.specs), *alone)}


def assemble(evidence: Evidence, judges: Mapping[str, Judge], networks: Networks) -> dict[str, Any]:
    """The report, ready for JSON.  But for `timing` the same evidence gives the same report."""
    rows: list[dict[str, Any]] = []
    seconds: dict[str, dict[str, Any]] = {}
    for wanted in evidence.plan.methods:
        method, _, alone = wanted.partition("@")
        for mode in dict.fromkeys(row.mode for row in evidence.protected if row.method == method):
            judging = [judges[n] for n in ([alone] if alone else evidence.plan.held_out or evidence.specs)]
            tried = [tried_by(evidence, judge, method, mode) for judge in judging]
            rows += _rows([one for one in tried if one is not None], alone)
            seconds.setdefault(method, {})[mode] = _seconds(evidence, method, mode)
    return {
        "version": _version(),
        "dataset": _dataset(evidence),
        "settings": shown(evidence.plan),
        "thresholds": {name: _thresholds(judge) for name, judge in judges.items()},
        "rows": rows,
        "notes": list(_notes(evidence)),
        "study": None,
        "timing": {"hardware": _hardware(networks), "seconds": seconds},
    }


def _rows(tried: Sequence[Tried], alone: str) -> Iterator[dict[str, Any]]:
    """One row over all judges, and one for each."""
    method = METHODS[tried[0].method]
    trials = [trials_of(one) for one in tried]
    title = method.title + (f" ({alone} held out alone)" if alone else "")
    about = {"method": method.name, "title": title, "kind": method.kind, "mode": tried[0].mode}
    yield about | {"held_out": "all"} | _row(tried, trials)
    for one, answers in zip(tried, trials, strict=True):
        yield about | {"held_out": one.judge.name} | _row([one], [answers])


def _row(tried: Sequence[Tried], trials: Sequence[Trials]) -> dict[str, Any]:
    together = merged(trials)
    rates: dict[tuple[str, ...], Any] = {path: rate(hits).to_json() for path, hits in together.items()}

    def branch(*path: str) -> dict[str, Any]:
        return {p[-1]: r for p, r in rates.items() if p[:-1] == path}

    columns = dict.fromkeys(path[1] for path in rates if path[0] == "groups")
    galleries = dict.fromkeys(path[1] for path in rates if path[0] == "identification")
    transforms: dict[str, Any] = {
        name: {"matched": rates["transforms", name], "found": rates["found", name]["value"]}
        for name in branch("transforms")
    }
    worst = max(transforms, key=lambda name: transforms[name]["matched"]["value"] or 0, default=None)
    return {
        "photos": sum(len(one.looks) for one in tried),
        "pairs": rates.get(("verification", "own"), {"n": 0})["n"],
        "verification": branch("verification"),
        "margin": _margin(tried) if "verification" in tried[0].evidence.plan.protocols else None,
        "protected": branch("protected"),
        "target": branch("target") or None,
        "identification": {name: branch("identification", name) for name in galleries} or None,
        "transforms": transforms,
        "mean": rates.get(("mean",)),
        "worst": None if worst is None else {"transform": worst, "matched": transforms[worst]["matched"]},
        "any": rates.get(("any",)),
        "naturalness": _naturalness(tried, rates),
        "adaptive": {
            "head": rates.get(("adaptive", "head")),
            "untaught": rates.get(("adaptive", "untaught")),
            "detector_auc": _detector_auc(tried),
        },
        "groups": {column: branch("groups", column) for column in columns},
        "people": {
            person: float(np.mean(hits)) for person, hits in together.get(("verification", "own"), {}).items()
        },
        "failures": [failure for one in tried for failure in one.failures],
    }


def _margin(tried: Sequence[Tried]) -> dict[str, float] | None:
    """How far the pairs in which a face was found are from a match, the mean and the least."""
    found = [one.judge.margin(pair) for one in tried for pair in one.pairs() if np.isfinite(pair.similarity)]
    return {"mean": float(np.mean(found)), "least": min(found)} if found else None


# --- naturalness and the detector --------------------------------------------------------------------


def _naturalness(tried: Sequence[Tried], rates: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    looks = [look for one in tried for look in one.looks.values()]
    usable = [name in one.usable for one in tried for name in one.looks]

    def values(name: str) -> Iterator[float | None]:
        return (look.values[name] for look in looks)

    distances = [found for one in tried if (found := _distances(one)) is not None]
    fids, kids, deviations = zip(*distances, strict=True) if distances else ((), (), ())
    known = [d for d in deviations if d is not None]
    agreement = [v for v in values("agreement") if v is not None]
    return {
        "psnr": median_worst(values("psnr")),
        "ssim": median_worst(values("ssim")),
        "lpips": median_worst(values("lpips"), high_is_good=False),
        "fid": float(np.mean(fids)) if fids else None,
        "kid": {"value": float(np.mean(kids)), "deviation": float(np.mean(known)) if known else None}
        if kids
        else None,
        "agreement": float(np.mean(agreement)) if agreement else None,
        "found": rates["found", "none"]["value"] if ("found", "none") in rates else None,
        "usable": float(np.mean(usable)) if usable else None,
    }


def _distances(one: Tried) -> tuple[float, float, float | None] | None:
    """FID, KID and its deviation: of the photos that are compared, to the clean photos that are not."""
    clean = one.evidence.clean
    features = np.array([look.arrays["features"] for look in one.looks.values()])
    others = [
        look.arrays["features"] for n, look in clean.items() if look.failed is None and n not in one.first
    ]
    if min(len(features), len(others)) < 2:
        return None
    reference = np.array(others)
    return frechet_distance(features, reference), *kernel_distance(features, reference)


def _detector_auc(tried: Sequence[Tried]) -> dict[str, float] | None:
    """Clean photos beside protected ones, saved in the same way where the row of clean ones was asked for."""
    clean, hidden, people = [], [], []
    for one in tried:
        saved = one.evidence.protected.get(Row("clean", "dodge", ""), {})
        for name, look in one.looks.items():
            plain = (
                saved[name][1]
                if name in saved and saved[name][1].failed is None
                else one.evidence.clean[name]
            )
            clean.append(plain.arrays["forensic"])
            hidden.append(look.arrays["forensic"])
            people.append(one.owners[name])
    area = adaptive.detector_auc(np.array(clean), np.array(hidden), people) if clean else None
    return None if area is None else {"value": area.value, "low": area.low, "high": area.high}


# --- the rest of the report --------------------------------------------------------------------------


def _dataset(evidence: Evidence) -> dict[str, Any]:
    dataset = evidence.dataset
    usable = [
        [evidence.clean[s.name] for s in shots if evidence.clean[s.name].failed is None]
        for shots in dataset.people.values()
    ]
    return {
        "layout": dataset.layout,
        "people": len(dataset.people),
        "compared": sum(len(looks) > 1 for looks in usable),
        "photos": len(dataset.shots),
        "probes": len(evidence.compared),
        "left_out": [{"photo": name, "why": why} for name, why in evidence.left_out.items()],
        "groups": {column: sorted(set(of.values())) for column, of in dataset.groups.items()},
    }


def _thresholds(judge: Judge) -> dict[str, Any]:
    return {
        "metric": judge.metric,
        "own": judge.own,
        "far": {
            far: {"value": c.value, "source": c.source, "achieved": c.achieved}
            for far, c in judge.calibrations.items()
        },
    }


def _notes(evidence: Evidence) -> Iterator[str]:
    n = sum(
        1 for name, look in evidence.clean.items() if look.failed is None and name not in evidence.compared
    )
    yield (
        "FID and KID: features of the text-image model that prompts are read with, of aligned faces; the reference are"
        f" the {n} clean photos that were not protected for comparison, mostly of the same people; the mean over"
        " recognisers held out. So few photos make FID far too high; the row of clean photos says what no change gives."
    )
    found = max((len(s) for s in evidence.strangers.values()), default=0)
    yield (
        f"Usable: the face is found again and SSIM in its box is {USABLE_SSIM} or more."
        " Identification: each person by the best of their photos, the probe's own original left out,"
        f" among {found:,} generated strangers."
    )
    if "mobilefacenet-512" in evidence.specs:
        yield (
            "The encoder that begins an inversion reads features of MobileFaceNet-512, and does so too where that"
            " recogniser is held out; the adversarial search never asks it then."
        )
    if evidence.targets:
        yield (
            "Impersonation: the target is a generated person, another one for each owner; the search gets one picture,"
            " and another one of the same pose and shape in another light is judged by. The most that could match, at"
            f" the own thresholds: {_ceiling(evidence)}."
        )
        failed = [person for person, target in evidence.targets.items() if target.failed is not None]
        if failed:
            yield f"Without a target, and so not asked to impersonate: {', '.join(failed)}."
    why = lpips.why_no_lpips()
    if why is not None:
        yield why


def _ceiling(evidence: Evidence) -> str:
    """How often the two pictures of a target match each other."""
    alike = [target.values["alike"] for target in evidence.targets.values() if target.failed is None]
    names = alike[0] if alike else ()
    return (
        ", ".join(f"{sum(one[name] for one in alike)} of {len(alike)} by {name}" for name in names) or "none"
    )


def _seconds(evidence: Evidence, method: str, mode: Mode) -> dict[str, Any]:
    taken = [
        made.values["seconds"]
        for row, of in evidence.protected.items()
        if (row.method, row.mode) == (method, mode)
        for made, _ in of.values()
        if made.failed is None
    ]
    return {"median": float(np.median(taken)) if taken else None, "photos": len(taken)}


def _hardware(networks: Networks) -> dict[str, Any]:
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


def _version() -> str:
    try:
        return importlib.metadata.version("clip2protect")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"

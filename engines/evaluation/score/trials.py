"""Trials: every question that is put to a recogniser about protected photos, and how it was answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from engines.config import Mode
from engines.evaluation.experiment.methods import METHODS
from engines.evaluation.experiment.plan import Evidence, Row
from engines.evaluation.experiment.tasks import Result
from engines.evaluation.score import adaptive, protocols
from engines.evaluation.score.protocols import Faces, Gallery, Hits, Pair, Probe
from engines.evaluation.score.statistics import Calibration, calibrate
from engines.models.registry import Metric, ModelSpec, Threshold

FARS = (0.1, 0.01, 0.001)
#: A protected photo is of use where its face is found again and its SSIM, within the face's box, is no lower.
USABLE_SSIM = 0.8
#: A face is turned from where its nose is so far off the middle of the eyes, in parts of their distance.
TURNED = 0.15
#: Faces are grouped at these sizes, in px.
_SIZES = (100, 200, 400)
_RANKS = (1, 5)
_CLEAN, _MIXED, _PROTECTED = "clean", "mixed", "protected"
#: A clean photo looked for among protected ones: what a camera in the street does.
_CAMERA = "protected, probe clean"
#: Path of a figure in a row -> its trials by person.
Trials = dict[tuple[str, ...], Hits]


@dataclass(frozen=True)
class Judge:
    """A recogniser as a tracker has it: clean photos of everyone, generated strangers, thresholds."""

    name: str
    spec: ModelSpec
    references: Faces
    strangers: np.ndarray
    targets: Faces

    @property
    def metric(self) -> Metric:
        """How it compares."""
        return _threshold(self.spec).metric

    @property
    def own(self) -> float:
        """The threshold that `verify` goes by, as a similarity."""
        value = _threshold(self.spec).far_1pct
        return value if self.metric == "cosine" else -value

    @cached_property
    def calibrations(self) -> dict[str, Calibration]:
        """Thresholds by false accept rate."""
        real = protocols.impostors(self.references, self.metric)
        generated = protocols.strangers(self.references, self.strangers, self.metric)
        return {f"{far:g}": calibrate(real, generated, far) for far in FARS if len(real) or len(generated)}

    def margin(self, pair: Pair) -> float:
        """How far a pair is from a match: 0 at the own threshold, -1 at a typical pair of one person."""
        about = _threshold(self.spec)
        return (self.own - pair.similarity) / abs(about.same - about.far_1pct)

    @property
    def thresholds(self) -> dict[str, float]:
        """All of them, by name."""
        return {"own": self.own, **{far: c.value for far, c in self.calibrations.items()}}


def judge_of(evidence: Evidence, name: str) -> Judge:
    """A recogniser with what it knows: clean photos, strangers, the targets' second pictures."""
    references: dict[str, dict[str, np.ndarray]] = {}
    for shot in evidence.dataset.shots:
        seen = evidence.clean[shot.name].arrays.get(f"none/{name}")
        if seen is not None:
            references.setdefault(shot.person, {})[shot.name] = seen
    targets = {
        _target_name(person): {"other": target.arrays[name]}
        for person, target in evidence.targets.items()
        if name in target.arrays
    }
    return Judge(
        name, evidence.specs[name], references, evidence.strangers.get(name, np.empty((0, 0))), targets
    )


@dataclass(frozen=True)
class Tried:
    """One method in one mode before one judge: photos that were to be protected, and what came of those that were."""

    evidence: Evidence
    judge: Judge
    method: str
    mode: Mode
    found: dict[str, tuple[Result, Result]]

    @cached_property
    def first(self) -> list[str]:
        """Names of the photos that are compared: the others are protected for galleries."""
        return [name for name in self.evidence.compared if name in self.found]

    @cached_property
    def owners(self) -> dict[str, str]:
        return {shot.name: shot.person for shot in self.evidence.dataset.shots}

    @cached_property
    def looks(self) -> dict[str, Result]:
        """Looks at the photos that are compared, without those that failed."""
        return {name: look for name, look in self.every.items() if name in self.first}

    @cached_property
    def every(self) -> dict[str, Result]:
        """Looks at all photos that were protected."""
        return {name: look for name, (_, look) in self.found.items() if look.failed is None}

    @cached_property
    def usable(self) -> set[str]:
        return {
            name
            for name, look in self.looks.items()
            if f"none/{self.judge.name}" in look.arrays and look.values["ssim"] >= USABLE_SSIM
        }

    def probes(self, transform: str = "none") -> list[Probe]:
        """The photos that are compared, after a transform."""
        return self.as_probes(self.looks, transform)

    def as_probes(self, looks: Mapping[str, Result], transform: str = "none") -> list[Probe]:
        """What is looked for."""
        return [
            Probe(
                self.owners[name],
                name,
                look.arrays.get(f"{transform}/{self.judge.name}"),
                _target_name(self.owners[name]) if self.mode == "impersonate" else None,
            )
            for name, look in looks.items()
        ]

    def pairs(self, transform: str = "none") -> list[Pair]:
        """Protected photos beside clean ones of their owners."""
        return protocols.pairs(self.probes(transform), self.judge.references, self.judge.metric)

    @property
    def failures(self) -> list[dict[str, str]]:
        return [
            {"photo": name, "held_out": self.judge.name, "why": why}
            for name, (made, look) in self.found.items()
            if (why := made.failed or look.failed) is not None
        ]


def tried_by(evidence: Evidence, judge: Judge, method: str, mode: Mode) -> Tried | None:
    """What was tried while this recogniser was held out, None where nothing was."""
    held_out = judge.name if METHODS[method].searches else ""
    found = evidence.protected.get(Row(method, mode, held_out))
    return None if found is None else Tried(evidence, judge, method, mode, found)


def trials_of(one: Tried) -> Trials:
    """Every question of the plan's protocols, by the path of its figure in a row."""
    found: Trials = {}
    plan = one.evidence.plan
    if "verification" in plan.protocols:
        found |= _verification(one)
        found |= _robustness(one)
        found |= {("groups", *label): hits for label, hits in _groups(one).items()}
        if one.method in plan.closely:
            found["adaptive", "head"], found["adaptive", "untaught"] = (
                _adapted(one, True),
                _adapted(one, False),
            )
    if "identification" in plan.protocols:
        found |= _identification(one)
    return found


def _verification(one: Tried) -> Trials:
    found: Trials = {}
    beside_owner = one.pairs()
    beside_target = protocols.pairs(one.probes(), one.judge.targets, one.judge.metric, of="target")
    for name, threshold in one.judge.thresholds.items():
        found["verification", name] = protocols.matched(beside_owner, threshold)
        found["protected", name] = protocols.protected(beside_owner, threshold, one.usable)
        if one.mode == "impersonate":
            found["target", name] = protocols.matched(beside_target, threshold)
    return found


def _robustness(one: Tried) -> Trials:
    """At the recogniser's own threshold; the photo as it is, is no transform."""
    found: Trials = {}
    names = [name for name in one.evidence.plan.transforms if name != "none"]
    for name in names:
        found["transforms", name] = protocols.matched(one.pairs(name), one.judge.own)
        found["found", name] = _by_person((p.person, p.embedding is not None) for p in one.probes(name))
    found["found", "none"] = _by_person((p.person, p.embedding is not None) for p in one.probes())
    if names:
        runs = [one.pairs(name) for name in ["none", *names]]
        found[("mean",)] = merged([{("mean",): found["transforms", name]} for name in names]).get(
            ("mean",), {}
        )
        found[("any",)] = protocols.matched(protocols.strongest(runs), one.judge.own)
    return found


def _adapted(one: Tried, taught: bool) -> Hits:
    """The recogniser after it learnt from all protected photos of others, judged on those that are compared."""
    learnt = one.as_probes(one.every)
    judge = one.judge
    folds = adaptive.adapted_head(judge.references, learnt, judge.strangers, judge.metric, taught=taught)
    return adaptive.adapted_hits(
        [replace(fold, pairs=tuple(p for p in fold.pairs if p.photo in one.looks)) for fold in folds]
    )


def _groups(one: Tried) -> dict[tuple[str, str], Hits]:
    found: dict[tuple[str, str], list[Pair]] = {}
    for pair in one.pairs():
        for column, label in _labels(one.evidence, pair.person, one.evidence.clean[pair.photo]):
            found.setdefault((column, label), []).append(pair)
    return {label: protocols.matched(of, one.judge.own) for label, of in sorted(found.items())}


def _labels(evidence: Evidence, person: str, clean: Result) -> Iterator[tuple[str, str]]:
    """What a person and a photo are labelled with: size and pose by measure, the rest as the dataset says."""
    size = clean.values["size"]
    above = [limit for limit in _SIZES if size >= limit]
    below = [limit for limit in _SIZES if size < limit]
    span = f"{above[-1]} px or more" if not below else f"under {below[0]} px" if not above else ""
    yield "face size", span or f"{above[-1]} to {below[0]} px"
    yield "pose", "turned" if clean.values["turn"] > TURNED else "from the front"
    for column, of in evidence.dataset.groups.items():
        if person in of:
            yield column, of[person]


def _identification(one: Tried) -> Trials:
    found: Trials = {}
    metric = one.judge.metric
    for name, (gallery, probes) in _galleries(one).items():
        for rank, hits in protocols.identification(probes, gallery, metric, ranks=_RANKS).items():
            found["identification", name, f"rank{rank}"] = hits
        if one.mode == "impersonate":
            for rank, hits in protocols.identification(
                probes, gallery, metric, of="target", ranks=_RANKS
            ).items():
                found["identification", name, f"target_rank{rank}"] = hits
    return found


def _galleries(one: Tried) -> dict[str, tuple[Gallery, list[Probe]]]:
    """Galleries by name, each with who is looked for in it."""
    judge, probes = one.judge, one.probes()
    others = judge.strangers if len(judge.strangers) else None
    galleries = {_CLEAN: (Gallery.of(judge.references, judge.targets, distractors=others), probes)}
    dodging = tried_by(one.evidence, judge, one.method, "dodge")
    if one.method not in one.evidence.plan.closely or dodging is None:
        return galleries
    hidden = {name: look.arrays.get(f"none/{judge.name}") for name, look in dodging.every.items()}
    # Every second photo of those that can be found: half of what somebody has posted, or half of the people.
    rest = (name for of in judge.references.values() for name in of if name not in one.looks)
    second = {name for number, name in enumerate(rest) if number % 2 == 0}
    half = {name: face for name, face in hidden.items() if name in second}
    for name, instead in ((_MIXED, half), (_PROTECTED, hidden)):
        enrolled = Gallery.of(_instead(judge.references, instead), judge.targets, distractors=others)
        galleries[name] = enrolled, probes
    if one.mode == "dodge":
        as_they_are = [Probe(p.person, p.photo, judge.references[p.person][p.photo]) for p in probes]
        galleries[_CAMERA] = galleries[_PROTECTED][0], as_they_are
    return galleries


def _instead(references: Faces, protected: Mapping[str, np.ndarray | None]) -> Faces:
    """Faces with protected ones in the place of clean ones; None: a face that is not found, and so not enrolled."""
    known = {p: {n: protected.get(n, e) for n, e in of.items()} for p, of in references.items()}
    return {p: {n: e for n, e in of.items() if e is not None} for p, of in known.items()}


def _by_person(outcomes: Iterable[tuple[str, bool]]) -> Hits:
    hits: Hits = {}
    for person, outcome in outcomes:
        hits.setdefault(person, []).append(outcome)
    return hits


def merged(trials: Iterable[Trials]) -> Trials:
    """Trials before several judges as one: people stay people."""
    together: Trials = {}
    for one in trials:
        for path, hits in one.items():
            for person, outcomes in hits.items():
                together.setdefault(path, {}).setdefault(person, []).extend(outcomes)
    return together


def _threshold(spec: ModelSpec) -> Threshold:
    if spec.threshold is None:
        raise ValueError(f"{spec.name} is no recogniser")
    return spec.threshold


def _target_name(person: str) -> str:
    return f"target/{person}"

"""The trials of a method before a judge: comparisons of protected photos, by the figure that counts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from engines.config import Mode
from engines.evaluation.experiment.evidence import Evidence
from engines.evaluation.experiment.methods import METHODS
from engines.evaluation.experiment.plan import Condition
from engines.evaluation.experiment.tasks import Result
from engines.evaluation.score import adaptive, protocols
from engines.evaluation.score.protocols import Faces, Gallery, Hits, Pair, Probe
from engines.evaluation.score.statistics import Calibration, calibrate, cohort_threshold, similarities
from engines.models.registry import Metric, ModelSpec, Threshold

FARS = (0.1, 0.01, 0.001)
#: A protected photo is usable if its face is found again and the SSIM in the face's box is this high.
USABLE_SSIM = 0.8
#: The false accept rate of a person's own threshold, among look-alikes.
COHORT_FAR = 0.01
#: With so many people of a person's own groups, their photos are the strangers; with fewer, look-alikes are.
_ENOUGH_PEOPLE = 5
#: A face counts as turned above this distance of nose and middle of the eyes, in parts of the eyes' distance.
TURNED = 0.15
#: Limits of the groups by face size, in px.
_SIZES = (100, 200, 400)
_RANKS = (1, 5)
_CLEAN, _MIXED, _PROTECTED = "clean", "mixed", "protected"
#: A search for a clean photo among protected ones, as by a camera in the street.
_CAMERA = "protected, probe clean"
#: Path of a figure in a row -> its trials by person.
Trials = dict[tuple[str, ...], Hits]


@dataclass(frozen=True)
class Judge:
    """A recogniser as a tracker uses it: clean photos of everyone, generated strangers, thresholds.

    `cohorts` are look-alikes (K, D) of each person who is compared.  `peers` are the strangers (K, D) with
    whom each of them is ranked: real people of the same groups, or else the look-alikes.
    """

    name: str
    spec: ModelSpec
    references: Faces
    strangers: np.ndarray
    targets: Faces
    cohorts: Mapping[str, np.ndarray]
    peers: Mapping[str, np.ndarray]

    @property
    def metric(self) -> Metric:
        """The way it compares embeddings."""
        return _threshold(self.spec).metric

    @property
    def own(self) -> float:
        """The threshold of `clip2protect verify`, as a similarity."""
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

    @cached_property
    def own_thresholds(self) -> dict[str, float]:
        """The threshold of each clean photo whose owner has look-alikes, at `COHORT_FAR` among these."""
        return {
            name: cohort_threshold(similarities(self.metric, face[None], self.cohorts[person])[0], COHORT_FAR)
            for person, of in self.references.items()
            if len(self.cohorts.get(person, ())) > 1
            for name, face in of.items()
        }

    @property
    def thresholds(self) -> dict[str, float]:
        """All thresholds, by name."""
        return {"own": self.own, **{far: c.value for far, c in self.calibrations.items()}}


def judge_of(evidence: Evidence, name: str) -> Judge:
    """A recogniser with its clean photos, strangers, and the targets' second pictures."""
    references: dict[str, dict[str, np.ndarray]] = {}
    for shot in evidence.dataset.shots:
        embedding = evidence.clean[shot.name].arrays.get(f"none/{name}")
        if embedding is not None:
            references.setdefault(shot.person, {})[shot.name] = embedding
    targets = {
        _target_name(person): {"other": target.arrays[name]}
        for person, target in evidence.targets.items()
        if name in target.arrays
    }
    cohorts = {
        person: cohort.arrays[name] for person, cohort in evidence.cohorts.items() if name in cohort.arrays
    }
    return Judge(
        name,
        evidence.specs[name],
        references,
        evidence.strangers.get(name, np.empty((0, 0))),
        targets,
        cohorts,
        {person: _peers(evidence, references, cohorts, person) for person in references},
    )


def _peers(
    evidence: Evidence, references: Faces, cohorts: Mapping[str, np.ndarray], person: str
) -> np.ndarray:
    """The strangers (K, D) of a person: people with the same labels in every group, or else look-alikes."""
    groups = evidence.dataset.groups.values()
    labels = [of[person] for of in groups if person in of]
    alike = [
        other
        for other in references
        if other != person and [of[other] for of in groups if person in of and other in of] == labels
    ]
    if labels and len(alike) >= _ENOUGH_PEOPLE:
        return np.stack([face for other in alike for face in references[other].values()])
    return cohorts.get(person, np.empty((0, 0)))


@dataclass(frozen=True)
class Outcome:
    """One method in one mode before one judge: protection and inspection of every photo."""

    evidence: Evidence
    judge: Judge
    method: str
    mode: Mode
    results: dict[str, tuple[Result, Result]]

    @cached_property
    def compared(self) -> list[str]:
        """Names of the photos that are compared; the others are protected for galleries."""
        return [name for name in self.evidence.compared if name in self.results]

    @cached_property
    def owners(self) -> dict[str, str]:
        """Photo -> person."""
        return {shot.name: shot.person for shot in self.evidence.dataset.shots}

    @cached_property
    def inspections(self) -> dict[str, Result]:
        """Inspections of the photos that are compared, without failures."""
        return {name: result for name, result in self.all_inspections.items() if name in self.compared}

    @cached_property
    def all_inspections(self) -> dict[str, Result]:
        """Inspections of all protected photos, without failures."""
        return {name: result for name, (_, result) in self.results.items() if result.failed is None}

    @cached_property
    def usable(self) -> set[str]:
        """Names of the compared photos that are usable."""
        return {
            name
            for name, result in self.inspections.items()
            if f"none/{self.judge.name}" in result.arrays and result.values["ssim"] >= USABLE_SSIM
        }

    def probes(self, transform: str = "none") -> list[Probe]:
        """The photos that are compared, after a transform."""
        return self.as_probes(self.inspections, transform)

    def as_probes(self, inspections: Mapping[str, Result], transform: str = "none") -> list[Probe]:
        """Inspected photos as probes."""
        return [
            Probe(
                self.owners[name],
                name,
                result.arrays.get(f"{transform}/{self.judge.name}"),
                _target_name(self.owners[name]) if self.mode == "impersonate" else None,
            )
            for name, result in inspections.items()
        ]

    def pairs(self, transform: str = "none") -> list[Pair]:
        """Protected photos with clean ones of their owners."""
        return protocols.pairs(self.probes(transform), self.judge.references, self.judge.metric)

    @property
    def failures(self) -> dict[str, str]:
        """The photos that have no protection or no inspection, each with the reason."""
        return {
            name: reason
            for name, (protection, inspection) in self.results.items()
            if (reason := protection.failed or inspection.failed) is not None
        }


def outcome_of(evidence: Evidence, judge: Judge, method: str, mode: Mode) -> Outcome | None:
    """The outcome of a method while this judge was held out; None where the plan has no such condition."""
    held_out = judge.name if METHODS[method].searches else ""
    results = evidence.protected.get(Condition(method, mode, held_out))
    return None if results is None else Outcome(evidence, judge, method, mode, results)


def trials_of(outcome: Outcome) -> Trials:
    """All trials of the plan's protocols, by the path of their figure in a row."""
    trials: Trials = {}
    plan = outcome.evidence.plan
    if "verification" in plan.protocols:
        trials |= _verification(outcome)
        trials |= _robustness(outcome)
        trials |= _strangers(outcome)
        trials |= {("groups", *label): hits for label, hits in _groups(outcome).items()}
        if outcome.method in plan.closely:
            trials["adaptive", "head"], trials["adaptive", "untaught"] = (
                _adapted(outcome, True),
                _adapted(outcome, False),
            )
    if "identification" in plan.protocols:
        trials |= _identification(outcome)
    return trials


def _verification(outcome: Outcome) -> Trials:
    trials: Trials = {}
    beside_owner = outcome.pairs()
    beside_target = protocols.pairs(
        outcome.probes(), outcome.judge.targets, outcome.judge.metric, of="target"
    )
    for name, threshold in outcome.judge.thresholds.items():
        trials["verification", name] = protocols.matched(beside_owner, threshold)
        trials["protected", name] = protocols.protected(beside_owner, threshold, outcome.usable)
        if outcome.mode == "impersonate":
            trials["target", name] = protocols.matched(beside_target, threshold)
    return trials


def _strangers(outcome: Outcome) -> Trials:
    """Whether a protected photo is its owner's, their opposite's or a stranger's, and linked to others."""
    judge, probes = outcome.judge, outcome.probes()
    trials: Trials = {("rank",): protocols.ranked(probes, judge.references, judge.peers, judge.metric)}
    for name in ("none", *(t for t in outcome.evidence.plan.transforms if t != "none")):
        trials["cohort", name] = protocols.matched_by(outcome.pairs(name), judge.own_thresholds)
    if outcome.method not in outcome.evidence.plan.closely or outcome.mode != "dodge":
        return trials
    every = outcome.as_probes(outcome.all_inspections)
    linked = protocols.linked(every, judge.metric)
    for name, threshold in judge.thresholds.items():
        trials["linked", name] = protocols.matched(linked, threshold)
    trials["linked", "grown"] = protocols.grown(every, judge.references, judge.metric, judge.own)
    hidden: dict[str, dict[str, np.ndarray]] = {}
    for probe in every:
        if probe.embedding is not None:
            hidden.setdefault(probe.person, {})[probe.photo] = probe.embedding
    others = {
        person: np.stack([face for other in hidden if other != person for face in hidden[other].values()])
        for person in hidden
        if len(hidden) > 1
    }
    trials["linked", "rank"] = protocols.ranked(every, hidden, others, judge.metric)
    return trials


def _robustness(outcome: Outcome) -> Trials:
    """At the recogniser's own threshold; "none" is no transform."""
    trials: Trials = {}
    names = [name for name in outcome.evidence.plan.transforms if name != "none"]
    for name in names:
        trials["transforms", name] = protocols.matched(outcome.pairs(name), outcome.judge.own)
        trials["found", name] = _by_person((p.person, p.embedding is not None) for p in outcome.probes(name))
    trials["found", "none"] = _by_person((p.person, p.embedding is not None) for p in outcome.probes())
    if names:
        runs = [outcome.pairs(name) for name in ["none", *names]]
        trials[("mean",)] = merged([{("mean",): trials["transforms", name]} for name in names]).get(
            ("mean",), {}
        )
        trials[("any",)] = protocols.matched(protocols.strongest(runs), outcome.judge.own)
    return trials


def _adapted(outcome: Outcome, taught: bool) -> Hits:
    """The recogniser after it learnt from all protected photos of others; the compared photos judge it."""
    learnt = outcome.as_probes(outcome.all_inspections)
    judge = outcome.judge
    folds = adaptive.adapted_head(judge.references, learnt, judge.strangers, judge.metric, taught=taught)
    return adaptive.adapted_hits(
        [
            replace(fold, pairs=tuple(p for p in fold.pairs if p.photo in outcome.inspections))
            for fold in folds
        ]
    )


def _groups(outcome: Outcome) -> dict[tuple[str, str], Hits]:
    trials: dict[tuple[str, str], list[Pair]] = {}
    for pair in outcome.pairs():
        for column, label in _labels(outcome.evidence, pair.person, outcome.evidence.clean[pair.photo]):
            trials.setdefault((column, label), []).append(pair)
    return {label: protocols.matched(of, outcome.judge.own) for label, of in sorted(trials.items())}


def _labels(evidence: Evidence, person: str, clean: Result) -> Iterator[tuple[str, str]]:
    """The labels of a person and a photo: size and pose as measured, the others from the dataset."""
    size = clean.values["size"]
    above = [limit for limit in _SIZES if size >= limit]
    below = [limit for limit in _SIZES if size < limit]
    span = f"{above[-1]} px or more" if not below else f"under {below[0]} px" if not above else ""
    yield "face size", span or f"{above[-1]} to {below[0]} px"
    yield "pose", "turned" if clean.values["turn"] > TURNED else "from the front"
    for column, of in evidence.dataset.groups.items():
        if person in of:
            yield column, of[person]


def _identification(outcome: Outcome) -> Trials:
    trials: Trials = {}
    metric = outcome.judge.metric
    for name, (gallery, probes) in _galleries(outcome).items():
        for rank, hits in protocols.identification(probes, gallery, metric, ranks=_RANKS).items():
            trials["identification", name, f"rank{rank}"] = hits
        if outcome.mode == "impersonate":
            for rank, hits in protocols.identification(
                probes, gallery, metric, of="target", ranks=_RANKS
            ).items():
                trials["identification", name, f"target_rank{rank}"] = hits
    return trials


def _galleries(outcome: Outcome) -> dict[str, tuple[Gallery, list[Probe]]]:
    """Galleries by name, each with its probes."""
    judge, probes = outcome.judge, outcome.probes()
    others = judge.strangers if len(judge.strangers) else None
    galleries = {_CLEAN: (Gallery.of(judge.references, judge.targets, distractors=others), probes)}
    dodging = outcome_of(outcome.evidence, judge, outcome.method, "dodge")
    if outcome.method not in outcome.evidence.plan.closely or dodging is None:
        return galleries
    hidden = {name: look.arrays.get(f"none/{judge.name}") for name, look in dodging.all_inspections.items()}
    # Every second photo that can be found: half of a person's photos, or half of the people.
    rest = (name for of in judge.references.values() for name in of if name not in outcome.inspections)
    second = {name for number, name in enumerate(rest) if number % 2 == 0}
    half = {name: face for name, face in hidden.items() if name in second}
    for name, instead in ((_MIXED, half), (_PROTECTED, hidden)):
        enrolled = Gallery.of(_instead(judge.references, instead), judge.targets, distractors=others)
        galleries[name] = enrolled, probes
    if outcome.mode == "dodge":
        as_they_are = [Probe(p.person, p.photo, judge.references[p.person][p.photo]) for p in probes]
        galleries[_CAMERA] = galleries[_PROTECTED][0], as_they_are
    return galleries


def _instead(references: Faces, protected: Mapping[str, np.ndarray | None]) -> Faces:
    """Faces with protected ones in place of clean ones; a face that is not found (None) is not enrolled."""
    known = {p: {n: protected.get(n, e) for n, e in of.items()} for p, of in references.items()}
    return {p: {n: e for n, e in of.items() if e is not None} for p, of in known.items()}


def _by_person(outcomes: Iterable[tuple[str, bool]]) -> Hits:
    hits: Hits = {}
    for person, outcome in outcomes:
        hits.setdefault(person, []).append(outcome)
    return hits


def merged(trials: Iterable[Trials]) -> Trials:
    """Trials before several judges as one; the trials of a person stay together."""
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

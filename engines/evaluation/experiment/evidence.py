"""The evidence of an evaluation: the results of all tasks that a plan comes to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engines.errors import ConfigError
from engines.evaluation.experiment.dataset import Dataset, Shot
from engines.evaluation.experiment.methods import METHODS
from engines.evaluation.experiment.plan import NO_PAIRS, Case, Condition, Plan, cases, check
from engines.evaluation.experiment.results import Runner, Store
from engines.evaluation.experiment.tasks import (
    Inspection,
    LookAlikes,
    Networks,
    Protection,
    Result,
    Strangers,
    TargetPerson,
    Task,
)
from engines.load import RECOGNISERS
from engines.models import reference
from engines.models.registry import ModelSpec, get_spec

#: Called with the stage, the number of its tasks that are done, and the number of all.
OnTask = Callable[[str, int, int], None]
#: Generated people a task, and the first seeds of strangers and targets: far from the seeds that users name.
_BATCH, _STRANGERS, _TARGETS = 10, 10_000_000, 20_000_000
#: Distance of the seeds of two plans with successive seeds.
_APART = 100_000


@dataclass(frozen=True)
class Evidence:
    """All results, by the photo's name.

    `clean`: inspections of the photos as they are.  `protected`: by condition, protection and inspection of
    each photo; a failed protection stands for its inspection too.  `compared`: the photos whose protection is
    judged; the others are only enrolled or learnt from.  `strangers`: embeddings (N, D) by recogniser.
    `targets`: by person.  `cohorts`: look-alikes of each person who is compared.
    """

    dataset: Dataset
    plan: Plan
    specs: dict[str, ModelSpec]
    clean: dict[str, Result]
    compared: tuple[str, ...]
    strangers: dict[str, np.ndarray]
    targets: dict[str, Result]
    protected: dict[Condition, dict[str, tuple[Result, Result]]]
    cohorts: dict[str, Result]

    @property
    def left_out(self) -> dict[str, str]:
        """The photos that cannot be used, each with the reason."""
        return {name: result.failed for name, result in self.clean.items() if result.failed is not None}

    @property
    def judges(self) -> tuple[str, ...]:
        """The recognisers that judge in turn."""
        return self.plan.held_out or tuple(self.specs)


def recognisers(networks: Networks) -> dict[str, ModelSpec]:
    """The recognisers of a stack, by name."""
    if networks.reference is not None:
        return {name: reference.NETWORKS[name] for name in reference.RECOGNISERS}
    return {name: get_spec(name) for name in RECOGNISERS}


def fingerprint(dataset: Dataset, networks: Networks) -> dict[str, str]:
    """The identity of an evaluation: a hash of the photos and their owners, and the networks."""
    digest = hashlib.sha256()
    for shot in dataset.shots:
        digest.update(f"{shot.person}\n{shot.name}\n".encode() + hashlib.sha256(_read(shot)).digest())
    return {
        "photos": digest.hexdigest(),
        "networks": "embedded" if networks.reference is None else "reference",
    }


def gather(
    dataset: Dataset, plan: Plan, networks: Networks, store: Store, runner: Runner, on_task: OnTask
) -> Evidence:
    """Do all tasks of a plan whose results the store does not hold.

    Raises:
        ConfigError: no person has two photos that can be used.
        OutputError: a result cannot be kept.
        Clip2ProtectError: the runner's errors.
    """
    specs = recognisers(networks)
    check(plan, specs, dataset)
    photos = {shot.name: _read(shot) for shot in dataset.shots}

    def ask(stage: str, tasks: Sequence[Task]) -> list[Result]:
        return store.ask(tasks, runner, lambda done, total: on_task(stage, done, total))

    clean, targets, strangers = _originals(dataset, plan, networks, photos, ask)
    pictures = {p: t.arrays["photo"].tobytes() for p, t in targets.items() if t.failed is None}
    usable = _usable(dataset, clean, plan)
    planned = list(cases(plan, tuple(specs), usable, pictures))
    if not planned:
        raise ConfigError(NO_PAIRS)
    cohorts = _cohorts(usable, plan, networks, photos, ask)
    protected = _protected(planned, plan, networks, photos, ask)
    compared = tuple(dict.fromkeys(case.shot.name for case in planned if case.compared))
    drawn = _joined(strangers, specs)
    return Evidence(dataset, plan, specs, clean, compared, drawn, targets, protected, cohorts)


Ask = Callable[[str, Sequence[Task]], list[Result]]


def _originals(
    dataset: Dataset, plan: Plan, networks: Networks, photos: Mapping[str, bytes], ask: Ask
) -> tuple[dict[str, Result], dict[str, Result], list[Result]]:
    """Inspections of the clean photos by name, targets by person, and generated strangers."""
    inspections = [
        Inspection(networks, photos[shot.name], photos[shot.name], ("none",)) for shot in dataset.shots
    ]
    several = [person for person, shots in dataset.people.items() if len(shots) > 1] or list(dataset.people)
    people = several if "impersonate" in plan.modes else []
    targets = [TargetPerson(networks, _TARGETS + plan.seed * _APART + i) for i in range(len(people))]
    tasks: list[Task] = [*inspections, *targets, *_strangers(networks, plan)]
    results = iter(ask("photos and generated people", tasks))
    clean = {shot.name: next(results) for shot in dataset.shots}
    return clean, {person: next(results) for person in people}, list(results)


def _cohorts(
    people: Mapping[str, Sequence[Shot]],
    plan: Plan,
    networks: Networks,
    photos: Mapping[str, bytes],
    ask: Ask,
) -> dict[str, Result]:
    """Look-alikes of each person, from their last photo, which is the last one to be protected and judged."""
    if not plan.look_alikes or "verification" not in plan.protocols:
        return {}
    tasks = [LookAlikes(networks, photos[of[-1].name], plan.seed, plan.look_alikes) for of in people.values()]
    return dict(zip(people, ask("look-alikes", tasks), strict=True))


def _protected(
    planned: Sequence[Case], plan: Plan, networks: Networks, photos: Mapping[str, bytes], ask: Ask
) -> dict[Condition, dict[str, tuple[Result, Result]]]:
    """Protection and inspection of every case."""
    made = ask("protecting", [_protection(case, plan, networks, photos) for case in planned])
    whole = [(case, result) for case, result in zip(planned, made, strict=True) if result.failed is None]
    inspections = iter(ask("looking", [_inspection(*pair, plan, networks, photos) for pair in whole]))
    protected: dict[Condition, dict[str, tuple[Result, Result]]] = {}
    for case, result in zip(planned, made, strict=True):
        inspection = next(inspections) if result.failed is None else result
        protected.setdefault(case.condition, {})[case.shot.name] = result, inspection
    return protected


def _protection(case: Case, plan: Plan, networks: Networks, photos: Mapping[str, bytes]) -> Protection:
    condition, photo = case.condition, photos[case.shot.name]
    return Protection(
        networks, photo, condition.method, condition.mode, condition.held_out, case.target, plan.seed
    )


def _inspection(
    case: Case, protection: Result, plan: Plan, networks: Networks, photos: Mapping[str, bytes]
) -> Inspection:
    """The transforms are for photos that are compared; the others are only enrolled."""
    wanted = plan.transforms if case.compared and "verification" in plan.protocols else ()
    transforms = ("none", *(name for name in wanted if name != "none"))
    after = protection.arrays["photo"].tobytes()
    prompt = METHODS[case.condition.method].prompt
    return Inspection(networks, photos[case.shot.name], after, transforms, prompt)


def _usable(dataset: Dataset, clean: Mapping[str, Result], plan: Plan) -> dict[str, list[Shot]]:
    """Photos with a face, of people with two or more; if no one has two, of all people, to impersonate."""
    people = {
        person: [shot for shot in shots if clean[shot.name].failed is None]
        for person, shots in dataset.people.items()
    }
    several = {person: shots for person, shots in people.items() if len(shots) > 1}
    if several or "impersonate" not in plan.modes:
        return several
    return {person: shots for person, shots in people.items() if shots}


def _strangers(networks: Networks, plan: Plan) -> Iterator[Strangers]:
    first = _STRANGERS + plan.seed * _APART
    for start in range(0, plan.distractors, _BATCH):
        yield Strangers(networks, first + start, min(_BATCH, plan.distractors - start))


def _joined(drawn: Sequence[Result], specs: Mapping[str, ModelSpec]) -> dict[str, np.ndarray]:
    """The strangers' embeddings (N, D) by recogniser; none of a recogniser that has none."""
    parts = {r: [result.arrays[r] for result in drawn if r in result.arrays] for r in specs}
    return {r: np.concatenate(arrays) for r, arrays in parts.items() if arrays}


def _read(shot: Shot) -> bytes:
    """A photo's bytes; none of an unreadable file, which is then left out like any file that is no photo."""
    try:
        return shot.path.read_bytes()
    except OSError:
        return b""

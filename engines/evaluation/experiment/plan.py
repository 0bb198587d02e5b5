"""`evaluate`: a dataset in, a report out; everything between is tasks whose results are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from engines.config import Mode
from engines.errors import ConfigError
from engines.evaluation.experiment.dataset import Dataset, Shot
from engines.evaluation.experiment.methods import METHODS
from engines.evaluation.experiment.results import Runner, Store
from engines.evaluation.experiment.tasks import Look, Networks, Protect, Result, Strangers, Target
from engines.evaluation.experiment.transforms import TRANSFORMS
from engines.load import RECOGNISERS
from engines.models import reference
from engines.models.registry import ModelSpec, get_spec

Protocol = Literal["verification", "identification"]
#: What is being done, how much of it is done, and how much there is.
OnTask = Callable[[str, int, int], None]
#: Generated people a task, and the first seeds of strangers and targets: far from those that a user may name.
_BATCH, _STRANGERS, _TARGETS = 10, 10_000_000, 20_000_000
_NOBODY = (
    "nobody has two photos with a face: give two or more of at least one person, or ask by --mode impersonate whether"
    " photos can look like others"
)
#: Seeds of a plan lie so far apart.
_APART = 100_000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to evaluate.  Unknown names raise ConfigError with the list of known ones.

    A method is METHOD, or METHOD@RECOGNISER where that one alone is held out: for slow ones.  `impersonating` are
    those that are asked to impersonate too, if that is among the `modes`.  `per_person` photos of everyone with two
    or more are protected, and compared with the others; all of them by the methods that are looked at `closely`: a
    tracker enrols protected photos, or learns from them.  `held_out` are the recognisers that judge in turn, all if
    none is named.
    """

    methods: tuple[str, ...] = tuple(METHODS)
    protocols: tuple[Protocol, ...] = get_args(Protocol)
    modes: tuple[Mode, ...] = ("dodge",)
    transforms: tuple[str, ...] = tuple(TRANSFORMS)
    held_out: tuple[str, ...] = ()
    closely: tuple[str, ...] = ("balanced",)
    impersonating: tuple[str, ...] = ("balanced", "strong", "pgd", "mi-fgsm", "tip-im")
    per_person: int = 1
    distractors: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for what, named, known in (
            ("method", [name.partition("@")[0] for name in self.methods], METHODS),
            ("task", self.protocols, get_args(Protocol)),
            ("mode", self.modes, get_args(Mode)),
            ("transform", self.transforms, TRANSFORMS),
            ("method", (*self.closely, *self.impersonating), METHODS),
        ):
            unknown = [name for name in named if name not in known]
            if unknown:
                raise ConfigError(f"unknown {what} {unknown[0]!r}: choose from {', '.join(known)}")
        if not (self.methods and self.protocols and self.modes):
            raise ConfigError("name at least one method, one task and one mode")
        named = [name.partition("@")[0] for name in self.methods]
        if set(self.modes) == {"impersonate"} and not set(self.impersonating) & set(named):
            raise ConfigError("none of the methods impersonates: name one by --impersonating")
        twice = [name for name in named if named.count(name) > 1]
        if twice:
            raise ConfigError(f"{twice[0]!r} is named twice: name each method once")
        if self.per_person < 1 or self.distractors < 0:
            raise ConfigError("photos of a person must be 1 or more, and distractors 0 or more")


@dataclass(frozen=True)
class Row:
    """One way of protecting: what a photo's result depends on besides the photo."""

    method: str
    mode: Mode
    held_out: str


@dataclass(frozen=True)
class Evidence:
    """All that was found out, by photo's name.

    `clean` are the photos as they are, `protected` what was made of them and how it looks; `compared` are those whose
    protection is judged, the others are only enrolled or learnt from.  `strangers` (N, D) are by recogniser, `targets`
    by person.
    """

    dataset: Dataset
    plan: Plan
    specs: dict[str, ModelSpec]
    clean: dict[str, Result]
    compared: tuple[str, ...]
    strangers: dict[str, np.ndarray]
    targets: dict[str, Result]
    protected: dict[Row, dict[str, tuple[Result, Result]]]

    @property
    def left_out(self) -> dict[str, str]:
        """Photos that cannot be used, and why."""
        return {name: result.failed for name, result in self.clean.items() if result.failed is not None}


def recognisers(networks: Networks) -> dict[str, ModelSpec]:
    """The recognisers of a stack, by name."""
    if networks.reference is not None:
        return {name: reference.NETWORKS[name] for name in reference.RECOGNISERS}
    return {name: get_spec(name) for name in RECOGNISERS}


def check(plan: Plan, specs: Collection[str], dataset: Dataset) -> None:
    """Raises ConfigError where a plan names a recogniser that there is not, or there is nothing that it could do."""
    if all(len(shots) < 2 for shots in dataset.people.values()) and "impersonate" not in plan.modes:
        raise ConfigError(_NOBODY)
    alone = [name.partition("@")[2] for name in plan.methods if "@" in name]
    if unknown := [name for name in (*plan.held_out, *alone) if name not in specs]:
        raise ConfigError(f"unknown recogniser {unknown[0]!r}: choose from {', '.join(specs)}")


def about(dataset: Dataset, networks: Networks) -> dict[str, Any]:
    """What makes results those of one evaluation: the photos, by a hash of their bytes, and the networks."""
    digest = hashlib.sha256()
    for shot in dataset.shots:
        digest.update(f"{shot.person}\n{shot.name}\n".encode() + hashlib.sha256(_read(shot)).digest())
    return {
        "photos": digest.hexdigest(),
        "networks": "embedded" if networks.reference is None else "reference",
    }


def gather(
    dataset: Dataset, plan: Plan, networks: Networks, store: Store, runner: Runner, progress: OnTask
) -> Evidence:
    """Do all tasks of a plan that the store does not hold.

    Raises ConfigError where nobody has two photos that can be used, OutputError, and what the runner raises.
    """
    specs = recognisers(networks)
    check(plan, specs, dataset)

    def ask(what: str, tasks: Sequence[Any]) -> list[Result]:
        return store.ask(tasks, runner, lambda done, total: progress(what, done, total))

    photos = {shot.name: _read(shot) for shot in dataset.shots}
    several = [person for person, shots in dataset.people.items() if len(shots) > 1] or list(dataset.people)
    looks = [Look(networks, photos[shot.name], photos[shot.name], ("none",)) for shot in dataset.shots]
    wanted = several if "impersonate" in plan.modes else []
    targets = [Target(networks, _TARGETS + plan.seed * _APART + i) for i in range(len(wanted))]
    known = iter(ask("photos and generated people", [*looks, *targets, *_strangers(networks, plan)]))
    clean = {shot.name: next(known) for shot in dataset.shots}
    people = {person: next(known) for person in wanted}
    drawn = list(known)
    cases = list(_cases(plan, plan.held_out or tuple(specs), _usable(dataset, clean, plan), people))
    if not cases:
        raise ConfigError(_NOBODY)
    made = ask("protecting", [case.protect(networks, photos, plan) for case in cases])
    whole = [(case, one) for case, one in zip(cases, made, strict=True) if one.failed is None]
    seen = iter(ask("looking", [case.look(networks, photos, one, plan) for case, one in whole]))
    protected: dict[Row, dict[str, tuple[Result, Result]]] = {}
    for case, one in zip(cases, made, strict=True):
        protected.setdefault(case.row, {})[case.shot.name] = (
            one,
            (one if one.failed is not None else next(seen)),
        )
    strangers = {
        r: np.concatenate(s) for r in specs if (s := [one.arrays[r] for one in drawn if r in one.arrays])
    }
    compared = tuple(dict.fromkeys(case.shot.name for case in cases if case.compared))
    return Evidence(dataset, plan, specs, clean, compared, strangers, people, protected)


@dataclass(frozen=True)
class _Case:
    """A photo that one way of protecting is tried on; whom to resemble, if anybody; whether it is compared."""

    row: Row
    shot: Shot
    target: bytes | None
    compared: bool

    def protect(self, networks: Networks, photos: Mapping[str, bytes], plan: Plan) -> Protect:
        row = self.row
        return Protect(
            networks, photos[self.shot.name], row.method, row.mode, row.held_out, self.target, plan.seed
        )

    def look(self, networks: Networks, photos: Mapping[str, bytes], made: Result, plan: Plan) -> Look:
        """What is only enrolled is looked at as it is."""
        wanted = plan.transforms if self.compared and "verification" in plan.protocols else ()
        transforms = ("none", *(name for name in wanted if name != "none"))
        after = made.arrays["photo"].tobytes()
        return Look(networks, photos[self.shot.name], after, transforms, METHODS[self.row.method].prompt)


def _cases(
    plan: Plan, held_out: tuple[str, ...], everyone: dict[str, list[Shot]], targets: Mapping[str, Result]
) -> Iterator[_Case]:
    for row in dict.fromkeys(row for wanted in plan.methods for row in _rows(wanted, plan, held_out)):
        closely = row.method in plan.closely and row.mode == "dodge"
        for person, shots in everyone.items():
            if row.mode == "dodge" and len(shots) < 2:
                continue
            target = None
            if row.mode == "impersonate":
                if person not in targets or targets[person].failed is not None:
                    continue
                target = targets[person].arrays["photo"].tobytes()
            for number, shot in enumerate(shots):
                if number < plan.per_person or closely:
                    yield _Case(row, shot, target, number < plan.per_person)


def _rows(wanted: str, plan: Plan, held_out: tuple[str, ...]) -> Iterator[Row]:
    """A method's rows, mode by mode; what works against nobody has one, which everybody judges."""
    method, _, alone = wanted.partition("@")
    if not METHODS[method].searches:
        yield Row(method, "dodge", "")
        return
    for mode in plan.modes:
        if mode == "dodge" or method in plan.impersonating:
            yield from (Row(method, mode, name) for name in ((alone,) if alone else held_out))


def _usable(dataset: Dataset, clean: dict[str, Result], plan: Plan) -> dict[str, list[Shot]]:
    """Photos with a face, of everyone with two or more of them; of everyone, to impersonate, where nobody has."""
    found = {
        person: [shot for shot in shots if clean[shot.name].failed is None]
        for person, shots in dataset.people.items()
    }
    several = {person: shots for person, shots in found.items() if len(shots) > 1}
    if several or "impersonate" not in plan.modes:
        return several
    return {person: shots for person, shots in found.items() if shots}


def _strangers(networks: Networks, plan: Plan) -> Iterator[Strangers]:
    for start in range(0, plan.distractors, _BATCH):
        yield Strangers(
            networks, _STRANGERS + plan.seed * _APART + start, min(_BATCH, plan.distractors - start)
        )


def _read(shot: Shot) -> bytes:
    """A photo's bytes; none of one that cannot be read, which is then left out as any other that is no photo."""
    try:
        return shot.path.read_bytes()
    except OSError:
        return b""


def shown(plan: Plan) -> dict[str, Any]:
    """A plan, ready for JSON."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(plan).items()}

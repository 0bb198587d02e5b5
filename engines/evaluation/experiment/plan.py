"""The plan of an evaluation: which methods protect which photos, under which conditions, and who judges."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from engines.config import Mode
from engines.errors import ConfigError
from engines.evaluation.experiment.dataset import Dataset, Shot
from engines.evaluation.experiment.methods import METHODS
from engines.evaluation.experiment.transforms import TRANSFORMS

Protocol = Literal["verification", "identification"]
#: Why an evaluation of photos cannot begin or go on.
NO_PAIRS = (
    "no person has two photos with a face: give two or more of at least one person, or ask by --mode"
    " impersonate whether photos can look like others"
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to evaluate.

    `methods`: METHOD, or METHOD@RECOGNISER, which holds out that recogniser alone (for slow methods).
    `impersonating`: the methods that also impersonate, if `modes` has that mode.
    `per_person`: how many photos of each person with two or more are protected, and compared with the others.
    `closely`: the methods that protect all photos, for trackers that enrol them or learn from them.
    `held_out`: the recognisers that judge in turn; all if the tuple is empty.
    `look_alikes`: how many generated people like each person set that person's own threshold.

    Raises:
        ConfigError: a name is unknown (the message lists the known ones), or there is nothing to do.
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
    look_alikes: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        methods = [method for method, _ in self.entries]
        for what, named, known in (
            ("method", methods, METHODS),
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
        if set(self.modes) == {"impersonate"} and not set(self.impersonating) & set(methods):
            raise ConfigError("none of the methods impersonates: name one by --impersonating")
        twice = [name for name in methods if methods.count(name) > 1]
        if twice:
            raise ConfigError(f"{twice[0]!r} is named twice: name each method once")
        if self.per_person < 1 or self.distractors < 0:
            raise ConfigError("photos of a person must be 1 or more, and distractors 0 or more")
        if self.look_alikes < 0 or self.look_alikes == 1:
            raise ConfigError("a threshold needs two look-alikes or more; 0 leaves it out")

    @property
    def entries(self) -> list[tuple[str, str]]:
        """Each method with the recogniser that it holds out alone, or with ""."""
        return [(method, alone) for method, _, alone in (entry.partition("@") for entry in self.methods)]

    @property
    def alone(self) -> list[str]:
        """The recognisers that single methods hold out alone."""
        return [alone for _, alone in self.entries if alone]

    def as_json(self) -> dict[str, Any]:
        """The plan, ready for JSON."""
        return {k: list(value) if isinstance(value, tuple) else value for k, value in asdict(self).items()}


@dataclass(frozen=True)
class Condition:
    """The condition under which photos are protected; `held_out` is "" for methods that use no recogniser."""

    method: str
    mode: Mode
    held_out: str


@dataclass(frozen=True)
class Case:
    """A photo under a condition; the picture of its target in mode impersonate.

    `compared`: the protected photo is judged, and not only enrolled or learnt from.
    """

    condition: Condition
    shot: Shot
    target: bytes | None
    compared: bool


def check(plan: Plan, recognisers: Collection[str], dataset: Dataset) -> None:
    """Raises ConfigError where a plan names an unknown recogniser, or where no photo can be evaluated."""
    if all(len(shots) < 2 for shots in dataset.people.values()) and "impersonate" not in plan.modes:
        raise ConfigError(NO_PAIRS)
    if unknown := [name for name in (*plan.held_out, *plan.alone) if name not in recognisers]:
        raise ConfigError(f"unknown recogniser {unknown[0]!r}: choose from {', '.join(recognisers)}")


def cases(
    plan: Plan, recognisers: tuple[str, ...], people: Mapping[str, list[Shot]], targets: Mapping[str, bytes]
) -> Iterator[Case]:
    """The cases of a plan, condition by condition.

    `people` have photos with a face, `targets` the picture of each person's target.  A person without a
    target impersonates no one.
    """
    for condition in _conditions(plan, plan.held_out or recognisers):
        closely = condition.method in plan.closely and condition.mode == "dodge"
        for person, shots in people.items():
            if condition.mode == "dodge" and len(shots) < 2:
                continue
            if condition.mode == "impersonate" and person not in targets:
                continue
            target = targets[person] if condition.mode == "impersonate" else None
            for number, shot in enumerate(shots):
                if number < plan.per_person or closely:
                    yield Case(condition, shot, target, number < plan.per_person)


def _conditions(plan: Plan, held_out: tuple[str, ...]) -> Iterator[Condition]:
    """The conditions of every method, mode by mode; a method without surrogates has one, which all judge."""
    for method, alone in plan.entries:
        if not METHODS[method].searches:
            yield Condition(method, "dodge", "")
            continue
        for mode in plan.modes:
            if mode == "dodge" or method in plan.impersonating:
                yield from (Condition(method, mode, name) for name in ((alone,) if alone else held_out))

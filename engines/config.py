"""Settings of one protection, validated once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from engines.errors import ConfigError

Mode = Literal["dodge", "impersonate"]
Level = Literal["subtle", "balanced", "strong"]
Faces = Literal["all", "largest", "mine"]
Render = Literal["residual", "generator"]
#: Parts of the method that an ablation can leave out.  `freezing` keeps the rows of W+ that hold pose and
#: shape; `robustness` damages and misaligns what the surrogates get.
Part = Literal["freezing", "robustness"]

#: Words with a meaning of their own: no guidance by text, and a choice that is left to the program.
NO_PROMPT, AUTO = "none", "auto"

#: Recognisers that the search uses by default.  The others only judge the result.
DEFAULT_SURROGATES = ("mobilefacenet-512", "mobilefacenet-192")
#: Search steps of a face.
STEPS = 30
#: Steps of pivotal tuning where the generator's own pixels are pasted (the paper, section 4).
TUNING_STEPS = 150
#: Seeds of the generated faces among which `auto` chooses the target.
AUTO_SEEDS = (0, 1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Defaults that go with a stack of networks."""

    render: Render
    surrogates: tuple[str, ...]
    text_model: str
    steps: int = STEPS


#: Stacks by name: ours, and the paper's with its settings (section 4), where MobileFace only judges.
PROFILES = {
    "embedded": Profile(render="residual", surrogates=DEFAULT_SURROGATES, text_model="embedded"),
    "reference": Profile(
        render="generator", surrogates=("ir152", "irse50", "facenet"), text_model="reference", steps=50
    ),
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """The person whom a face comes to resemble: a generated face by its seed, or the largest face of a photo.

    Several `seeds` leave the choice to short searches.  `photo` holds the bytes of a file and goes before
    them.
    """

    seeds: tuple[int, ...] = (0,)
    photo: bytes | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Target:
        """`synthetic`, `synthetic:SEED` or `auto` as a target.  Raises ConfigError for anything else."""
        if text == AUTO:
            return cls(seeds=AUTO_SEEDS)
        kind, _, seed = text.partition(":")
        if kind == "synthetic" and (text == kind or seed.isdecimal()):
            return cls(seeds=(int(seed or 0),))
        raise ConfigError(f"target {text}: the seed must be a whole number, as in synthetic:7")

    def __str__(self) -> str:
        """The target as `parse` reads it; a photo is named as such, because its bytes are private."""
        if self.photo is not None:
            return "photo"
        return f"synthetic:{self.seeds[0]}" if len(self.seeds) == 1 else AUTO


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to protect a photo.

    `target` is the person to resemble; without one the face dodges recognition.  `surrogates` are names of
    recognisers.  `steps` are search steps of a face.  `tuning_steps` fine-tunes the generator around the
    pivot (None: as `tuning` says).  `prompt` describes the makeup in words, or is a preset's name, `auto` or
    `none`; `source_text` describes the face without it.  `without` names parts of the method to leave out,
    for ablation.

    Raises ConfigError for an unknown value, with the list of known ones.
    """

    target: Target | None = None
    level: Level = "balanced"
    faces: Faces = "all"
    render: Render = "residual"
    surrogates: tuple[str, ...] = DEFAULT_SURROGATES
    steps: int = STEPS
    tuning_steps: int | None = None
    seed: int = 0
    prompt: str = "natural"
    source_text: str = "no makeup"
    without: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        for name, kind in (("level", Level), ("faces", Faces), ("render", Render)):
            if getattr(self, name) not in get_args(kind):
                known = ", ".join(get_args(kind))
                raise ConfigError(f"unknown {name} {getattr(self, name)!r}: choose one of {known}")
        for part in self.without:
            if part not in get_args(Part):
                raise ConfigError(f"unknown part {part!r}: choose from {', '.join(get_args(Part))}")
        if not self.surrogates:
            raise ConfigError("at least one surrogate is needed")
        if self.steps < 1:
            raise ConfigError(f"steps must be 1 or more, not {self.steps}")
        if self.tuning_steps is not None and self.tuning_steps < 0:
            raise ConfigError(f"tuning steps must be 0 or more, not {self.tuning_steps}")

    @property
    def mode(self) -> Mode:
        """`impersonate` with a target, else `dodge`."""
        return "dodge" if self.target is None else "impersonate"

    @property
    def tuning(self) -> int:
        """Steps of pivotal tuning.

        Residual rendering needs no exact pivot and is better without tuning, which leaves marks in the
        picture.
        """
        if self.tuning_steps is not None:
            return self.tuning_steps
        return TUNING_STEPS if self.render == "generator" else 0

    def as_options(self) -> dict[str, Any]:
        """The settings ready for JSON: every field, `mode`, and `target` as text."""
        options = {f.name: getattr(self, f.name) for f in fields(self)}
        target = None if self.target is None else str(self.target)
        return options | {"mode": self.mode, "target": target, "tuning_steps": self.tuning}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Settings:
        """The settings of JSON as `as_options` gives it.

        A missing option has its default, and `target` may be a seed.

        Raises ConfigError for unknown values, a target without `mode` impersonate, and a photo as target.
        """
        values = {**options}
        mode, target = values.pop("mode", "dodge"), values.pop("target", None)
        if mode not in get_args(Mode):
            raise ConfigError(f"unknown mode {mode!r}: choose one of {', '.join(get_args(Mode))}")
        if mode == "dodge" and target is not None:
            raise ConfigError("target needs mode=impersonate")
        if mode == "impersonate":
            values["target"] = (
                Target(seeds=(target,)) if isinstance(target, int) else Target.parse(target or "synthetic")
            )
        for name in ("surrogates", "without"):
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)

"""Settings of one protection, validated once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from engines.errors import ConfigError

Mode = Literal["dodge", "impersonate"]
Level = Literal["subtle", "balanced", "strong"]
Faces = Literal["all", "largest", "mine"]
Render = Literal["residual", "generator"]
#: What the search does for looks and for robustness, and can be left out to see what it is worth: rows of W+ that hold
#: pose and shape are frozen; what the surrogates see is damaged and misaligned.
Part = Literal["freezing", "robustness"]

#: Words with a meaning of their own: no guidance, and the choice left to the program.
NO_PROMPT, AUTO = "none", "auto"

#: Recognisers that the search may see by default; every other one only judges the result.
DEFAULT_SURROGATES = ("mobilefacenet-512", "mobilefacenet-192")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a stack of networks is used with where nothing else is said."""

    render: Render
    surrogates: tuple[str, ...]
    text_model: str
    steps: int | None = None


#: Stacks by name: ours, and the paper's with its settings (section 4); MobileFace is the one that only judges.
PROFILES = {
    "embedded": Profile(render="residual", surrogates=DEFAULT_SURROGATES, text_model="embedded"),
    "reference": Profile(
        render="generator", surrogates=("ir152", "irse50", "facenet"), text_model="reference", steps=50
    ),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to protect a photo.

    `surrogates` are names of recognisers.  `target` is the face to resemble when impersonating: the
    seed of a generated face, the bytes of a photo, or `auto`.  `steps` are search steps a face, `None` for
    the level's own.  `tuning_steps` > 0 fine-tunes the generator around the pivot (generator
    rendering does it anyway).  `prompt` says in words what makeup the change should look like, or is a
    preset's name, `auto` or `none`; `source_text` says what there is without it.  `without` names parts of the
    method to leave out, for ablation.  Unknown values raise ConfigError with the list of known ones.
    """

    mode: Mode = "dodge"
    level: Level = "balanced"
    faces: Faces = "all"
    render: Render = "residual"
    surrogates: tuple[str, ...] = DEFAULT_SURROGATES
    target: int | bytes | Literal["auto"] = field(default=0, repr=False)
    steps: int | None = None
    tuning_steps: int | None = None
    seed: int = 0
    prompt: str = "natural"
    source_text: str = "no makeup"
    without: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        for name, kind in (("mode", Mode), ("level", Level), ("faces", Faces), ("render", Render)):
            if getattr(self, name) not in get_args(kind):
                known = ", ".join(get_args(kind))
                raise ConfigError(f"unknown {name} {getattr(self, name)!r}: choose one of {known}")
        for part in self.without:
            if part not in get_args(Part):
                raise ConfigError(f"unknown part {part!r}: choose from {', '.join(get_args(Part))}")
        if not self.surrogates:
            raise ConfigError("at least one surrogate is needed")
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"steps must be 1 or more, not {self.steps}")
        if self.tuning_steps is not None and self.tuning_steps < 0:
            raise ConfigError(f"tuning steps must be 0 or more, not {self.tuning_steps}")

"""The rows of the table: ours at each level and without its parts, baselines, controls, the paper's schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from engines.config import NO_PROMPT, Mode, Settings, Target
from engines.errors import NoFaceError
from engines.evaluation.experiment import baselines
from engines.face.crop import AlignedFace
from engines.face.detect import detect
from engines.face.recognise import Identity, Recogniser
from engines.latent.invert import invert
from engines.latent.render import Rendering, composite, render
from engines.latent.scene import BUDGETS
from engines.latent.target import photo_identity
from engines.networks.frame import MASK_WINDOW
from engines.photo.decode import Photo
from engines.photo.encode import encode
from engines.pipeline import protect
from engines.stack import Stack

Kind = Literal["control", "ours", "ablation", "paper", "baseline"]
#: The level whose budget the baselines have, and the prompt that is measured where there is one.
LEVEL, PROMPT = Settings().level, Settings().prompt
#: Search steps of the paper (section 4).
_PAPER_STEPS = 50


@dataclass(frozen=True)
class Case:
    """A face to protect, and against whom."""

    face: AlignedFace
    surrogates: list[Recogniser]
    target: Identity | None
    gray: bool
    seed: int


Attack = Callable[..., Rendering]
Change = Callable[[Stack, Case], Rendering]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to protect a photo: by `protect()` with these `settings`, by another `change` of the face, or not at all.

    `searches` is whether it works against surrogates: what does not is the same whoever is held out and whatever the
    mode.  `alone` takes one surrogate in place of all.
    """

    name: str
    title: str
    kind: Kind
    settings: Mapping[str, Any] | None = None
    change: Change | None = None
    searches: bool = True
    alone: bool = False

    @property
    def prompt(self) -> str:
        """The makeup that it is asked for."""
        return NO_PROMPT if self.settings is None else self.settings.get("prompt", PROMPT)


def _attacking(attack: Attack) -> Change:
    def change(_: Stack, case: Case) -> Rendering:
        budget = BUDGETS[LEVEL]
        return attack(case.face, case.surrogates, budget, case.target, gray=case.gray, seed=case.seed)

    return change


def _covering(cover: Callable[[AlignedFace], Rendering]) -> Change:
    return lambda _, case: cover(case.face)


def _inverted(stack: Stack, case: Case) -> Rendering:
    """The face as the generator draws its pivot, which nothing was searched for."""
    pivot = invert(stack.preview, case.face.crop, encoder=stack.encoder)
    with torch.no_grad():
        image = stack.generator(pivot, window=MASK_WINDOW)
    return render("generator", image, image, gray=case.gray)


def _table(*methods: Method) -> dict[str, Method]:
    return {method.name: method for method in methods}


METHODS = _table(
    Method(name="clean", title="the photo itself", kind="control", searches=False),
    Method(
        name="grey",
        title="the face under grey",
        kind="control",
        change=_covering(baselines.greyed),
        searches=False,
    ),
    Method(name="inverted", title="inverted only", kind="control", change=_inverted, searches=False),
    Method(name="blur", title="blur", kind="baseline", change=_covering(baselines.blurred), searches=False),
    Method(
        name="pixelate",
        title="pixelation",
        kind="baseline",
        change=_covering(baselines.pixelated),
        searches=False,
    ),
    Method(name="balanced", title="ours, balanced", kind="ours", settings={}),
    Method(name="subtle", title="ours, subtle", kind="ours", settings={"level": "subtle"}),
    Method(name="strong", title="ours, strong", kind="ours", settings={"level": "strong"}),
    Method(name="pgd", title="PGD", kind="baseline", change=_attacking(baselines.pgd)),
    Method(
        name="pgd-whole",
        title="PGD, SSIM held too",
        kind="baseline",
        change=_attacking(partial(baselines.pgd, whole=True)),
    ),
    Method(
        name="mi-fgsm", title="MI-FGSM, diverse input", kind="baseline", change=_attacking(baselines.mi_fgsm)
    ),
    Method(name="tip-im", title="after TIP-IM", kind="baseline", change=_attacking(baselines.tip_im)),
    Method(name="no-text", title="balanced without text", kind="ablation", settings={"prompt": NO_PROMPT}),
    Method(
        name="no-freezing",
        title="balanced without frozen rows",
        kind="ablation",
        settings={"without": ("freezing",)},
    ),
    Method(
        name="no-robustness",
        title="balanced without robust views",
        kind="ablation",
        settings={"without": ("robustness",)},
    ),
    Method(name="no-ensemble", title="balanced with one surrogate", kind="ablation", settings={}, alone=True),
    Method(
        name="no-tuning",
        title="the paper's without tuning",
        kind="ablation",
        settings={"render": "generator", "steps": _PAPER_STEPS, "tuning_steps": 0},
    ),
    Method(
        name="paper",
        title="the paper's schedule and rendering",
        kind="paper",
        settings={"render": "generator", "steps": _PAPER_STEPS},
    ),
)


def apply(
    method: Method, stack: Stack, photo: Photo, *, mode: Mode, held_out: str, target: bytes | None, seed: int
) -> bytes:
    """A photo with its largest face protected, encoded in its own format; `held_out` takes no part.

    `target` is a photo of whom to resemble.  Raises NoFaceError, ConfigError, OutputError.
    """
    surrogates = tuple(name for name in stack.recognisers if name != held_out)[: 1 if method.alone else None]
    if method.settings is not None:
        wanted = {"faces": "largest", "surrogates": surrogates, "seed": seed, **method.settings}
        if target is not None:
            wanted["target"] = Target(photo=target)
        return protect(photo, stack, Settings(**wanted)).data
    pixels = photo.pixels
    if method.change is not None:
        face = _largest(stack, pixels)
        person = None if target is None else photo_identity(stack, target)
        case = Case(face, stack.choose(surrogates), person, photo.gray, seed)
        pixels = composite(pixels, face, method.change(stack, case))
    return encode(photo, pixels)


def _largest(stack: Stack, pixels: np.ndarray) -> AlignedFace:
    found = detect(stack.detector, pixels)
    if not found:
        raise NoFaceError("no face was found")
    return AlignedFace.cut(pixels, found[0], stack.device)

"""The methods to compare: ours at each level and without its parts, baselines, controls, the paper's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from engines.config import NO_PROMPT, Mode, Settings, Target
from engines.errors import NoFaceError
from engines.evaluation.experiment import baselines
from engines.evaluation.experiment.baselines import PixelAttack, Problem
from engines.face.crop import AlignedFace
from engines.face.detect import detect
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


Change = Callable[[Stack, Problem], Rendering]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to protect a photo: `protect()` with these `settings`, another `change` of the face, or neither.

    `searches`: it works against surrogates.  A method that does not gives the same result whichever
    recogniser is held out and whatever the mode.  `alone`: it takes one surrogate in place of all.
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
        """The prompt of its makeup."""
        return NO_PROMPT if self.settings is None else self.settings.get("prompt", PROMPT)


def _covering(cover: Callable[[AlignedFace], Rendering]) -> Change:
    return lambda _, problem: cover(problem.face)


def _attacking(attack: PixelAttack) -> Change:
    return lambda _, problem: attack.protect(problem)


def _inverted(stack: Stack, problem: Problem) -> Rendering:
    """The face as the generator draws its pivot, before any search."""
    pivot = invert(stack.preview, problem.face.crop, encoder=stack.encoder)
    with torch.no_grad():
        image = stack.generator(pivot, window=MASK_WINDOW)
    return render("generator", image, image, gray=problem.gray)


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
    Method(name="pgd", title="PGD", kind="baseline", change=_attacking(baselines.PGD)),
    Method(
        name="pgd-whole", title="PGD, SSIM held too", kind="baseline", change=_attacking(baselines.PGD_WHOLE)
    ),
    Method(
        name="mi-fgsm", title="MI-FGSM, diverse input", kind="baseline", change=_attacking(baselines.MI_FGSM)
    ),
    Method(name="tip-im", title="after TIP-IM", kind="baseline", change=_attacking(baselines.TIP_IM)),
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
    """A photo with its largest face protected, encoded in its own format.

    `held_out`: the recogniser that is no surrogate.  `target`: a photo of the person to resemble.

    Raises:
        NoFaceError: the photo or the target shows no face.
        ConfigError: the settings do not fit the stack.
        OutputError: the photo cannot be encoded.
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
        problem = Problem(face, stack.choose(surrogates), BUDGETS[LEVEL], person, photo.gray, seed)
        pixels = composite(pixels, face, method.change(stack, problem))
    return encode(photo, pixels)


def _largest(stack: Stack, pixels: np.ndarray) -> AlignedFace:
    faces = detect(stack.detector, pixels)
    if not faces:
        raise NoFaceError("no face was found")
    return AlignedFace.cut(pixels, faces[0], stack.device)

"""`protect`: the whole method, from a decoded photo to an encoded one.

CLIP2Protect (Shamshad, Naseer, Nandakumar, CVPR 2023): invert a face into the latent space of a
generator, search there for a code that recognisers no longer match, render it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from engines import encoding, evaluate, imaging
from engines.auto import choose_prompt, choose_target
from engines.backends.serve import backends
from engines.composite import composite
from engines.config import AUTO, NO_PROMPT, Settings
from engines.detect import Face, detect
from engines.errors import ConfigError, NoFaceError, NotMineError
from engines.face import AlignedFace
from engines.guidance import Prompter
from engines.imaging import Photo
from engines.invert import TUNING_STEPS, invert, tuned
from engines.losses.adversarial import Identity
from engines.networks.generator import StyleGenerator
from engines.networks.preview import Preview
from engines.owner import Owner, is_owner
from engines.prompts import CANDIDATES
from engines.recognise import Recogniser
from engines.report import Done, Stopwatch, face_report, photo_report
from engines.runtime import release_memory
from engines.search import BUDGETS, STEPS, LatentCode, OnStep, Scene, final_rendering, search
from engines.stack import Stack

#: Generated faces that are tried where the target is chosen by itself.
AUTO_TARGETS = 4
#: Faces of a photo that a GPU works on side by side.
GROUP = 8


@dataclass(frozen=True)
class Event:
    """Where a protection stands: `done` of `total` steps of a stage of face `face` (from 1) of `faces`.

    Of faces that are worked on side by side, `face` is the first.

    `similarity` is the surrogates' mean excess: 1 a typical pair of one person, 0 their thresholds.
    """

    stage: str
    face: int
    faces: int
    done: int
    total: int
    similarity: float | None = None


@dataclass(frozen=True)
class Protected:
    """A protected photo: its bytes, what they decode to (H, W, 3), and a report ready for JSON."""

    data: bytes
    photo: Photo
    pixels: np.ndarray
    report: dict[str, Any]


Progress = Callable[[Event], None]


def protect(
    photo: Photo, stack: Stack, settings: Settings, progress: Progress | None = None, owner: Owner | None = None
) -> Protected:
    """Change every face of a photo, or those that the settings name, so that recognisers no longer match it.

    The same photo, settings and machine give the same bytes.  Raises NoFaceError where there is no such face,
    ConfigError for an unknown surrogate, a prompt that speaks of no makeup or `mine` without an owner,
    OutputError if the encoder fails.
    """
    prompter = _prompter(stack, settings)
    watch = Stopwatch()
    generator, surrogates = stack.generator, stack.choose(settings.surrogates)
    artist = stack.preview if settings.render == "residual" else generator
    faces = _choose_faces(stack, photo, settings, owner)
    targets = _targets(stack, settings)
    watch.lap("detect")

    pixels, done = photo.pixels, []
    for first, group in _groups(faces, stack, settings):
        tell = partial(_tell, progress, first, len(faces))
        of_group = Stopwatch()
        aligned = [AlignedFace.cut(pixels, face, stack.device) for face in group]
        crops = torch.cat([face.crop for face in aligned])
        pivot = invert(artist, crops, encoder=stack.encoder, on_step=partial(tell, "invert"))
        of_group.lap("invert")
        with tuned(generator, pivot, crops, steps=_tuning_steps(settings), on_step=partial(tell, "tune")):
            of_group.lap("tune")
            stage = _Stage(settings, aligned, artist, LatentCode.at(pivot, generator), photo.gray, prompter)
            prompt, target = _choose(stage, surrogates, targets, partial(tell, "choose"))
            if AUTO in (settings.prompt, settings.target):
                of_group.lap("choose")
            scene = stage.scene(prompt)
            code = search(
                scene, surrogates, target=targets.get(target), steps=settings.steps or STEPS,
                seed=settings.seed, without=settings.without, on_step=partial(tell, "search"),
            )  # fmt: skip
            of_group.lap("search")
            rendering = final_rendering(generator, scene, code, tuned=_tuning_steps(settings) > 0)
        for number, face in enumerate(aligned):
            pixels = composite(pixels, face, rendering[number])
        of_group.lap("render")
        seconds = {lap: round(s / len(group), 3) for lap, s in of_group.seconds.items()}
        done += [Done(face, prompt, target, targets.get(target), seconds) for face in group]

    watch.skip()
    data = encoding.encode(photo, pixels)
    pixels = imaging.decode(data).pixels
    watch.lap("encode")
    reports = [face_report(stack, settings, photo.pixels, pixels, face) for face in done]
    watch.lap("score")
    release_memory()
    return Protected(
        data, photo, pixels, photo_report(photo, pixels, settings, reports, watch) | _run_by(stack, settings)
    )


@dataclass(frozen=True)
class _Stage:
    """Faces with their pivots, for which scenes with one prompt or another are set."""

    settings: Settings
    faces: list[AlignedFace]
    artist: StyleGenerator | Preview
    pivot: LatentCode
    gray: bool
    prompter: Prompter | None

    def scene(self, prompt: str) -> Scene:
        """The faces with a prompt, which may be none."""
        settings, guidance = self.settings, None
        if self.prompter is not None and prompt != NO_PROMPT:
            guidance = self.prompter.guide(self.faces, prompt, settings.source_text)
        return Scene(
            self.faces, self.artist, self.pivot, kind=settings.render, gray=self.gray,
            budget=BUDGETS[settings.level], guidance=guidance,
        )  # fmt: skip


def _prompter(stack: Stack, settings: Settings) -> Prompter | None:
    """Who reads the prompt, if there is one; an unusable one is refused before any work is done."""
    if settings.prompt == NO_PROMPT:
        return None
    if settings.prompt != AUTO:
        stack.prompter.read(settings.prompt, settings.source_text)
    return stack.prompter


def _choose(
    stage: _Stage, surrogates: list[Recogniser], targets: dict[str, Identity], on_step: OnStep
) -> tuple[str, str]:
    """Prompt and target (the empty name: none) for these faces: what the settings say, or short searches."""
    settings, target = stage.settings, next(iter(targets), "")
    if len(targets) > 1:
        target = choose_target(targets, stage.scene(NO_PROMPT), surrogates, settings.seed, on_step)
    if settings.prompt != AUTO:
        return settings.prompt, target
    chosen = choose_prompt(CANDIDATES, stage.scene, surrogates, targets.get(target), settings.seed, on_step)
    return chosen, target


def _choose_faces(stack: Stack, photo: Photo, settings: Settings, owner: Owner | None) -> list[Face]:
    if settings.faces == "mine" and owner is None:
        raise ConfigError("nobody knows yet which face is yours: enrol by `clip2protect owner add PHOTO-OF-YOU`")
    found = detect(stack.detector, photo.pixels)
    if not found:
        raise NoFaceError("no face was found: give a photo in which a face is larger and turned to the camera")
    if settings.faces == "mine" and owner is not None:
        mine = [face for face in found if is_owner(stack, photo.pixels, face, owner)]
        if not mine:
            raise NotMineError(f"none of the {len(found)} faces is yours: enrol by more photos, or protect all faces")
        return mine
    return found[:1] if settings.faces == "largest" else found


def _groups(faces: list[Face], stack: Stack, settings: Settings) -> Iterator[tuple[int, list[Face]]]:
    """Faces that are worked on side by side, and the number (from 1) of the first: bounds memory.

    A GPU has room for several at the time of one, where a preview draws them: a whole generator takes
    several times as much.  A CPU gains nothing by it, and tuning is of a single face.
    """
    drawn_small = isinstance(stack.preview, Preview) and not _tuning_steps(settings)
    size = GROUP if stack.device.type == "cuda" and drawn_small else 1
    for start in range(0, len(faces), size):
        yield start + 1, faces[start : start + size]


def _tuning_steps(settings: Settings) -> int:
    """Residual rendering needs no exact pivot, and is better without: the tuned one leaves marks."""
    if settings.tuning_steps is not None:
        return settings.tuning_steps
    return TUNING_STEPS if settings.render == "generator" else 0


def _targets(stack: Stack, settings: Settings) -> dict[str, Identity]:
    """Whom to resemble, by name: a generated face, so that no real person is implicated, or a photo.

    Several where the choice is left to short searches, none when dodging.
    """
    if settings.mode == "dodge":
        return {}
    if isinstance(settings.target, bytes):
        return {"photo": identity_of(stack, settings.target)}
    seeds = range(AUTO_TARGETS) if settings.target == AUTO else (settings.target,)
    return {f"synthetic:{seed}": _identity(stack, generated_face(stack, int(seed))) for seed in seeds}


def identity_of(stack: Stack, target: bytes) -> Identity:
    """The largest face of a photo, by its bytes, as whom to resemble.  Raises ImageError, NoFaceError."""
    return _identity(stack, imaging.decode(target).pixels)


def _identity(stack: Stack, pixels: np.ndarray) -> Identity:
    faces = detect(stack.detector, pixels)
    if not faces:
        raise NoFaceError("the target shows no face: give another photo or seed")
    return evaluate.identity(stack, pixels, faces[0])


@torch.no_grad()
def generated_face(stack: Stack, seed: int) -> np.ndarray:
    """A face of nobody, (1024, 1024, 3) uint8 RGB."""
    w, engine = stack.generator.sample_w(seed), stack.served.get("generator")
    image = stack.generator(w) if engine is None else engine(w, *stack.generator.synthesis.noise_maps())
    return ((image[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()


def _run_by(stack: Stack, settings: Settings) -> dict[str, Any]:
    """What ran each forward-only job, and why an engine did not."""
    said = backends(stack)
    if settings.render == "generator" or _tuning_steps(settings):
        said["render"] = "torch"
    return {"backends": said, "fallbacks": list(stack.notes)}


def _tell(
    progress: Progress | None, face: int, faces: int, stage: str, done: int, total: int, similarity: float | None = None
) -> None:
    if progress is not None:
        progress(Event(stage, face, faces, done, total, similarity))

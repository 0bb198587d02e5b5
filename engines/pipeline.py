"""`protect`: the whole method, from a decoded photo to an encoded one.

CLIP2Protect (Shamshad, Naseer, Nandakumar, CVPR 2023): invert a face into the latent space of a generator,
search there for a code that recognisers no longer match, render it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from engines.backends.attach import backends
from engines.config import AUTO, NO_PROMPT, Settings
from engines.errors import ConfigError, NoFaceError, NotMineError
from engines.face.crop import AlignedFace
from engines.face.detect import Face, detect
from engines.face.recognise import Identity, Recogniser
from engines.latent.choose import choose_prompt, choose_target
from engines.latent.invert import invert, tuned
from engines.latent.render import Rendering, composite
from engines.latent.scene import BUDGETS, LatentCode, Scene
from engines.latent.search import OnStep, final_rendering, search
from engines.latent.target import target_identities
from engines.makeup.presets import CANDIDATES
from engines.makeup.prompter import Prompter
from engines.networks.preview import Preview
from engines.owner import Owner, is_owner
from engines.photo.decode import Photo, decode
from engines.photo.encode import encode
from engines.report import ProtectedFace, Report, Stopwatch, face_report, photo_report
from engines.runtime import release_memory
from engines.stack import Stack

#: Faces of a photo that a GPU works on side by side.
GROUP = 8


@dataclass(frozen=True)
class Event:
    """Progress of a protection: `done` of `total` steps of a stage of face `face` (from 1) of `faces`.

    Of faces that are worked on side by side, `face` is the first.  `similarity` is the surrogates' mean
    excess: 1 at a typical pair of one person, 0 at their thresholds.
    """

    stage: str
    face: int
    faces: int
    done: int
    total: int
    similarity: float | None = None


OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class Protected:
    """A protected photo: the bytes of its file, their decoded pixels (H, W, 3) uint8 RGB, and the report."""

    data: bytes
    photo: Photo
    pixels: np.ndarray
    report: Report


def protect(
    photo: Photo,
    stack: Stack,
    settings: Settings,
    on_event: OnEvent | None = None,
    owner: Owner | None = None,
) -> Protected:
    """Change the faces of a photo that the settings name, so that recognisers no longer match them.

    The same photo, settings and machine give the same bytes.  Use as a library:

        from engines.config import Settings
        from engines.load import embedded_stack
        from engines.photo.decode import load_photo
        from engines.pipeline import protect

        protected = protect(load_photo("me.jpg"), embedded_stack(), Settings(prompt="red lipstick"))
        open("me-protected.jpg", "wb").write(protected.data)

    Raises NoFaceError where there is no such face; ConfigError for an unknown surrogate, a prompt that names
    no makeup, or faces `mine` without an owner; OutputError if the encoder fails.
    """
    run = _Run(photo, stack, settings, on_event)
    faces, surrogates = _choose_faces(stack, photo, settings, owner), stack.choose(settings.surrogates)
    targets = target_identities(stack, settings.target)
    generator, renderer = stack.generator, stack.renderer(settings.render)
    search_code = partial(search, steps=settings.steps, seed=settings.seed, without=settings.without)
    pixels = photo.pixels
    for group in run.groups(faces):
        crops = group.align(pixels)
        # Stage 1: the pivot is the code of W+ that shows the faces.  The paper then tunes the generator
        # around it; residual rendering, the default, tunes in 0 steps.
        pivot = invert(renderer, crops, encoder=stack.encoder, on_step=group.stage("invert"))
        with tuned(generator, pivot, crops, steps=settings.tuning, on_step=group.stage("tune")):
            # Stage 2: the code near the pivot that the surrogates match least, in the makeup of the prompt.
            scene, target = group.set_scene(LatentCode.at(pivot, generator), surrogates, targets)
            code = search_code(scene, surrogates, target=target, on_step=group.stage("search"))
            group.stage("render")  # ends the seconds of the search
            rendering = final_rendering(generator, scene, code, tuned=settings.tuning > 0)
        pixels = group.paste(pixels, rendering)
    return run.finish(encode(photo, pixels))


class _Run:
    """One run of `protect`: its prompt, its progress, and the faces that are done."""

    def __init__(self, photo: Photo, stack: Stack, settings: Settings, on_event: OnEvent | None) -> None:
        """Reads the prompt: an unusable one is refused before any work is done."""
        self.photo, self.stack, self.settings = photo, stack, settings
        self.prompter: Prompter | None = None
        if settings.prompt != NO_PROMPT:
            self.prompter = stack.prompter
            if settings.prompt != AUTO:
                self.prompter.read(settings.prompt, settings.source_text)
        self.protected: list[ProtectedFace] = []
        self._on_event, self._watch = on_event, Stopwatch()
        self._old_failures = len(stack.failures)

    def groups(self, faces: list[Face]) -> Iterator[_Group]:
        """Faces that are worked on side by side.

        A GPU takes as long for several faces as for one, if a preview draws them; a whole generator needs
        several times as much memory.  A CPU gains nothing, and tuning fits the generator to a single face.
        """
        self._watch.lap("detect")
        by_preview = isinstance(self.stack.preview, Preview) and not self.settings.tuning
        size = GROUP if self.stack.device.type == "cuda" and by_preview else 1
        for start in range(0, len(faces), size):
            tell = partial(self._tell, start + 1, len(faces))
            yield _Group(self, faces[start : start + size], tell)
        self._watch.skip()

    def finish(self, data: bytes) -> Protected:
        """The result with its report, measured on the decoded bytes."""
        before, after = self.photo.pixels, decode(data).pixels
        self._watch.lap("encode")
        faces = [face_report(self.stack, self.settings, before, after, face) for face in self.protected]
        self._watch.lap("score")
        release_memory()
        report = photo_report(self.photo, after, self.settings, faces, self._watch)
        report["backends"] = backends(self.stack)
        if self.settings.render == "generator" or self.settings.tuning:
            report["backends"]["render"] = "torch"
        report["fallbacks"] = self.stack.unused + self.stack.failures[self._old_failures :]
        return Protected(data, self.photo, after, report)

    def _tell(
        self, face: int, faces: int, stage: str, done: int, total: int, similarity: float | None = None
    ) -> None:
        if self._on_event is not None:
            self._on_event(Event(stage, face, faces, done, total, similarity))


class _Group:
    """Faces that are worked on side by side, and the seconds of each stage."""

    def __init__(self, run: _Run, faces: list[Face], tell: Callable[..., None]) -> None:
        self._run, self._faces, self._tell = run, faces, tell
        self._watch, self._stage = Stopwatch(), ""
        self._aligned: list[AlignedFace] = []
        self._prompt, self._target = "", ""
        self._identity: Identity | None = None

    def stage(self, name: str) -> OnStep:
        """Begins a stage, which ends the one before; returns its callback for steps."""
        if self._stage:
            self._watch.lap(self._stage)
        self._stage = name
        return partial(self._tell, name)

    def align(self, pixels: np.ndarray) -> Tensor:
        """The aligned crops (N, 3, 1024, 1024), RGB in [-1, 1], of the photo (H, W, 3) uint8 as it is now."""
        self._aligned = [AlignedFace.cut(pixels, face, self._run.stack.device) for face in self._faces]
        return torch.cat([face.crop for face in self._aligned])

    def set_scene(
        self, pivot: LatentCode, surrogates: list[Recogniser], targets: Mapping[str, Identity]
    ) -> tuple[Scene, Identity | None]:
        """The scene with its makeup, and the target; short searches choose where one is `auto`."""
        settings, scene_of = self._run.settings, partial(self._scene, pivot)
        automatic = settings.prompt == AUTO or len(targets) > 1
        on_step = self.stage("choose" if automatic else "search")
        self._prompt, self._target = settings.prompt, next(iter(targets), "")
        if len(targets) > 1:
            self._target = choose_target(targets, scene_of(NO_PROMPT), surrogates, settings.seed, on_step)
        self._identity = targets.get(self._target)
        if settings.prompt == AUTO:
            self._prompt = choose_prompt(
                CANDIDATES, scene_of, surrogates, self._identity, settings.seed, on_step
            )
        return scene_of(self._prompt), self._identity

    def paste(self, pixels: np.ndarray, rendering: Rendering) -> np.ndarray:
        """The photo (H, W, 3) uint8 with the faces' renderings in it; the faces count as done."""
        for number, face in enumerate(self._aligned):
            pixels = composite(pixels, face, rendering[number])
        self._watch.lap("render")
        seconds = {stage: round(s / len(self._faces), 3) for stage, s in self._watch.seconds.items()}
        self._run.protected += [
            ProtectedFace(face, self._prompt, self._target, self._identity, seconds) for face in self._faces
        ]
        return pixels

    def _scene(self, pivot: LatentCode, prompt: str) -> Scene:
        settings, guidance = self._run.settings, None
        if self._run.prompter is not None and prompt != NO_PROMPT:
            guidance = self._run.prompter.guide(self._aligned, prompt, settings.source_text)
        return Scene(
            self._aligned,
            self._run.stack.renderer(settings.render),
            pivot,
            kind=settings.render,
            gray=self._run.photo.gray,
            budget=BUDGETS[settings.level],
            guidance=guidance,
        )


def _choose_faces(stack: Stack, photo: Photo, settings: Settings, owner: Owner | None) -> list[Face]:
    if settings.faces == "mine" and owner is None:
        raise ConfigError("no owner is enrolled: enrol yourself by `clip2protect owner add PHOTO-OF-YOU`")
    faces = detect(stack.detector, photo.pixels)
    if not faces:
        raise NoFaceError(
            "no face was found: give a photo in which a face is larger and turned to the camera"
        )
    if settings.faces == "mine" and owner is not None:
        mine = [face for face in faces if is_owner(stack, photo.pixels, face, owner)]
        if not mine:
            raise NotMineError(
                f"none of the {len(faces)} faces is yours: enrol by more photos, or protect all faces"
            )
        return mine
    return faces[:1] if settings.faces == "largest" else faces

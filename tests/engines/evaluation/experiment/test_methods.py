"""The rows of the table: what each does to a face, and that it does it to the owner's match."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from skimage import data

from engines.config import Settings
from engines.errors import ConfigError, NoFaceError
from engines.photo.decode import decode
from tests.support.pictures import saved

if TYPE_CHECKING:
    from engines.face.crop import AlignedFace
    from engines.stack import Stack

pytestmark = pytest.mark.models
SURROGATES = ("mobilefacenet-512", "mobilefacenet-192")


@pytest.fixture(scope="module")
def face(stack: Stack) -> AlignedFace:
    from engines.face.crop import AlignedFace
    from engines.face.detect import detect

    return AlignedFace.cut(data.astronaut(), detect(stack.detector, data.astronaut())[0], stack.device)


def test_the_clean_row_changes_nothing_but_the_file(stack: Stack) -> None:
    from engines.evaluation.experiment.methods import METHODS, apply

    photo = decode(saved(data.astronaut(), "PNG"))
    made = apply(METHODS["clean"], stack, photo, mode="dodge", held_out="", target=None, seed=0)
    assert (decode(made).pixels == photo.pixels).all()


def test_whoever_is_held_out_takes_no_part_and_one_surrogate_is_one(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.evaluation.experiment import methods

    asked: list[Settings] = []

    def protect(photo: object, stack: object, settings: Settings) -> object:
        asked.append(settings)
        raise NoFaceError("seen enough")

    monkeypatch.setattr(methods, "protect", protect)
    photo = decode(saved(data.astronaut(), "PNG"))
    for name in ("strong", "no-ensemble", "no-freezing", "paper"):
        with pytest.raises(NoFaceError):
            methods.apply(
                methods.METHODS[name],
                stack,
                photo,
                mode="dodge",
                held_out="mobilefacenet-512",
                target=None,
                seed=7,
            )
    strong, single, unfrozen, paper = asked
    assert strong.surrogates == ("mobilefacenet-192", "dlib-resnet29")
    assert single.surrogates == ("mobilefacenet-192",)
    assert (strong.level, strong.seed, strong.faces) == ("strong", 7, "largest")
    assert unfrozen.without == ("freezing",)
    assert (paper.render, paper.steps, paper.tuning_steps) == ("generator", 50, None)


def test_a_photo_without_a_face_is_refused(stack: Stack) -> None:
    from engines.evaluation.experiment.methods import METHODS, apply

    photo = decode(saved(data.rocket(), "PNG"))
    with pytest.raises(NoFaceError):
        apply(METHODS["blur"], stack, photo, mode="dodge", held_out="", target=None, seed=0)


def test_an_unknown_part_to_leave_out_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="freezing, robustness"):
        Settings(without=("magic",))  # type: ignore[arg-type]


def test_leaving_parts_out_leaves_them_out(stack: Stack, face: AlignedFace) -> None:
    """Without freezing rows move that otherwise never do; without robust views no chance is left in what is
    seen.
    """
    import random

    from engines.latent.invert import invert
    from engines.latent.scene import BUDGETS, LatentCode, Scene
    from engines.latent.search import search
    from engines.latent.views import View

    pivot = LatentCode.at(invert(stack.preview, face.crop, encoder=stack.encoder, steps=1), stack.generator)
    scene = Scene([face], stack.preview, pivot, kind="residual", gray=False, budget=BUDGETS["balanced"])
    moved = {}
    for without in ((), ("freezing",)):
        code = search(scene, stack.choose(SURROGATES[:1]), steps=1, without=without)
        moved[without] = {
            row for row in range(code.w.shape[1]) if not torch.equal(code.w[0, row], pivot.w[0, row])
        }
    layout = stack.preview.layout
    assert moved[()] == set(layout.free)
    assert moved["freezing",] == set(layout.acting) > set(layout.free)
    chance = random.Random(0)
    assert {View.drawn(chance, ("robustness",)).damage for _ in range(20)} == {"none"}
    assert len({View.drawn(chance, ()).damage for _ in range(20)}) == 4

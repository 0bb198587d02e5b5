"""The rows of the table: what each does to a face, and that it does it to the owner's match."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import structural_similarity
from tests.support.pictures import saved

from engines.config import Settings
from engines.errors import ConfigError, NoFaceError
from engines.photo.decode import decode

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


def shown(face: AlignedFace, rendering: object) -> torch.Tensor:
    """A rendering over the face's crop, at 256 px."""
    from torch.nn.functional import avg_pool2d

    from engines.latent.render import lay_over

    return avg_pool2d(lay_over(face.crop / 2 + 0.5, rendering), 4)  # type: ignore[arg-type]


def matches(stack: Stack, face: AlignedFace, image: torch.Tensor) -> dict[str, float]:
    """Excess over the thresholds, beside the clean face."""
    from torch.nn.functional import avg_pool2d

    from engines.latent.views import View, embed_views

    crop, views, every = avg_pool2d(face.crop, 4) / 2 + 0.5, [View.plain()], list(stack.recognisers.values())
    with torch.no_grad():
        before, after = (embed_views(every, x, [face], views) for x in (crop, image))
        return {r.name: float(r.excess(before[r.name][0], after[r.name][0])) for r in every}


@pytest.mark.parametrize("name", ["pgd", "mi_fgsm", "tip_im"])
def test_attacks_dodge_their_surrogates_within_the_psnr_of_the_budget(
    stack: Stack, face: AlignedFace, name: str
) -> None:
    from engines.evaluation.experiment import baselines
    from engines.latent.scene import BUDGETS

    budget = BUDGETS["balanced"]
    rendering = getattr(baselines, name)(face, stack.choose(SURROGATES), budget, None)
    image, plain = shown(face, rendering), face.crop / 2 + 0.5
    assert all(matches(stack, face, image)[s] < 0 for s in SURROGATES)
    change = torch.nn.functional.avg_pool2d(plain, 4) - image
    error = float(change.square().sum() / (3 * face.area / 16))
    assert budget.psnr - 0.1 < -10 * np.log10(error) < budget.psnr + 1


def test_a_pgd_that_is_held_to_ssim_too_changes_less(stack: Stack, face: AlignedFace) -> None:
    from engines.evaluation.experiment import baselines
    from engines.latent.change import visible_change
    from engines.latent.scene import BUDGETS

    budget, plain = BUDGETS["balanced"], torch.nn.functional.avg_pool2d(face.crop, 4) / 2 + 0.5
    used = []
    for whole in (False, True):
        rendering = baselines.pgd(face, stack.choose(SURROGATES), budget, None, whole=whole)
        area = torch.tensor([face.area / 16])
        used.append(
            float(visible_change(plain, shown(face, rendering), area, budget.psnr, budget.ssim).max())
        )
    assert used[1] <= 1.05 < 1.5 < used[0]


def test_an_attack_with_a_target_comes_nearer_to_it(stack: Stack, face: AlignedFace) -> None:
    from engines.evaluation.experiment import baselines
    from engines.face.detect import detect
    from engines.face.recognise import identity_of_face
    from engines.latent.scene import BUDGETS
    from engines.latent.target import generated_face
    from engines.latent.views import View, embed_views

    other = generated_face(stack.generator, 5)
    target = identity_of_face(stack.recognisers.values(), other, detect(stack.detector, other)[0])
    surrogates = stack.choose(SURROGATES)
    near = []
    for wanted in (None, target):
        image = shown(face, baselines.mi_fgsm(face, surrogates, BUDGETS["balanced"], wanted))
        with torch.no_grad():
            seen = embed_views(surrogates, image, [face], [View.plain()])
        near.append([float(s.excess(seen[s.name][0], target.embeddings[s.name])) for s in surrogates])
    assert all(with_target > without + 0.2 for without, with_target in zip(*near, strict=True))


def test_a_gray_photo_stays_gray(stack: Stack, face: AlignedFace) -> None:
    from engines.evaluation.experiment import baselines
    from engines.latent.scene import BUDGETS

    light = baselines.pgd(face, stack.choose(SURROGATES[:1]), BUDGETS["balanced"], None, gray=True).light
    assert float(light.abs().max()) > 0.01
    assert float((light - light[:, :1]).abs().max()) < 1e-6


@pytest.mark.parametrize(("name", "ssim"), [("greyed", 0.5), ("blurred", 0.8), ("pixelated", 0.8)])
def test_covers_leave_no_features(stack: Stack, face: AlignedFace, name: str, ssim: float) -> None:
    from engines.evaluation.experiment import baselines

    image = shown(face, getattr(baselines, name)(face))
    assert max(matches(stack, face, image).values()) < 1  # less alike than another photo of hers
    middle = np.s_[110:190, 90:166]
    before, after = (x[0].permute(1, 2, 0).numpy()[middle] for x in (shown_plain(face), image))
    assert structural_similarity(before, after, channel_axis=2, data_range=1) < ssim


def shown_plain(face: AlignedFace) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(face.crop, 4) / 2 + 0.5


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
    from engines.photo.decode import decode

    photo = decode(saved(data.rocket(), "PNG"))
    with pytest.raises(NoFaceError):
        apply(METHODS["blur"], stack, photo, mode="dodge", held_out="", target=None, seed=0)


def test_an_unknown_part_to_leave_out_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="freezing, robustness"):
        Settings(without=("magic",))  # type: ignore[arg-type]


def test_leaving_parts_out_leaves_them_out(stack: Stack, face: AlignedFace) -> None:
    """Without freezing rows move that otherwise never do; without robust views no chance is left in what is seen."""
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

"""The baselines: each changes the owner's match, within its budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import structural_similarity

from engines.networks.frame import quarter

if TYPE_CHECKING:
    from engines.face.crop import AlignedFace
    from engines.latent.render import Rendering
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
    from engines.latent.views import View, embed_views

    crop, views, every = quarter(face.crop), [View.plain()], list(stack.recognisers.values())
    with torch.no_grad():
        before, after = (embed_views(every, x, [face], views) for x in (crop, image))
        return {r.name: float(r.excess(before[r.name][0], after[r.name][0])) for r in every}


def attacked(stack: Stack, face: AlignedFace, name: str, *, surrogates: int = 2, **more: Any) -> Rendering:
    """An attack under the budget of level balanced."""
    from engines.evaluation.experiment import baselines
    from engines.latent.scene import BUDGETS

    problem = baselines.Problem(face, stack.choose(SURROGATES[:surrogates]), BUDGETS["balanced"], **more)
    return getattr(baselines, name).protect(problem)


@pytest.fixture(scope="module")
def dodging(stack: Stack, face: AlignedFace) -> dict[str, Rendering]:
    """Every attack once, against two surrogates."""
    return {name: attacked(stack, face, name) for name in ("PGD", "MI_FGSM", "TIP_IM")}


@pytest.mark.parametrize("name", ["PGD", "MI_FGSM", "TIP_IM"])
def test_attacks_dodge_their_surrogates_within_the_psnr_of_the_budget(
    stack: Stack, face: AlignedFace, dodging: dict[str, Rendering], name: str
) -> None:
    from engines.latent.scene import BUDGETS

    budget, rendering = BUDGETS["balanced"], dodging[name]
    image, plain = shown(face, rendering), face.crop / 2 + 0.5
    assert all(matches(stack, face, image)[s] < 0 for s in SURROGATES)
    change = torch.nn.functional.avg_pool2d(plain, 4) - image
    error = float(change.square().sum() / (3 * face.area / 16))
    assert budget.psnr - 0.1 < -10 * np.log10(error) < budget.psnr + 1


def test_a_pgd_that_is_held_to_ssim_too_changes_less(
    stack: Stack, face: AlignedFace, dodging: dict[str, Rendering]
) -> None:
    from engines.latent.change import visible_change
    from engines.latent.scene import BUDGETS

    budget, plain = BUDGETS["balanced"], quarter(face.crop)
    used = []
    for rendering in (dodging["PGD"], attacked(stack, face, "PGD_WHOLE")):
        area = torch.tensor([face.area / 16])
        used.append(
            float(visible_change(plain, shown(face, rendering), area, budget.psnr, budget.ssim).max())
        )
    assert used[1] <= 1.05 < 1.5 < used[0]


def test_an_attack_with_a_target_comes_nearer_to_it(
    stack: Stack, face: AlignedFace, dodging: dict[str, Rendering]
) -> None:
    from engines.face.detect import detect
    from engines.face.recognise import identity_of_face
    from engines.latent.target import generated_face
    from engines.latent.views import View, embed_views

    other = generated_face(stack.generator, 5)
    target = identity_of_face(stack.recognisers.values(), other, detect(stack.detector, other)[0])
    surrogates = stack.choose(SURROGATES)
    near = []
    for rendering in (dodging["MI_FGSM"], attacked(stack, face, "MI_FGSM", target=target)):
        image = shown(face, rendering)
        with torch.no_grad():
            seen = embed_views(surrogates, image, [face], [View.plain()])
        near.append([float(s.excess(seen[s.name][0], target.embeddings[s.name])) for s in surrogates])
    assert all(with_target > without + 0.2 for without, with_target in zip(*near, strict=True))


def test_a_gray_photo_stays_gray(stack: Stack, face: AlignedFace) -> None:
    light = attacked(stack, face, "PGD", surrogates=1, gray=True).light
    assert float(light.abs().max()) > 0.01
    assert float((light - light[:, :1]).abs().max()) < 1e-6


@pytest.mark.parametrize(("name", "ssim"), [("greyed", 0.5), ("blurred", 0.8), ("pixelated", 0.8)])
def test_covers_leave_no_features(stack: Stack, face: AlignedFace, name: str, ssim: float) -> None:
    from engines.evaluation.experiment import baselines

    image = shown(face, getattr(baselines, name)(face))
    assert max(matches(stack, face, image).values()) < 1  # less alike than another photo of hers
    middle = np.s_[110:190, 90:166]
    before, after = (x[0].permute(1, 2, 0).numpy()[middle] for x in (quarter(face.crop), image))
    assert structural_similarity(before, after, channel_axis=2, data_range=1) < ssim

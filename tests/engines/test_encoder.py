"""The inversion encoder: what it finds, and the training that made it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from skimage.data import astronaut
from torch import Tensor, nn

from engines.face.crop import AlignedFace
from engines.face.detect import detect
from engines.latent.invert import invert
from engines.networks.encoder import VIEW_SIZE, EncoderHead, shrink_to_view
from engines.networks.frame import MASK_WINDOW, face_mask
from engines.networks.mobilestylegan import ACTING_ROWS, W_ROWS
from engines.stack import Stack
from engines.training import encoder as recipe
from engines.training.faces import sample_latents

pytestmark = pytest.mark.models
#: Faces that no training run sees: it counts its seeds from 0.
UNSEEN = 10**6


@torch.no_grad()
def error_of(stack: Stack, w: Tensor, view: Tensor) -> float:
    """Root mean square difference of a latent's drawn view and a view, in [-1, 1]."""
    drawn = shrink_to_view(stack.preview.small(w, None, MASK_WINDOW))
    return float((drawn - view).square().mean().sqrt())


@torch.no_grad()
def test_it_finds_the_latents_of_unseen_faces(stack: Stack) -> None:
    mean = stack.preview.mean_latent
    w = sample_latents(stack.generator, 6, UNSEEN)
    views = shrink_to_view(stack.preview.small(w, None, MASK_WINDOW).clamp(-1, 1))
    found = mean + stack.encoder(views)
    assert found.shape == w.shape
    rows = list(ACTING_ROWS)
    nearer = (found - w)[:, rows].norm(dim=(1, 2)) / (mean - w)[:, rows].norm(dim=(1, 2))
    assert float(nearer.median()) < 0.85
    for i in range(6):
        known, guess = views[i : i + 1], mean.expand(1, W_ROWS, -1)
        assert error_of(stack, found[i : i + 1], known) < 0.7 * error_of(stack, guess, known)


def test_it_comes_near_a_real_photo_and_refinement_starts_from_there(stack: Stack) -> None:
    (face,) = detect(stack.detector, astronaut())
    crop = AlignedFace.cut(astronaut(), face, torch.device("cpu")).crop
    rows, columns = MASK_WINDOW.pixels
    known = F.avg_pool2d(crop[:, :, rows, columns], 4)
    mask = F.avg_pool2d(face_mask(crop.device), 4)

    @torch.no_grad()
    def error(w: Tensor) -> float:
        """Root mean square over the face, in [-1, 1]."""
        difference = stack.preview.small(w, None, MASK_WINDOW) - known
        return float(((mask * difference.square()).sum() / (3 * mask.sum())).sqrt())

    guess = error(stack.preview.mean_latent.expand(1, W_ROWS, -1))
    assert error(invert(stack.preview, crop, encoder=stack.encoder, steps=0)) < 0.85 * guess
    refined, alone = (error(invert(stack.preview, crop, encoder=e, steps=3)) for e in (stack.encoder, None))
    assert refined < 0.8 * alone < 0.8 * guess


def test_only_rows_that_act_are_moved(stack: Stack) -> None:
    offsets = stack.encoder(torch.rand(2, 3, *VIEW_SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    for row in range(W_ROWS):
        assert bool(offsets[:, row].any()) == (row in ACTING_ROWS)
    assert not offsets.requires_grad


def test_degraded_views_follow_from_their_seed_and_stay_images() -> None:
    views = torch.rand(8, 3, *VIEW_SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.manual_seed(1)
    first = recipe.degraded(views, 3)
    torch.manual_seed(2)
    assert torch.equal(first, recipe.degraded(views, 3))
    assert first.shape == views.shape
    assert float(first.min()) >= -1 and float(first.max()) <= 1
    other = recipe.degraded(views, 4)
    assert all(not torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(first, views, strict=True))


@pytest.fixture(scope="module")
def teachers() -> recipe.Teachers:
    return recipe.Teachers.load(torch.device("cpu"))


def test_a_resumed_pool_holds_the_same_faces(
    teachers: recipe.Teachers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "POOL", 8)
    monkeypatch.setattr(recipe, "POOL_START", 4)
    whole = recipe.Pool(teachers, 0)
    for step in range(3):
        whole.step(step)
    resumed = recipe.Pool(teachers, 2)
    resumed.step(2)
    assert len(whole.faces) == len(resumed.faces) == 8
    for known, drawn_again in zip(whole.faces, resumed.faces, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(known, drawn_again, strict=True))
    seen, offsets, views = whole.batch(5, seed=1)
    assert seen.shape == (5, 268, 8, 7)
    assert offsets.shape == (5, len(ACTING_ROWS), 512)
    assert views.shape == (5, 3, *VIEW_SIZE)
    assert -1 <= float(views.min()) < -0.5 and 0.5 < float(views.max()) <= 1


def test_every_term_teaches(teachers: recipe.Teachers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient from latents and images to every part of the head, and none to its teachers."""
    monkeypatch.setattr(recipe, "POOL_START", 4)
    monkeypatch.setattr(recipe, "BATCH", 4)
    torch.manual_seed(0)
    head = EncoderHead()
    nn.init.normal_(head.rows.weight, std=1e-3)  # it starts at 0, where nothing flows through it
    pool = recipe.Pool(teachers, 0)
    without, both = (float(recipe.loss_of(teachers, head, pool, images, 0).detach()) for images in (0, 2))
    assert 0 < without < both
    recipe.loss_of(teachers, head, pool, 2, 0).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in head.parameters())
    assert not any(p.requires_grad for p in teachers.trunk.parameters())


@torch.no_grad()
def test_a_view_resembles_itself_most(stack: Stack, teachers: recipe.Teachers) -> None:
    w = sample_latents(stack.generator, 2, UNSEEN)
    one, other = shrink_to_view(stack.preview.small(w, None, MASK_WINDOW)).split(1)
    assert float(recipe.resemblance(teachers, one, one)) == pytest.approx(0, abs=1e-5)
    assert float(recipe.resemblance(teachers, one, other)) > 0.1

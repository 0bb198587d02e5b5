"""The encoder finds the latents of faces."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from skimage.data import astronaut
from torch import Tensor

from engines.face.crop import AlignedFace
from engines.face.detect import detect
from engines.latent.invert import invert
from engines.networks.encoder import VIEW_SIZE, shrink_to_view
from engines.networks.frame import MASK_WINDOW, face_mask
from engines.networks.mobilestylegan import ACTING_ROWS, W_ROWS
from engines.stack import Stack
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

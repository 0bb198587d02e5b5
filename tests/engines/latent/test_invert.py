"""Inversion and pivotal tuning."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.face.crop import AlignedFace
from engines.latent.invert import invert, tuned
from engines.networks.frame import MASK_WINDOW, face_mask
from engines.networks.mobilestylegan import ACTING_ROWS, W_ROWS, Generator
from tests.support.transforms import CPU

pytestmark = pytest.mark.models


@torch.no_grad()
def face_error(generator: Generator, w: Tensor, crop: Tensor) -> float:
    """Root mean square difference of a code's image and a crop over the face, at a quarter of its size."""
    rows, columns = MASK_WINDOW.pixels
    difference = F.avg_pool2d(generator(w, window=MASK_WINDOW) - crop[:, :, rows, columns], 4)
    weight = F.avg_pool2d(face_mask(CPU), 4)
    return float(((weight * difference.square()).sum() / (3 * weight.sum())).sqrt())


def test_inversion_comes_near_the_face(
    generator: Generator, aligned: AlignedFace, pivot: Tensor, unchanged: None
) -> None:
    start = face_error(generator, generator.mean_latent.expand(1, W_ROWS, -1), aligned.crop)
    assert pivot.shape == (1, W_ROWS, 512)
    assert not pivot.requires_grad
    assert face_error(generator, pivot, aligned.crop) < 0.75 * start


def test_inversion_moves_acting_rows_only(generator: Generator, pivot: Tensor) -> None:
    for row in range(W_ROWS):
        assert torch.equal(pivot[0, row], generator.mean_latent) == (row not in ACTING_ROWS)


def test_inversion_is_deterministic(generator: Generator, aligned: AlignedFace, unchanged: None) -> None:
    told: list[tuple[int, int]] = []
    torch.manual_seed(1)
    first = invert(generator, aligned.crop, encoder=None, steps=2, on_step=lambda *step: told.append(step))
    torch.manual_seed(2)
    assert torch.equal(first, invert(generator, aligned.crop, encoder=None, steps=2))
    assert told == [(1, 2), (2, 2)]


def test_tuning_nears_the_crop_and_is_undone(
    generator: Generator, aligned: AlignedFace, pivot: Tensor, unchanged: None
) -> None:
    before, told = face_error(generator, pivot, aligned.crop), []
    published = [p.clone() for p in generator.synthesis.parameters()]
    with tuned(generator, pivot, aligned.crop, steps=6, on_step=lambda *step: told.append(step)):
        assert face_error(generator, pivot, aligned.crop) < 0.9 * before
        assert not any(
            torch.equal(p, q) for p, q in zip(generator.synthesis.parameters(), published, strict=True)
        )
        assert not any(p.requires_grad for p in generator.parameters())
    assert face_error(generator, pivot, aligned.crop) == before
    assert told == [(i, 6) for i in range(1, 7)]


class Interrupted(Exception):
    """Raised by a test."""


def test_tuning_is_undone_when_the_block_raises(
    generator: Generator, aligned: AlignedFace, pivot: Tensor, unchanged: None
) -> None:
    with pytest.raises(Interrupted), tuned(generator, pivot, aligned.crop, steps=1):
        raise Interrupted


def test_tuning_is_undone_when_it_is_interrupted_itself(
    generator: Generator, aligned: AlignedFace, pivot: Tensor, unchanged: None
) -> None:
    def stop(step: int, steps: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted), tuned(generator, pivot, aligned.crop, steps=2, on_step=stop):
        pytest.fail("the block must not run")

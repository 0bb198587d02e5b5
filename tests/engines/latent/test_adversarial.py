"""The adversarial loss: away from the owner, towards the target."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from engines.face.recognise import Identity, mean_excess
from engines.latent.adversarial import adversarial
from tests.support.recognisers import SURROGATES, identity, seen_by
from tests.support.tensors import random


def test_adversarial_leaves_the_owner_and_nears_the_target() -> None:
    seen = seen_by(*(random(2, 1, 6, seed=seed) - 0.5 for seed in range(3)))
    owner, target = identity(10), identity(20)
    dodge, both = adversarial(SURROGATES, seen, owner, None), adversarial(SURROGATES, seen, owner, target)
    assert float(dodge) == float(mean_excess(SURROGATES, seen, owner))
    assert float(both) == pytest.approx(float(dodge - mean_excess(SURROGATES, seen, target)))


@pytest.mark.parametrize("target", [None, identity(20)], ids=["dodge", "impersonate"])
def test_adversarial_has_the_right_gradient(target: Identity | None) -> None:
    owner = identity(10)
    embeddings = [(random(2, 1, 6, seed=seed) - 0.5).requires_grad_() for seed in range(3)]
    assert gradcheck(lambda *e: adversarial(SURROGATES, seen_by(*e), owner, target), embeddings)


def test_adversarial_has_the_right_gradient_down_to_the_pixels() -> None:
    owner = identity(10)

    def loss(image: Tensor) -> Tensor:
        views = torch.cat((image, image.flip(3)))
        points = [r.template * (8 / r.size) for r in SURROGATES]
        seen = [r.embed(views, r.crop_transform(p))[:, None] for r, p in zip(SURROGATES, points, strict=True)]
        return adversarial(SURROGATES, seen_by(*seen), owner, None)

    assert gradcheck(loss, random(1, 3, 9, 8).requires_grad_())

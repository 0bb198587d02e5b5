"""Embeddings, their similarity, and what counts as a match."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from engines.face.recognise import Recogniser, compare_embeddings, mean_excess
from engines.models.registry import SPECS
from engines.networks.mtcnn import MTCNN
from tests.support.recognisers import RECOGNISERS, SURROGATES, identity, recogniser, seen_by
from tests.support.tensors import random


def pair(name: str, value: float) -> tuple[Tensor, Tensor]:
    """Two embeddings (1, 3) whose cosine, or distance, is `value`."""
    a = torch.tensor([[1.0, 0, 0]], dtype=torch.float64)
    if SPECS[name].threshold.metric == "cosine":
        return a, torch.tensor([[value, math.sqrt(1 - value**2), 0]], dtype=torch.float64)
    return a, a + torch.tensor([[0, value, 0]], dtype=torch.float64)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_compare_gives_cosine_or_distance(name: str) -> None:
    a, b = (torch.nn.functional.normalize(random(5, 6, seed=seed) - 0.5) for seed in (1, 2))
    if SPECS[name].threshold.metric == "cosine":
        expected = torch.nn.functional.cosine_similarity(a, b)
    else:
        expected = torch.linalg.vector_norm(a - b, dim=1)
    assert torch.allclose(recogniser(name).compare(a, b), expected, atol=1e-12)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_a_match_is_on_the_right_side_of_the_threshold(name: str) -> None:
    r, limit = recogniser(name), SPECS[name].threshold.far_1pct
    nearer = 0.01 if SPECS[name].threshold.metric == "cosine" else -0.01
    assert r.is_match(limit + nearer)
    assert not r.is_match(limit - nearer)
    assert not r.is_match(limit)
    assert r.is_match(SPECS[name].threshold.same)
    assert compare_embeddings(r, *pair(name, limit + nearer)).same
    assert not compare_embeddings(r, *pair(name, limit - nearer)).same


@pytest.mark.parametrize("name", RECOGNISERS)
def test_excess_is_0_at_the_threshold_and_1_at_a_typical_pair(name: str) -> None:
    r, threshold = recogniser(name), SPECS[name].threshold
    assert float(r.excess(*pair(name, threshold.far_1pct))) == pytest.approx(0, abs=1e-9)
    assert float(r.excess(*pair(name, threshold.same))) == pytest.approx(1, abs=1e-9)
    beyond = threshold.far_1pct - (threshold.same - threshold.far_1pct)
    assert float(r.excess(*pair(name, beyond))) == pytest.approx(-1, abs=1e-9)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_the_mirror_of_equal_embeddings_has_a_gradient(name: str) -> None:
    """A distance of 0 has no slope of its own: it must give 0, not nan."""
    a = random(1, 6).requires_grad_()
    recogniser(name).excess(a, a.detach().clone()).sum().backward()
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize("name", RECOGNISERS)
def test_embedding_has_the_right_gradient(name: str) -> None:
    r = recogniser(name)
    image = random(1, 3, 9, 8).requires_grad_()
    points = r.template * (8 / r.size)  # so that the crop is all of the image
    assert gradcheck(lambda x: r.embed(x, r.crop_transform(points)), image)
    embedding = r.embed(image, r.crop_transform(points))
    if r.threshold.metric == "cosine":
        assert float(embedding.detach().norm()) == pytest.approx(1)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_embedding_sees_normalised_pixels_of_the_crop(name: str) -> None:
    seen = []

    class Spy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return x.flatten(1)[:, :4]

    spec = SPECS[name].preprocessing
    size = spec.size[0]
    pixels = random(1, 3, size, size)
    Recogniser(SPECS[name], Spy()).embed(pixels, np.array([[1.0, 0, 0], [0, 1.0, 0]]))
    mean = torch.tensor(spec.mean, dtype=torch.float64)[:, None, None]
    assert torch.allclose(seen[0], (pixels * 255 - mean) / spec.scale, atol=1e-5)


def test_similarity_is_the_mean_excess_over_views_and_surrogates() -> None:
    embeddings = [random(4, 2, 6, seed=seed) - 0.5 for seed in range(3)]
    owners = identity(10, faces=2)
    expected = [
        np.mean(
            [
                float(r.excess(e[v, face : face + 1], owners.embeddings[r.name][face : face + 1]))
                for r, e in zip(SURROGATES, embeddings, strict=True)
                for v in range(4)
            ]
        )
        for face in range(2)
    ]
    found = mean_excess(SURROGATES, seen_by(*embeddings), owners)
    assert found.tolist() == pytest.approx(expected)
    assert expected[0] != pytest.approx(expected[1])


def test_one_person_may_be_compared_with_many_faces() -> None:
    embeddings = [random(4, 2, 6, seed=seed) - 0.5 for seed in range(3)]
    target = identity(10)
    both = mean_excess(SURROGATES, seen_by(*embeddings), target)
    alone = [
        mean_excess(SURROGATES, seen_by(*(e[:, i : i + 1] for e in embeddings)), target) for i in range(2)
    ]
    assert torch.allclose(both, torch.cat(alone))


def test_only_recognisers_recognise() -> None:
    with pytest.raises(ValueError, match="mtcnn is no recogniser"):
        Recogniser(SPECS["mtcnn"], MTCNN())

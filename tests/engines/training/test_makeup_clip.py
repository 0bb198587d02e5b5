"""The recipe of the text-image model."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from engines.networks.frame import REGIONS
from engines.training import makeup_clip as recipe
from engines.training.vocabulary import caption, small_talk


def test_the_contrastive_loss_is_least_where_all_that_belongs_together_is_together() -> None:
    same = torch.tensor([[1.0, 0, 1, 0], [0, 1.0, 0, 0]])  # the third sentence says what the first says
    apart = torch.eye(2)
    said = torch.tensor([[1.0, 0], [0, 1.0], [1.0, 0], [-1.0, 0]])
    scale = torch.tensor(10.0)
    right, swapped = (
        recipe.contrast(apart, said, same, scale),
        recipe.contrast(apart.flip(0), said, same, scale),
    )
    by_hand_image = (
        torch.tensor([10.0, 0, 10, -10]).log_softmax(0)[[0, 2]].mean()
        + torch.tensor([0.0, 10, 0, 0]).log_softmax(0)[1]
    ) / 2
    by_hand_text = torch.tensor([10.0, 0]).log_softmax(0)[0]
    assert float(right) == pytest.approx(float(-(by_hand_image + by_hand_text) / 2), rel=1e-5)
    assert float(right) < float(swapped)


@pytest.mark.models
def test_faces_are_the_same_again_and_the_steps_teach(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("POOL", 6), ("POOL_START", 4), ("REUSE", 2), ("BATCH", 4), ("WRONG", 8)):
        monkeypatch.setattr(recipe, name, value)
    device = torch.device("cpu")
    faces = recipe.GeneratedFaces(device)
    whole = recipe.Pool(faces, 0)
    for step in range(3):
        whole.batch(step)
    resumed = recipe.Pool(faces, 2)
    resumed.batch(2)
    assert len(whole.faces) == len(resumed.faces) == 6
    for a, b in zip(whole.faces, resumed.faces, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    network = recipe.TrainedPart(recipe.fresh_model(device)).train()
    model, chance = network.model, random.Random(0)
    sentences = recipe.Sentences(model, [caption(chance) for _ in range(20)])
    loss = recipe.loss_of(network, whole, sentences, 3)
    loss.backward()
    assert float(loss.detach()) > 0
    taught = nn.ModuleList([network.proj, network.looks])
    assert all(p.grad is not None and bool(p.grad.any()) for p in taught.parameters())
    assert bool(network.visual.trunk.body[0][0].weight.grad.any())
    assert not any(p.requires_grad for p in model.clip.text.transformer.parameters())


@pytest.mark.models
def test_the_reader_of_regions_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "_READER", (80, 4e-3, 1e-2, 0.7))
    model, chance = recipe.fresh_model(torch.device("cpu")), random.Random(0)
    sentences = recipe.Sentences(model, [caption(chance, parts=1) for _ in range(60)])
    recipe.fit_regions(model, sentences, model.read(small_talk()[:20]))
    spoken = model.regions(model.read(["red lipstick", "happy birthday"])).sigmoid().detach()
    assert spoken[0].argmax() == REGIONS.index("lips")
    assert float(spoken[0].max()) > 10 * float(spoken[1].max())

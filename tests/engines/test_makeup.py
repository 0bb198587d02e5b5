"""How the makeup model is trained: words, paint, the contrastive loss, faces that can be drawn again."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.makeup.palette import PALETTE
from engines.networks.frame import REGIONS
from engines.training import makeup_clip as recipe
from engines.training.painter import paint
from engines.training.vocabulary import LOOKS, Layer, Look, caption, phrase, small_talk
from engines.training.words import COLOURS, EFFECTS


def all_words(*, held_out: bool) -> set[str]:
    """Every wording and colour's name that captions are made of."""
    colours = (c.held_out if held_out else c.names for c in COLOURS.values())
    effects = (e.held_out if held_out else (*e.names, *e.usual[1]) for e in EFFECTS.values())
    looks = (words[2 if held_out else 1] for words in LOOKS.values())
    return {word for words in (*colours, *effects, *looks) for word in words}


def test_held_out_words_are_never_trained_on() -> None:
    assert all_words(held_out=True) & all_words(held_out=False) <= {"tan"}
    chance = random.Random(0)
    trained = {caption(chance).text for _ in range(3000)}
    for colour in COLOURS.values():
        for name in set(colour.held_out) - {"tan"}:
            assert not any(name in text for text in trained), name


def test_captions_say_what_is_painted() -> None:
    chance = random.Random(1)
    for parts in (1, 2, 3):
        for held_out in (False, True):
            for _ in range(200):
                said = caption(chance, parts=parts, held_out=held_out)
                assert len(said.look.layers) + said.look.freckles == parts
                places = [EFFECTS[layer.effect].region for layer in said.look.layers]
                assert len(set(places)) == len(places)
                assert "{" not in said.text
    assert caption(chance, parts=0).look.key == frozenset()
    assert caption(random.Random(5)) == caption(random.Random(5))


def test_a_phrase_names_its_colour() -> None:
    chance = random.Random(2)
    for _ in range(100):
        words = phrase(chance, Layer("lipstick", "teal"))
        assert any(name in words for name in COLOURS["teal"].names)
    assert any(phrase(chance, Layer("lipstick", "red")) == "lipstick" for _ in range(100))


def test_small_talk_is_no_makeup() -> None:
    assert not any(
        word in talk.split()
        for talk in small_talk()
        for word in ("lipstick", "lips", "blush", "makeup", "eyeshadow")
    )


@pytest.fixture
def face() -> tuple[Tensor, Tensor]:
    """A plain face (1, 3, 64, 64) with a square for each region, none over another."""
    masks = torch.zeros(1, len(REGIONS), 64, 64)
    for i in range(len(REGIONS)):
        row, column = divmod(i, 4)
        masks[0, i, 32 * row : 32 * row + 16, 16 * column : 16 * column + 12] = 1
    return torch.full((1, 3, 64, 64), 0.55) + 0.02 * torch.randn(1, 3, 64, 64), masks


@pytest.mark.parametrize("effect", EFFECTS)
def test_paint_goes_where_it_belongs_and_nowhere_else(face: tuple[Tensor, Tensor], effect: str) -> None:
    image, masks = face
    colour = EFFECTS[effect].colours[0]
    painted = paint(image, masks, [Look((Layer(effect, colour),))], seed=3)
    where = masks[0, REGIONS.index(EFFECTS[effect].region)].bool()
    assert torch.equal(painted[0, :, ~where], image[0, :, ~where])
    shift = (painted - image)[0, :, where].mean(dim=1)
    asked = torch.tensor(PALETTE[colour]) / 255 - image[0, :, where].mean(dim=1)
    assert float(F.cosine_similarity(shift, asked, dim=0)) > 0.8
    assert float(painted.min()) >= 0 and float(painted.max()) <= 1


def test_no_makeup_changes_nothing_and_the_seed_decides(face: tuple[Tensor, Tensor]) -> None:
    image, masks = (part.repeat(2, 1, 1, 1) for part in face)
    looks = [Look(), Look((Layer("lipstick", "red"),))]
    painted = paint(image, masks, looks, seed=1)
    assert torch.equal(painted[0], image[0])
    assert torch.equal(painted, paint(image, masks, looks, seed=1))
    assert not torch.equal(painted, paint(image, masks, looks, seed=2))
    freckled = paint(image[:1], masks[:1], [Look(freckles=True)], seed=1)
    assert 0 < float((freckled != image[:1]).any(dim=1).float().mean()) < 0.3


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
    monkeypatch.setattr(recipe, "_READER", (200, 2e-3, 1e-2, 0.7))
    model, chance = recipe.fresh_model(torch.device("cpu")), random.Random(0)
    sentences = recipe.Sentences(model, [caption(chance, parts=1) for _ in range(100)])
    recipe.fit_regions(model, sentences, model.read(small_talk()[:20]))
    spoken = model.regions(model.read(["red lipstick", "happy birthday"])).sigmoid().detach()
    assert spoken[0].argmax() == REGIONS.index("lips")
    assert float(spoken[0].max()) > 10 * float(spoken[1].max())


@pytest.mark.models
def test_the_sentence_encoder_is_the_published_one() -> None:
    """Sentences that mean the same lie together; punctuation and case are its own business."""
    model = recipe.fresh_model(torch.device("cpu"))
    features = F.normalize(
        model.read(["crimson lips", "red lipstick", "a train to Paris", "RED LIPSTICK"]), dim=1
    )
    near = features @ features[1]
    assert float(near[0]) > 0.5 > float(near[2])
    assert float(near[3]) == pytest.approx(1, abs=1e-5)
    assert model.read(["word " * 500]).shape == (1, 384)

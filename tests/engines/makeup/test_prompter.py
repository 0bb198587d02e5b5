"""What a prompt asks for, and where it is painted."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.errors import ConfigError
from engines.makeup.palette import colours_of
from engines.makeup.presets import PRESETS
from engines.makeup.prompter import Guidance, Reading, perspective
from engines.makeup.regions import SIZE, locate, masks, view_of
from engines.makeup.text_image import Embedded, OpenClip
from engines.networks.frame import REGIONS
from engines.stack import Stack


class ByColour:
    """A text-image model whose embeddings say how much redder, greener, bluer the lower part is."""

    side = 64

    def images(self, views: Tensor) -> Tensor:
        return F.normalize(views[:, :, 44:].mean(dim=(2, 3)) - views[:, :, :20].mean(dim=(2, 3)), dim=1)

    def texts(self, sentences: Sequence[str]) -> Tensor:
        raise NotImplementedError


def test_the_colour_that_reads_most_like_the_prompt_is_laid_on_where_it_belongs() -> None:
    lips = torch.zeros(2, 1, SIZE, SIZE)
    lips[:, :, 190:230, 90:170] = 1
    photo = torch.full((2, 3, SIZE, SIZE), 0.5)
    photo[1] = 0.45
    red = F.normalize(torch.tensor([1.0, -1, -1]), dim=0)
    light = torch.tensor([1.0, 0.9])
    reading = Reading(red, ("lips",), red[None], (torch.zeros(len(colours_of("lips"))),), (1.0,))
    guidance = Guidance(ByColour(), reading, lips, light)
    makeup = guidance.makeup(photo)
    assert not makeup[(lips == 0).expand_as(makeup)].any()
    for face in range(2):
        change = makeup[face, :, 210, 130]
        assert float(change[0]) > 0.05 > -0.05 > float(change[1:].max())
    assert [worn[0][0] for worn in guidance.choose(photo)] == ["red", "red"]
    alone = Guidance(ByColour(), reading, lips[:1], light[:1]).makeup(photo[:1])
    assert torch.allclose(alone, makeup[:1], atol=1e-6)


def test_a_perspective_view_stays_near_and_follows_from_its_chance() -> None:
    grid = perspective(random.Random(3), 64)
    assert torch.equal(grid, perspective(random.Random(3), 64))
    assert not torch.equal(grid, perspective(random.Random(4), 64))
    axis = (torch.arange(64) + 0.5) / 32 - 1
    plain = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)[None]
    moved = (grid - plain).norm(dim=-1)
    assert 0 < float(moved.max()) < 0.3
    # Straight lines stay straight.
    for line in (grid[0, 5], grid[0, :, 60]):
        ends = line[-1] - line[0]
        aside = (line - line[0]) @ torch.stack((-ends[1], ends[0])) / ends.norm()
        assert float(aside.abs().max()) < 1e-4


def spoken(stack: Stack, prompt: str) -> set[str]:
    return set(stack.prompter.read(prompt, "no makeup").regions)


@pytest.mark.models
@pytest.mark.parametrize(
    ("prompt", "where"),
    [
        ("red lipstick", {"lips"}),
        ("crimson lips", {"lips"}),
        ("purple eyeshadow", {"shadow"}),
        ("dark smoky eyes", {"shadow", "liner"}),
        ("pink blush", {"blush"}),
        ("tanned skin", {"skin"}),
        ("blue eyeliner and red lips", {"liner", "lips"}),
        ("black eyebrows", {"brows"}),
        ("a natural look", {"lips", "shadow", "blush"}),
    ],
)
def test_a_prompt_says_where(stack: Stack, prompt: str, where: set[str]) -> None:
    assert spoken(stack, prompt) == where


@pytest.mark.models
@pytest.mark.parametrize("prompt", [*PRESETS])
def test_every_preset_says_where(stack: Stack, prompt: str) -> None:
    assert spoken(stack, prompt)


@pytest.mark.models
@pytest.mark.parametrize(
    "prompt", ["a red bus", "merry christmas", "hello", "43", "my little cat", "see you tomorrow"]
)
def test_a_prompt_that_names_no_makeup_is_refused(stack: Stack, prompt: str) -> None:
    with pytest.raises(ConfigError, match="names no makeup"):
        spoken(stack, prompt)


@pytest.mark.models
@torch.no_grad()
def test_the_embedded_model_reads_colour_and_part(stack: Stack, drawn: Tensor) -> None:
    """Lips that are painted red are nearer to those words than to others."""
    model = stack.prompter.model
    assert isinstance(model, Embedded)
    points = locate(stack.prompter.landmarks, drawn)[0].numpy()
    lips = torch.from_numpy(masks(points))[REGIONS.index("lips")]
    red = torch.lerp(drawn, torch.tensor([0.75, 0.08, 0.14])[:, None, None].expand_as(drawn), 0.8 * lips)
    prompts = ["red lipstick", "blue lipstick", "red eyeshadow", "red blush", "no makeup"]
    before, after = (
        model.images(view_of(image, model.side)) @ model.texts(prompts).T for image in (drawn, red)
    )
    assert after.argmax() == 0
    assert float(after[0, 0]) > float(before[0, 0]) + 0.2


def test_guidance_with_the_reference_model_by_hand(reference: OpenClip) -> None:
    chance = torch.Generator().manual_seed(1)
    photo, changed = (torch.rand(1, 3, SIZE, SIZE, generator=chance) for _ in range(2))
    texts = reference.texts(["red lipstick", "no makeup"])
    reading = Reading(texts[0] - texts[1], ("skin",), texts[:1], (torch.zeros(2),), (1.0,))
    guidance = Guidance(reference, reading, torch.ones(1, 1, SIZE, SIZE), torch.ones(1))
    axis = (torch.arange(224) + 0.5) / 112 - 1
    plain = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)[None]
    loss = guidance.loss(changed, photo, [plain])
    before, after = (reference.images(view_of(image, 224))[0] for image in (photo, changed))
    way = after - before
    by_hand = 1 - float(way @ (texts[0] - texts[1]) / (way.norm() * (texts[0] - texts[1]).norm()))
    assert float(loss) == pytest.approx(by_hand, abs=1e-3)

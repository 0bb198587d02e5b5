"""Prompts and what becomes of them: words, regions, tints, views, the text term."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck

from engines.config import Settings
from engines.errors import ConfigError, ModelError
from engines.makeup.palette import DENSITY, PALETTE, colours_of, tint
from engines.makeup.presets import CANDIDATES, LONGEST, PRESETS, resolve
from engines.makeup.prompter import Guidance, Reading, perspective
from engines.makeup.regions import SIZE, locate, masks, view_of
from engines.makeup.text_image import Embedded, OpenClip
from engines.makeup.text_loss import TEMPERATURE, contrastive, directional
from engines.networks.frame import REGIONS, Region
from engines.photo.colour import luma
from engines.stack import Stack


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- the text term ------------------------------------------------------------------------------------


def test_the_directional_loss_by_hand() -> None:
    start = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    seen = torch.tensor([[[1.0, 1.0], [1.0, 1.0]]])  # moved up, and to the right
    loss = directional(seen, start, torch.tensor([0.0, 2.0]))
    assert loss.tolist() == pytest.approx([0, 1])
    diagonal = directional(seen, start, torch.tensor([3.0, 3.0]))
    assert diagonal.tolist() == pytest.approx([1 - 0.5**0.5] * 2)


def test_the_contrastive_loss_by_hand() -> None:
    start, prompt, source = (
        F.normalize(torch.tensor(v), dim=0) for v in ([1.0, 0.0], [0.0, 1.0], [1.0, 1.0])
    )
    right, wrong = prompt - start, source - start
    loss = contrastive((start + right)[None, None], start[None, None], prompt, source)
    ways = [F.normalize(v, dim=0) for v in (prompt - source, right, wrong)]
    a, b, c = (float(torch.exp(ways[1] @ way / TEMPERATURE)) for way in ways)
    assert float(loss) == pytest.approx(-np.log((a + b) / (a + b + c)), rel=1e-4)
    assert float(contrastive((start + wrong)[None, None], start[None, None], prompt, source)) > float(loss)


@pytest.mark.parametrize("loss", ["directional", "contrastive"])
def test_gradients_of_the_text_term(loss: str) -> None:
    start, texts = (
        F.normalize(normal(*shape, seed=i), dim=-1) for i, shape in enumerate([(2, 3, 6), (2, 6)])
    )
    seen = F.normalize(normal(2, 3, 6, seed=5), dim=-1).requires_grad_()
    if loss == "directional":
        assert gradcheck(lambda x: directional(x, start, texts[0] - texts[1]), seen)
    else:
        assert gradcheck(lambda x: contrastive(x, start, texts[0], texts[1]), seen)


# --- tints --------------------------------------------------------------------------------------------


def test_every_region_has_a_density_and_a_palette() -> None:
    assert set(DENSITY) == set(REGIONS)
    assert all(set(colours_of(region)) <= set(PALETTE) for region in REGIONS)


def tinted(face: Tensor, mask: Tensor, region: Region, name: str) -> Tensor:
    return tint(face, mask, region, name, torch.full((len(face),), 0.5), torch.ones(len(face)))


def test_a_tint_by_hand() -> None:
    face = torch.tensor([0.8, 0.6, 0.5])[None, :, None, None] * torch.tensor([0.9, 1.1])[None, None, None, :]
    red = torch.tensor(PALETTE["red"]) / 255
    half = tinted(face, torch.ones(1, 1, 1, 2), "lips", "red")
    expected = face * (0.5 + 0.5 * red / torch.tensor([0.8, 0.6, 0.5]))[None, :, None, None]
    assert torch.allclose(half, expected, rtol=1e-2)
    dark = torch.tensor([0.2, 0.1, 0.1])[None, :, None, None].expand(1, 3, 1, 2)
    lighter = tinted(dark, torch.ones(1, 1, 1, 2), "lips", "white")
    assert torch.allclose(1 - lighter, (1 - dark) * (0.5 + 0.5 * (1 - 245 / 255) / (1 - dark)), rtol=1e-2)
    assert torch.equal(tinted(face, torch.zeros(1, 1, 1, 2), "lips", "red"), face)


@pytest.mark.parametrize("region", ["blush", "contour", "skin"])
@pytest.mark.parametrize("skin", [(0.35, 0.22, 0.15), (0.6, 0.45, 0.35), (0.95, 0.8, 0.75)])
def test_what_is_sheer_never_lightens(region: Region, skin: tuple[float, ...]) -> None:
    face = torch.tensor(skin)[None, :, None, None].expand(1, 3, 8, 8)
    for name in set(colours_of(region)) - {"white"}:
        after = tinted(face, torch.ones(1, 1, 8, 8), region, name)
        assert float(luma(after).mean()) < float(luma(face).mean())
    if region == "skin":
        assert float(luma(tinted(face, torch.ones(1, 1, 8, 8), region, "white")).mean()) > float(
            luma(face).mean()
        )


class ByColour:
    """A text-image model whose embeddings say by how much the lower part is redder, greener, bluer than the upper."""

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


# --- views --------------------------------------------------------------------------------------------


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


# --- words --------------------------------------------------------------------------------------------


def test_prompts_are_cleaned_and_names_are_looked_up() -> None:
    assert resolve("  red \n lipstick ") == "red lipstick"
    assert resolve("Smoky") == PRESETS["smoky"]
    assert set(CANDIDATES) <= set(PRESETS)
    assert Settings().prompt in PRESETS


@pytest.mark.parametrize("text", ["", "   ", "💄💋", "?!...", "\u200b"])
def test_a_prompt_without_words_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="has no words"):
        resolve(text)


def test_a_prompt_may_not_be_endless() -> None:
    assert resolve("a" * LONGEST) == "a" * LONGEST
    with pytest.raises(ConfigError, match=f"{LONGEST + 1} characters"):
        resolve("a" * (LONGEST + 1))


# --- with the networks --------------------------------------------------------------------------------


def spoken(stack: Stack, prompt: str) -> set[str]:
    return set(stack.prompter.read(prompt, "no makeup").names)


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


@pytest.fixture(scope="module")
def drawn(stack: Stack) -> Tensor:
    """A generated face (1, 3, 256, 256) in [0, 1]."""
    with torch.no_grad():
        return stack.preview.small(stack.generator.sample_w(11)).clamp(-1, 1) / 2 + 0.5


@pytest.mark.models
def test_masks_lie_where_the_parts_are(stack: Stack, drawn: Tensor) -> None:
    drawn_masks = dict(zip(REGIONS, masks(locate(stack.prompter.landmarks, drawn)[0].numpy()), strict=True))
    axis = np.arange(SIZE)

    def centre(region: str) -> tuple[float, float]:
        mask = drawn_masks[region]
        return float((mask.sum(axis=0) * axis).sum() / mask.sum()), float(
            (mask.sum(axis=1) * axis).sum() / mask.sum()
        )

    heights = [centre(region)[1] for region in ("brows", "shadow", "blush", "lips")]
    assert heights == sorted(heights)
    assert all(abs(centre(region)[0] - 128) < 15 for region in REGIONS)  # both sides alike
    assert all(mask.min() >= 0 and 0.5 < mask.max() <= 1 for mask in drawn_masks.values())
    for a, b in (
        ("lips", "skin"),
        ("lips", "shadow"),
        ("lips", "blush"),
        ("shadow", "blush"),
        ("brows", "blush"),
    ):
        # Edges are soft and may share pixels; no pixel belongs mostly to both.
        assert not ((drawn_masks[a] > 0.5) & (drawn_masks[b] > 0.5)).any(), (a, b)


# --- open_clip ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference() -> OpenClip:
    """The paper's ViT-B/32, its weights random."""
    import open_clip

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32").eval().requires_grad_(False)
    return OpenClip(model, open_clip.get_tokenizer("ViT-B-32"))


def test_the_reference_model_has_unit_embeddings_and_gradients(reference: OpenClip) -> None:
    assert reference.side == 224
    texts = reference.texts(["red lipstick", "a face"])
    views = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)).requires_grad_()
    images = reference.images(views)
    assert texts.shape == images.shape == (2, 512)
    for embeddings in (texts, images):
        assert torch.allclose(embeddings.norm(dim=1), torch.ones(2), atol=1e-5)
    (gradient,) = torch.autograd.grad((images @ texts[0]).sum(), views)
    assert bool(gradient.isfinite().all()) and bool(gradient.any())


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


def test_a_checkpoint_of_the_reference_model_is_loaded(reference: OpenClip, tmp_path: Path) -> None:
    file = tmp_path / "clip.pt"
    torch.save(reference.model.state_dict(), file)
    again = OpenClip.load("ViT-B-32", str(file), torch.device("cpu"))
    assert torch.equal(again.texts(["red lipstick"]), reference.texts(["red lipstick"]))


def test_a_missing_checkpoint_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip

    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    with pytest.raises(ModelError, match=r"nowhere\.pt: there is no such checkpoint"):
        OpenClip.load("ViT-B-32", "nowhere.pt", torch.device("cpu"))
    monkeypatch.setattr(open_clip, "create_model", offline)
    with pytest.raises(ModelError, match="--text-checkpoint FILE"):
        OpenClip.load("ViT-B-32", None, torch.device("cpu"))
    with pytest.raises(ConfigError, match="knows no model 'nobody'"):
        OpenClip.load("nobody", None, torch.device("cpu"))


def test_an_open_clip_model_of_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any name that open_clip knows may be given."""
    import open_clip

    def sentences(texts: Sequence[str]) -> Tensor:
        return tokenizer(list(texts))

    tokenizer = open_clip.get_tokenizer("RN50")
    model = OpenClip(open_clip.create_model("RN50").eval(), sentences)
    assert (
        model.images(torch.rand(1, 3, model.side, model.side)).shape == model.texts(["x"]).shape == (1, 1024)
    )

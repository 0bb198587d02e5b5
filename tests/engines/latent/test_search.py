"""The search on the real networks."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from engines.config import Render
from engines.face.crop import AlignedFace
from engines.face.detect import Face, detect
from engines.face.recognise import Recogniser
from engines.latent import search as search_module
from engines.latent.descent import Descent
from engines.latent.invert import invert
from engines.latent.scene import Budget, LatentCode, Scene, strength
from engines.latent.search import VIEWS, change_term, final_rendering, search
from engines.latent.views import View
from engines.networks.mobilestylegan import ACTING_ROWS, LAYOUT, W_ROWS, Generator
from engines.networks.preview import Preview
from engines.stack import Stack
from tests.support.scenes import HELD_OUT, SURROGATES, scene_of
from tests.support.tensors import normal
from tests.support.transforms import CPU

pytestmark = pytest.mark.models


class Interrupted(Exception):
    """Raised by a test."""


Run = Callable[..., LatentCode]


@pytest.fixture(scope="module")
def run(stack: Stack, scene: Scene, aligned: AlignedFace) -> Run:
    """By the preview, as `protect` does it: the whole generator takes longer."""
    return partial(search, scene_of([aligned], stack.preview, scene.pivot), stack.choose(SURROGATES))


@pytest.fixture(scope="module")
def code(run: Run) -> LatentCode:
    torch.manual_seed(1)
    return run(steps=2, seed=5)


def same(a: LatentCode, b: LatentCode) -> bool:
    return torch.equal(a.w, b.w) and all(torch.equal(m, n) for m, n in zip(a.noise, b.noise, strict=True))


def test_search_depends_on_its_seed_alone(run: Run, code: LatentCode, unchanged: None) -> None:
    torch.manual_seed(2)
    random.seed(2)
    assert same(run(steps=2, seed=5), code)
    other = run(steps=2, seed=6)
    assert not torch.equal(other.w, code.w)
    assert not torch.equal(other.noise[0], code.noise[0])


def test_search_moves_free_rows_and_maps_only(generator: Generator, scene: Scene, code: LatentCode) -> None:
    assert set(LAYOUT.free) < set(ACTING_ROWS)
    assert min(LAYOUT.free) == 4  # pose and shape lie below
    for row in range(W_ROWS):
        assert torch.equal(code.w[0, row], scene.pivot.w[0, row]) == (row not in LAYOUT.free), row
    published = generator.synthesis.noise_maps()
    assert len(code.noise) == len(published) == 15
    for i, (found, known) in enumerate(zip(code.noise, published, strict=True)):
        assert torch.equal(found, known) == (i >= LAYOUT.free_maps), i
    assert not code.w.requires_grad
    assert not any(m.requires_grad for m in code.noise)


@pytest.mark.parametrize(
    ("artist", "kind"),
    [
        ("preview", "residual"),
        # `protect` with generator rendering is tested in test_pipeline.py.
        pytest.param("generator", "generator", marks=pytest.mark.slow),
        pytest.param("generator", "residual", marks=pytest.mark.slow),
    ],
)
def test_search_leaves_the_owner(
    stack: Stack, scene: Scene, aligned: AlignedFace, artist: str, kind: Render, unchanged: None
) -> None:
    told: list[tuple[int, int, float]] = []
    search(
        scene_of([aligned], getattr(stack, artist), scene.pivot, kind, "strong"),
        stack.choose(SURROGATES),
        steps=8,
        on_step=lambda *step: told.append(step),
    )
    assert [step[:2] for step in told] == [(i, 8) for i in range(1, 9)]
    similarities = [step[2] for step in told]
    assert min(similarities[-2:]) < similarities[0] - 0.25
    if kind == "residual":  # the first step changes next to nothing: the owner is still there
        assert similarities[0] > 0.8


def test_the_pivots_own_residual_is_nothing(generator: Generator, scene: Scene) -> None:
    rendering = final_rendering(generator, scene, scene.pivot)
    assert not rendering.light.any()
    assert not rendering.cover.any()


def test_what_exceeds_the_budget_is_scaled_down_to_it(
    stack: Stack, scene: Scene, generator: Generator
) -> None:
    far = LatentCode(scene.pivot.w + 0.3 * (stack.generator.sample_w(9) - scene.pivot.w), scene.pivot.noise)
    with torch.no_grad():
        image = scene.draw(far)
        _, change = scene.protect(image)
        assert float(change.max()) > 2
        mixed = torch.lerp(scene.before, image, strength(change))
        assert float(scene.change(mixed).max()) == pytest.approx(1, rel=0.15)  # SSIM is no exact square
        near = torch.lerp(scene.before, image, 0.1)
        assert float(strength(scene.change(near))) == 1
    light = final_rendering(generator, scene, far).light
    assert float(light.abs().max()) < float(((image - scene.before) / 2).abs().max())


def test_faces_side_by_side_become_what_each_becomes_alone(
    stack: Stack, portrait: np.ndarray, face: Face
) -> None:
    other = np.ascontiguousarray(portrait[:, ::-1])
    (its_face,) = detect(stack.detector, other)
    faces = [AlignedFace.cut(portrait, face, CPU), AlignedFace.cut(other, its_face, CPU)]
    crops = torch.cat([f.crop for f in faces])
    surrogates = stack.choose(SURROGATES)

    def found(faces: list[AlignedFace], crops: Tensor) -> Tensor:
        pivot = invert(stack.preview, crops, encoder=stack.encoder, steps=1)
        scene = scene_of(faces, stack.preview, LatentCode.at(pivot, stack.generator))
        return scene.draw(search(scene, surrogates, steps=2))

    together = found(faces, crops)
    for i in range(2):
        alone = found(faces[i : i + 1], crops[i : i + 1])
        assert float((together[i] - alone[0]).abs().mean()) < 5e-3  # Adam blows up what rounding leaves
        assert float((together[i] - together[1 - i]).abs().mean()) > 0.02


def doubled(recogniser: Recogniser) -> Recogniser:
    twin = copy.copy(recogniser)
    twin.network = copy.deepcopy(recogniser.network).double()
    return twin


@pytest.mark.parametrize(
    ("kind", "variable"),
    [
        ("residual", "latent"),
        ("residual", "noise"),
        # The whole generator in float64 takes 3.4 GB.
        pytest.param("generator", "latent", marks=pytest.mark.slow),
        pytest.param("generator", "noise", marks=pytest.mark.slow),
    ],
)
def test_gradient_of_the_whole_objective(
    stack: Stack, scene: Scene, kind: Render, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a central difference along a random direction, in float64, by all of `search` itself.

    Every run evaluates one step from a start that is moved along the direction.  The views are those
    of a seed without JPEG, whose rounding jumps and which is checked by itself.
    """
    seed = seed_without_jpeg()
    generator = copy.deepcopy(stack.generator).double()
    artist: Preview | Generator = generator
    if kind == "residual":  # as in `protect`
        assert isinstance(stack.preview, Preview)
        artist = Preview(generator, copy.deepcopy(stack.preview.head).double())
    double_scene = Scene(
        [replace(face, crop=face.crop.double()) for face in scene.faces],
        artist,
        LatentCode.at(scene.pivot.w.double(), generator),
        kind=kind,
        gray=False,
        budget=Budget(psnr=8, ssim=-0.5),  # wide: past it, the gradient is that of the border
    )
    recognisers = [doubled(r) for r in stack.choose((*SURROGATES, HELD_OUT))]
    draw = torch.Generator()
    direction: list[Tensor] = []
    evaluated: list[tuple[float, float]] = []
    differentiate = torch.autograd.grad

    class Moved(Descent):
        """A descent whose unknowns start elsewhere, at a distance along the direction."""

        distance = 0.0

        def __init__(self, unknowns: list[tuple[Tensor, float, int]]) -> None:
            super().__init__(unknowns)
            draw.manual_seed(3)  # the same start and direction in every run
            tensors = [x for x, *_ in unknowns]
            start = [0.2 * torch.randn(x.shape, generator=draw).double() for x in tensors]
            direction[:] = [torch.randn(x.shape, generator=draw).double() for x in tensors]
            for i, d in enumerate(direction):
                d *= float((i == 0) == (variable == "latent"))
            with torch.no_grad():
                for x, s, d in zip(tensors, start, direction, strict=True):
                    x.copy_(s + self.distance * d)

    def recorded(loss: Tensor, unknowns: list[Tensor]) -> tuple[Tensor, ...]:
        gradients = differentiate(loss, unknowns)
        slope = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
        evaluated.append((float(loss.detach()), slope))
        return gradients

    monkeypatch.setattr(search_module, "Descent", Moved)
    monkeypatch.setattr(torch.autograd, "grad", recorded)
    # Larger ones cross kinks of the activations: at 1e-5 the difference is 1 % off, at 1e-7 0.1 %.
    size = 1e-8
    for Moved.distance in (0.0, size, -size):
        search(double_scene, recognisers, steps=1, seed=seed)
    (_, slope), (above, _), (below, _) = evaluated
    assert abs(slope) > 1e-3  # a direction along which something happens
    assert slope == pytest.approx((above - below) / (2 * size), rel=1e-3)


def seed_without_jpeg() -> int:
    """The first seed whose first step has a blurred and a shrunken view; the eight before are the owner's."""
    for seed in range(10_000):
        chance = random.Random(seed)
        damage = [View(chance).damage for _ in range(8 + VIEWS)]
        if "jpeg" not in damage and set(damage[8:]) == {"blur", "shrink"}:
            return seed
    raise LookupError


def test_the_change_term_is_flat_at_nothing_and_steep_past_the_budget() -> None:
    used = torch.tensor([[0.1, 0, 0, 0], [1.0, 0, 0, 0], [5.0, 0, 0, 0]]).requires_grad_()
    (slopes,) = torch.autograd.grad(change_term(used).sum(), used)
    assert slopes[:, 0].tolist() == pytest.approx([0.1, 1, 1])
    assert gradcheck(change_term, normal(3, 4).abs().requires_grad_())

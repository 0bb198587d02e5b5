"""The method on the real networks: inversion, tuning, search, and `protect` from bytes to bytes."""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, PngImagePlugin
from skimage.data import astronaut
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from engines import pipeline
from engines.config import Level, Render, Settings
from engines.errors import ConfigError, NoFaceError
from engines.face import align
from engines.face.crop import AlignedFace
from engines.face.detect import Face, detect
from engines.face.recognise import Recogniser, embed_face
from engines.latent import search as search_module
from engines.latent.invert import invert, tuned
from engines.latent.scene import BUDGETS, Budget, LatentCode, Scene
from engines.latent.search import final_rendering, search
from engines.latent.target import generated_face
from engines.makeup.regions import locate, masks
from engines.networks.frame import MASK_WINDOW, REGIONS, face_mask
from engines.networks.mobilestylegan import ACTING_ROWS, LAYOUT, W_ROWS, Generator
from engines.networks.preview import Preview
from engines.photo.decode import Photo, decode
from engines.pipeline import Event, Protected, protect
from engines.stack import Stack
from engines.verify import compare

pytestmark = pytest.mark.models

CPU = torch.device("cpu")
HELD_OUT = "dlib-resnet29"
SURROGATES = Settings().surrogates


def picture(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))


def png(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


def photo_of(pixels: np.ndarray) -> Photo:
    return decode(png(pixels))


@pytest.fixture(scope="module")
def generator(stack: Stack) -> Generator:
    return stack.generator


@pytest.fixture(scope="module")
def portrait(stack: Stack) -> np.ndarray:
    """A photo (400, 400, 3) of nobody, whose face is turned by 8 degrees."""
    turned = Image.fromarray(generated_face(stack.generator, 1)).rotate(
        8, Image.Resampling.BICUBIC, fillcolor=(90, 90, 90)
    )
    return picture(np.asarray(turned), 400)


@pytest.fixture(scope="module")
def face(stack: Stack, portrait: np.ndarray) -> Face:
    (found,) = detect(stack.detector, portrait)
    return found


@pytest.fixture(scope="module")
def aligned(portrait: np.ndarray, face: Face) -> AlignedFace:
    return AlignedFace.cut(portrait, face, CPU)


@pytest.fixture(scope="module")
def pivot(generator: Generator, aligned: AlignedFace) -> Tensor:
    return invert(generator, aligned.crop, encoder=None, steps=6)


@pytest.fixture
def unchanged(generator: Generator) -> Iterator[None]:
    """After the test the generator must be what it was, bit by bit, and frozen."""
    before = {key: tensor.clone() for key, tensor in generator.state_dict().items()}
    yield
    assert all(torch.equal(tensor, before[key]) for key, tensor in generator.state_dict().items())
    assert not any(p.requires_grad for p in generator.parameters())
    assert all(p.grad is None for p in generator.mapping.parameters())


@torch.no_grad()
def face_error(generator: Generator, w: Tensor, crop: Tensor) -> float:
    """Root mean square difference of a code's image and a crop over the face, at a quarter of its size."""
    rows, columns = MASK_WINDOW.pixels
    difference = F.avg_pool2d(generator(w, window=MASK_WINDOW) - crop[:, :, rows, columns], 4)
    weight = F.avg_pool2d(face_mask(CPU), 4)
    return float(((weight * difference.square()).sum() / (3 * weight.sum())).sqrt())


# --- inversion ----------------------------------------------------------------------------------------


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


# --- pivotal tuning -----------------------------------------------------------------------------------


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


# --- search -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene(generator: Generator, aligned: AlignedFace, pivot: Tensor) -> Scene:
    return scene_of([aligned], generator, LatentCode.at(pivot, generator))


def scene_of(
    faces: list[AlignedFace],
    artist: Generator | Preview,
    pivot: LatentCode,
    kind: Render = "residual",
    level: Level = "balanced",
) -> Scene:
    return Scene(faces, artist, pivot, kind=kind, gray=False, budget=BUDGETS[level])


Run = Callable[..., LatentCode]


@pytest.fixture(scope="module")
def run(stack: Stack, scene: Scene) -> Run:
    return partial(search, scene, stack.choose(SURROGATES))


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
    ("artist", "kind"), [("preview", "residual"), ("generator", "residual"), ("generator", "generator")]
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
        mixed = torch.lerp(scene.before, image, search_module.strength(change))
        assert float(scene.change(mixed).max()) == pytest.approx(1, rel=0.15)  # SSIM is no exact square
        near = torch.lerp(scene.before, image, 0.1)
        assert float(search_module.strength(scene.change(near))) == 1
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


@pytest.mark.parametrize("variable", ["latent", "noise"])
@pytest.mark.parametrize("kind", ["residual", "generator"])
def test_gradient_of_the_whole_objective(
    stack: Stack, scene: Scene, kind: Render, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a central difference along a random direction, in float64, by all of `search` itself.

    Every run evaluates one step from a start that is moved along the direction.  The views are those
    of a seed without JPEG, whose rounding jumps and which is checked by itself.
    """
    seed = seed_without_jpeg()
    generator = copy.deepcopy(stack.generator).double()
    double_scene = Scene(
        [replace(face, crop=face.crop.double()) for face in scene.faces],
        generator,
        LatentCode.at(scene.pivot.w.double(), generator),
        kind=kind,
        gray=False,
        budget=Budget(psnr=8, ssim=-0.5),  # wide: past it, the gradient is that of the border
    )
    recognisers = [doubled(r) for r in stack.choose((*SURROGATES, HELD_OUT))]
    draw = torch.Generator().manual_seed(3)
    seen: list[tuple[float, float]] = []

    class Probe(search_module._Unknown):
        moved = 0.0

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            draw.manual_seed(3)  # the same start and direction in every run
            start = [0.2 * torch.randn(x.shape, generator=draw).double() for x in (self.offset, *self.noise)]
            self.direction = [torch.randn(x.shape, generator=draw).double() for x in start]
            for i, direction in enumerate(self.direction):
                direction *= float((i == 0) == (variable == "latent"))
            values = [x + self.moved * d for x, d in zip(start, self.direction, strict=True)]
            self.offset, *self.noise = [v.requires_grad_() for v in values]

        def step(self, loss: Tensor, progress: float) -> None:
            gradients = torch.autograd.grad(loss, [self.offset, *self.noise])
            slope = sum(float((g * d).sum()) for g, d in zip(gradients, self.direction, strict=True))
            seen.append((float(loss.detach()), slope))

    monkeypatch.setattr(search_module, "_Unknown", Probe)
    size = (
        1e-8  # larger ones cross kinks of the activations: at 1e-5 the difference is 1 % off, at 1e-7 0.1 %
    )
    for Probe.moved in (0.0, size, -size):
        search(double_scene, recognisers, steps=1, seed=seed)
    (_, slope), (above, _), (below, _) = seen
    assert abs(slope) > 1e-3  # a direction along which something happens
    assert slope == pytest.approx((above - below) / (2 * size), rel=1e-3)


def seed_without_jpeg() -> int:
    """The first seed whose first step has a blurred and a shrunken view; the eight before are the owner's."""
    for seed in range(10_000):
        chance = random.Random(seed)
        damage = [search_module.View(chance).damage for _ in range(8 + search_module.VIEWS)]
        if "jpeg" not in damage and set(damage[8:]) == {"blur", "shrink"}:
            return seed
    raise LookupError


def test_a_mirrored_view_sees_the_mirrored_face(
    stack: Stack, portrait: np.ndarray, face: Face, aligned: AlignedFace
) -> None:
    """The search's crop of a mirrored face shows what the detector's points of one would show."""
    points = search_module.mirrored(face.points, portrait.shape[1])
    (found,) = detect(stack.detector, np.ascontiguousarray(portrait[:, ::-1]))
    assert np.abs(points - found.points).max() < 0.04 * face.size


# --- protect ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def astronaut_photo() -> Photo:
    """As a PNG with metadata of every kind that one may carry."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "SECRET")
    exif = Image.Exif()
    exif[270] = "SECRET"
    return decode(png(astronaut(), pnginfo=text, exif=exif))


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def protected(stack: Stack, astronaut_photo: Photo, events: list[Event]) -> Protected:
    """The whole method at its default settings."""
    return protect(astronaut_photo, stack, Settings(), events.append)


def window_of(face: Face, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W): whether the centre of a photo's pixel lies within the mask's window of a face."""
    inverse = align.invert(align.ffhq_transform(face.points))
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    u, v = np.moveaxis(np.stack((x, y), axis=-1) @ inverse[:, :2].T + inverse[:, 2], -1, 0)
    rows, columns = MASK_WINDOW.pixels
    return (u >= columns.start) & (u <= columns.stop) & (v >= rows.start) & (v <= rows.stop)


def test_a_recogniser_that_took_no_part_no_longer_matches(
    stack: Stack, astronaut_photo: Photo, protected: Protected
) -> None:
    (face,) = detect(stack.detector, astronaut_photo.pixels)
    (after,) = detect(stack.detector, protected.pixels)
    (reported,) = protected.report["faces"]
    assert reported["found_after"]
    for name, recogniser in stack.recognisers.items():
        result = reported["recognisers"][name]
        assert result["surrogate"] == (name != HELD_OUT)
        assert result["matched_before"], name
        assert not result["matched_after"], name
        # The report's numbers, found again from the bytes.
        owner = embed_face(recogniser, astronaut_photo.pixels, face, mirror=True)
        seen = embed_face(recogniser, decode(protected.data).pixels, after)
        value = float(recogniser.compare(seen, owner))
        assert value == pytest.approx(result["after"], abs=1e-4)
        assert not recogniser.is_match(value)
        # And not by the mirror's grace: the very same photo is not matched either.
        plain = embed_face(recogniser, astronaut_photo.pixels, face)
        assert not recogniser.is_match(float(recogniser.compare(seen, plain))), name


def test_the_face_is_still_the_same_to_the_eye(
    stack: Stack, astronaut_photo: Photo, protected: Protected
) -> None:
    (face,) = detect(stack.detector, astronaut_photo.pixels)
    left, top, right, bottom = (round(v) for v in face.box)
    a, b = (pixels[top:bottom, left:right] for pixels in (astronaut_photo.pixels, protected.pixels))
    (reported,) = protected.report["faces"]
    psnr = peak_signal_noise_ratio(a, b, data_range=255)
    ssim = structural_similarity(a, b, channel_axis=2, data_range=255)
    assert psnr >= 30
    assert ssim >= 0.94
    assert reported["psnr"] == pytest.approx(psnr, abs=0.01)
    assert reported["ssim"] == pytest.approx(ssim, abs=1e-4)
    assert reported["box"] == pytest.approx(face.box, abs=0.06)


def test_the_rest_of_the_photo_is_the_same_pixels(
    stack: Stack, astronaut_photo: Photo, protected: Protected
) -> None:
    (face,) = detect(stack.detector, astronaut_photo.pixels)
    changed = (protected.pixels != astronaut_photo.pixels).any(axis=2)
    window = window_of(face, changed.shape)
    assert not changed[~window].any()
    assert changed[window].mean() > 0.3


def test_the_report_says_all_that_was_done(protected: Protected) -> None:
    report = json.loads(json.dumps(protected.report, allow_nan=False))
    assert report["photo"] == protected.report["photo"]
    assert report["faces"] == protected.report["faces"]
    assert report["photo"].items() >= {"width": 512, "height": 512, "format": "PNG"}.items()
    assert report["photo"]["psnr"] > 35
    assert report["photo"]["ssim"] > 0.99
    assert report["settings"] == {
        "mode": "dodge",
        "level": "balanced",
        "faces": "all",
        "render": "residual",
        "surrogates": list(SURROGATES),
        "target": None,
        "steps": None,
        "tuning_steps": None,
        "seed": 0,
        "prompt": "natural",
        "source_text": "no makeup",
        "without": [],
    }
    assert report["stages"].keys() == {"detect", "invert", "tune", "search", "render", "encode", "score"}
    assert sum(report["stages"].values()) == pytest.approx(report["seconds"], rel=0.05)
    (face,) = report["faces"]
    assert face.keys() == {
        "box",
        "psnr",
        "ssim",
        "steps",
        "seed",
        "prompt",
        "target",
        "seconds",
        "found_after",
        "recognisers",
    }
    assert (face["steps"], face["seed"]) == (search_module.STEPS, 0)
    assert (face["prompt"], face["target"]) == ("natural", None)
    assert face["seconds"].items() <= report["stages"].items()  # one face: its stages are the photo's
    for name, result in face["recognisers"].items():
        assert result.keys() == {
            "surrogate",
            "metric",
            "threshold",
            "before",
            "after",
            "matched_before",
            "matched_after",
        }, name


def test_the_file_holds_pixels_and_nothing_else(protected: Protected) -> None:
    data, position, chunks = protected.data, 8, []
    while position < len(data):
        size, kind = struct.unpack(">I4s", data[position : position + 8])
        chunks.append(kind)
        position += size + 12
    assert list(dict.fromkeys(chunks)) == [b"IHDR", b"IDAT", b"IEND"]
    assert b"SECRET" not in data
    assert np.array_equal(np.asarray(Image.open(BytesIO(data))), protected.pixels)


def test_progress_is_told_step_by_step(protected: Protected, events: list[Event]) -> None:
    assert {(e.face, e.faces) for e in events} == {(1, 1)}
    stages = list(dict.fromkeys(e.stage for e in events))
    assert stages == ["invert", "search"]
    for stage in stages:
        steps = [(e.done, e.total) for e in events if e.stage == stage]
        assert steps == [(i, len(steps)) for i in range(1, len(steps) + 1)]
    similarity = [e.similarity for e in events if e.stage == "search"]
    assert similarity[0] > 0.5
    assert np.mean(similarity[-5:]) < 0
    assert all(e.similarity is None for e in events if e.stage == "invert")


# From here on nothing judges quality: a few steps of the inversion will do.


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "invert", partial(invert, steps=1))


def test_same_seed_same_bytes(stack: Stack, portrait: np.ndarray, quick: None, unchanged: None) -> None:
    photo = photo_of(portrait)
    first = protect(photo, stack, Settings(steps=2, seed=3))
    assert protect(photo, stack, Settings(steps=2, seed=3)).data == first.data
    assert protect(photo, stack, Settings(steps=2, seed=4)).data != first.data
    assert first.report["faces"][0]["steps"] == 2
    assert first.report["faces"][0]["seed"] == first.report["settings"]["seed"] == 3


def test_generator_rendering_tunes_and_restores(
    stack: Stack, portrait: np.ndarray, face: Face, quick: None, unchanged: None
) -> None:
    told: list[Event] = []
    settings = Settings(steps=1, render="generator", tuning_steps=2)
    result = protect(photo_of(portrait), stack, settings, told.append)
    assert list(dict.fromkeys(e.stage for e in told)) == ["invert", "tune", "search"]
    assert result.report["stages"]["tune"] > 0
    changed = (result.pixels != portrait).any(axis=2)
    window = window_of(face, changed.shape)
    assert not changed[~window].any()
    assert changed[window].mean() > 0.5


def test_the_generator_is_restored_when_the_search_fails(
    stack: Stack, portrait: np.ndarray, quick: None, unchanged: None
) -> None:
    def stop(event: Event) -> None:
        if event.stage == "search":
            raise Interrupted

    with pytest.raises(Interrupted):
        protect(photo_of(portrait), stack, Settings(steps=1, tuning_steps=1), stop)


def test_a_gray_photo_stays_gray(stack: Stack, portrait: np.ndarray, quick: None) -> None:
    gray = np.asarray(Image.fromarray(portrait).convert("L"))
    result = protect(decode(png(gray)), stack, Settings(steps=1))
    assert Image.open(BytesIO(result.data)).mode == "L"
    assert np.ptp(result.pixels, axis=2).max() == 0
    assert not np.array_equal(result.pixels[..., 0], gray)


@pytest.fixture(scope="module")
def two(stack: Stack) -> np.ndarray:
    """A photo with two faces of different size, far apart."""
    canvas = np.full((420, 700, 3), 120, np.uint8)
    canvas[20:400, 10:390] = picture(generated_face(stack.generator, 1), 380)
    canvas[150:390, 440:680] = picture(generated_face(stack.generator, 2), 240)
    return canvas


def test_only_the_largest_face_or_all(stack: Stack, two: np.ndarray, quick: None) -> None:
    large, small = detect(stack.detector, two)
    windows = [window_of(face, two.shape) for face in (large, small)]
    assert not (windows[0] & windows[1]).any()
    for faces, touched in (("largest", [True, False]), ("all", [True, True])):
        result = protect(photo_of(two), stack, Settings(steps=1, faces=faces))
        changed = (result.pixels != two).any(axis=2)
        assert [bool(changed[window].any()) for window in windows] == touched
        assert not changed[~windows[0] & ~windows[1]].any()
        boxes = [face["box"] for face in result.report["faces"]]
        assert boxes == [pytest.approx(face.box, abs=0.06) for face in (large, small)[: sum(touched)]]


def test_impersonation_nears_the_target(stack: Stack, portrait: np.ndarray, quick: None) -> None:
    settings = Settings(mode="impersonate", target=7, steps=15, level="strong")
    (face,) = protect(photo_of(portrait), stack, settings).report["faces"]
    for name in SURROGATES:
        result = face["recognisers"][name]
        assert result["metric"] == "cosine"
        assert result["target_after"] > result["target_before"] + 0.1, name
        assert result["after"] < result["before"] - 0.1, name


def test_the_target_may_be_a_photo(stack: Stack, portrait: np.ndarray, quick: None) -> None:
    """Of the generated face itself: the same target as by its seed."""
    photo, seed = photo_of(portrait), 7
    by_seed = protect(photo, stack, Settings(mode="impersonate", target=seed, steps=1))
    by_photo = protect(
        photo, stack, Settings(mode="impersonate", target=png(generated_face(stack.generator, seed)), steps=1)
    )
    assert by_photo.data == by_seed.data
    assert by_seed.report["settings"]["target"] == "synthetic:7"
    assert by_photo.report["settings"]["target"] == "photo"


def of_part(stack: Stack, where: np.ndarray, pixels: np.ndarray, region: str) -> np.ndarray:
    """Mean RGB, 0 to 1, of a part of the face that is found in `where`."""
    found = detect(stack.detector, where)[0]
    crops = [AlignedFace.cut(p, found, torch.device("cpu")).crop for p in (where, pixels)]
    clean, crop = (torch.nn.functional.avg_pool2d(c, 4) / 2 + 0.5 for c in crops)
    mask = masks(locate(stack.prompter.landmarks, clean)[0].numpy())[REGIONS.index(region)]
    return (crop[0].numpy() * mask).sum(axis=(1, 2)) / mask.sum()


def test_a_prompt_paints_what_it_says_where_it_says(stack: Stack, portrait: np.ndarray, quick: None) -> None:
    red, blue = (
        protect(photo_of(portrait), stack, Settings(prompt=f"{colour} lipstick", steps=1))
        for colour in ("red", "blue")
    )
    assert red.report["faces"][0]["prompt"] == "red lipstick"
    lips, lids, cheeks = (
        of_part(stack, portrait, red.pixels, part) - of_part(stack, portrait, blue.pixels, part)
        for part in ("lips", "shadow", "blush")
    )
    assert lips[0] > 0 > lips[2]
    for other in (lids, cheeks):
        assert np.linalg.norm(other) < np.linalg.norm(lips) / 3


def test_generator_rendering_follows_a_prompt(stack: Stack, portrait: np.ndarray, quick: None) -> None:
    """Its one code has the text term: another prompt, another picture."""
    settings = {"render": "generator", "tuning_steps": 0, "steps": 2}
    red, none = (
        protect(photo_of(portrait), stack, Settings(prompt=p, **settings)) for p in ("red lipstick", "none")
    )
    assert red.data != none.data


def test_prompt_and_target_are_chosen(
    stack: Stack, portrait: np.ndarray, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.latent.choose.SHORT", 1)
    monkeypatch.setattr(pipeline, "AUTO_TARGETS", 2)
    monkeypatch.setattr(pipeline, "CANDIDATES", ("red-lips", "tan"))
    settings = Settings(mode="impersonate", target="auto", prompt="auto", steps=1)
    report = protect(photo_of(portrait), stack, settings).report
    (face,) = report["faces"]
    assert face["prompt"] in ("red-lips", "tan")
    assert face["target"] in ("synthetic:0", "synthetic:1")
    assert report["settings"]["target"] == report["settings"]["prompt"] == "auto"
    assert report["stages"]["choose"] > 0


# --- what must raise ----------------------------------------------------------------------------------


def never(*args: Any, **kwargs: Any) -> None:
    pytest.fail("nothing must be searched")


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "invert", never)


FACELESS = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)


def test_a_photo_without_a_face_is_refused(stack: Stack, refused: None) -> None:
    with pytest.raises(NoFaceError, match="no face was found"):
        protect(photo_of(FACELESS), stack, Settings())


def test_an_unknown_surrogate_is_refused_with_the_known_ones(
    stack: Stack, portrait: np.ndarray, refused: None
) -> None:
    with pytest.raises(ConfigError, match="'facenet'.*mobilefacenet-512, mobilefacenet-192, dlib-resnet29"):
        protect(photo_of(portrait), stack, Settings(surrogates=("mobilefacenet-512", "facenet")))


def test_a_target_without_a_face_is_refused(stack: Stack, portrait: np.ndarray, refused: None) -> None:
    with pytest.raises(NoFaceError, match="the target shows no face"):
        protect(photo_of(portrait), stack, Settings(mode="impersonate", target=png(FACELESS)))


def test_comparing_photos_says_which_one_has_no_face(stack: Stack, portrait: np.ndarray) -> None:
    with pytest.raises(NoFaceError, match="first"):
        compare(stack, photo_of(FACELESS), photo_of(portrait))
    with pytest.raises(NoFaceError, match="second"):
        compare(stack, photo_of(portrait), photo_of(FACELESS))
    assert all(c.same for c in compare(stack, photo_of(portrait), photo_of(portrait)))

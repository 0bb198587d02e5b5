"""Where faces are, how they are cut out, and how they are put back."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from engines.face import align
from engines.face.align import compose, ffhq_transform, inverse, sample, scale_of, similarity_transform
from engines.face.crop import AlignedFace, cut
from engines.face.detect import Face, detect
from engines.latent import render as rendering_module
from engines.latent.render import Rendering, composite, enlarge, lay_over, render
from engines.latent.target import generated_face
from engines.networks.frame import IMAGE_SIZE, MASK_WINDOW, face_mask
from engines.stack import Stack

CPU = torch.device("cpu")
#: Five points of a face at FFHQ's place in a 1024-px crop.
CANONICAL = np.array([[383, 480], [641, 480], [512, 620], [418, 744], [606, 744]], np.float64)
IDENTITY = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def turned(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    """A similarity (2, 3): scaled and rotated, then shifted."""
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[c, -s, x], [s, c, y]])


def apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ transform[:, :2].T + transform[:, 2]


SIMILARITIES = [
    turned(1, 0, 0, 0),
    turned(0.05, 0, 30, -20),
    turned(1.7, 33, -200, 500),
    turned(0.4, -90, 0, 0),
    turned(3, 179, 7, 7),
]


# --- transforms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", SIMILARITIES)
def test_similarity_recovers_a_transform(transform: np.ndarray) -> None:
    assert np.allclose(similarity_transform(CANONICAL, apply(transform, CANONICAL)), transform, atol=1e-9)


def test_similarity_never_mirrors() -> None:
    mirrored = CANONICAL * (-1, 1)
    assert np.linalg.det(similarity_transform(CANONICAL, mirrored)[:, :2]) > 0


def test_similarity_is_the_least_squares_one() -> None:
    rng = np.random.default_rng(0)
    target = apply(turned(0.4, 20, 100, 50), CANONICAL) + rng.normal(0, 8, CANONICAL.shape)

    def error(transform: np.ndarray) -> float:
        return float(np.square(apply(transform, CANONICAL) - target).sum())

    best = similarity_transform(CANONICAL, target)
    for factor in (1 - 1e-3, 1 + 1e-3):
        for degrees in (-0.1, 0, 0.1):
            for x, y in ((0, 0), (0.1, 0), (0, -0.1)):
                assert error(best) <= error(compose(turned(factor, degrees, x, y), best))


@pytest.mark.parametrize("transform", SIMILARITIES)
def test_invert_and_compose(transform: np.ndarray) -> None:
    other = turned(0.7, 15, -3, 9)
    assert np.allclose(compose(transform, inverse(transform)), IDENTITY, atol=1e-9)
    assert np.allclose(compose(inverse(transform), transform), IDENTITY, atol=1e-9)
    assert np.allclose(apply(compose(transform, other), CANONICAL), apply(transform, apply(other, CANONICAL)))


def test_scale_of_is_picture_pixels_a_crop_pixel() -> None:
    assert scale_of(turned(2.5, 40, 3, 3)) == pytest.approx(2.5)


@pytest.mark.parametrize("transform", SIMILARITIES)
def test_ffhq_crop_puts_a_face_in_its_known_place(transform: np.ndarray) -> None:
    points = apply(transform, CANONICAL)
    placed = apply(inverse(ffhq_transform(points)), points)
    assert np.allclose(placed[:2], [[383, 480], [641, 480]], atol=6)
    assert np.allclose(placed[3:].mean(axis=0), [512, 744], atol=6)
    # The crop turns, grows and moves with the face, exactly.
    assert np.allclose(ffhq_transform(points), compose(transform, ffhq_transform(CANONICAL)), atol=1e-6)


def test_ffhq_crop_is_that_of_its_published_script() -> None:
    """`recreate_aligned_images` of NVlabs/ffhq-dataset: corners of the crop, any five points."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        points = CANONICAL + rng.normal(0, 40, CANONICAL.shape)
        eye_to_eye = points[1] - points[0]
        eye_to_mouth = points[3:].mean(axis=0) - points[:2].mean(axis=0)
        x = eye_to_eye - np.flipud(eye_to_mouth) * [-1, 1]
        x /= np.hypot(*x)
        x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
        y = np.flipud(x) * [-1, 1]
        c = points[:2].mean(axis=0) + eye_to_mouth * 0.1
        quad = np.stack([c - x - y, c - x + y, c + x + y, c + x - y])
        corners = np.array([[0, 0], [0, 1024], [1024, 1024], [1024, 0]])
        assert np.allclose(apply(ffhq_transform(points), corners), quad)


# --- sampling -----------------------------------------------------------------------------------------


def noise(height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0), dtype=dtype)


def ramp(height: int, width: int) -> Tensor:
    """(1, 2, H, W): the x and the y of every pixel's centre."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack((x, y))[None].double()


def places(transform: np.ndarray, size: int) -> np.ndarray:
    """(2, S, S): where in the picture the centres of a crop's pixels lie."""
    v, u = np.mgrid[:size, :size] + 0.5
    return np.moveaxis(apply(transform, np.stack((u, v), axis=-1)), -1, 0)


def test_sampling_the_identity_changes_nothing() -> None:
    image = noise(17, 23)
    assert torch.allclose(sample(image, IDENTITY, (17, 23)), image, atol=1e-6)


def test_sampling_a_shift() -> None:
    image = noise(17, 23, torch.float64)
    whole = sample(image, np.array([[1, 0, 4], [0, 1, 2]]), (10, 12))
    assert torch.allclose(whole, image[:, :, 2:12, 4:16], atol=1e-12)
    half = sample(image, np.array([[1, 0, 4.5], [0, 1, 2]]), (10, 12))
    assert torch.allclose(half, (image[:, :, 2:12, 4:16] + image[:, :, 2:12, 5:17]) / 2, atol=1e-12)


def test_the_edges_colour_goes_on_outside() -> None:
    image = noise(8, 8, torch.float64)
    crop = sample(image, np.array([[1.0, 0, -100], [0, 1, -100]]), 20)
    assert torch.allclose(crop, image[:, :, :1, :1].expand_as(crop))


@pytest.mark.parametrize("scale", [0.3, 1.0, 1.9, 2.0, 3.7, 6.0])
@pytest.mark.parametrize("degrees", [0, 25, -110])
def test_sampling_looks_where_the_transform_says(scale: float, degrees: float) -> None:
    size = 24
    centre = apply(turned(scale, degrees, 0, 0), np.array([[size / 2, size / 2]]))[0]
    transform = turned(scale, degrees, *(np.array([131, 122]) - centre))
    crop = sample(ramp(240, 250), transform, size)
    assert np.allclose(crop[0].numpy(), places(transform, size), atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3.3, 4, 7.9])
def test_fine_detail_is_averaged_not_aliased(scale: float) -> None:
    y, x = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    checks = ((x + y) % 2)[None, None].double()
    crop = sample(checks, np.array([[scale, 0, 8.5], [0, scale, 8.5]]), 24)  # from a pixel's centre
    # An odd window holds one check more of one colour: 5 of 9.
    assert float((crop - 0.5).abs().max()) <= 0.5 / int(scale) ** 2 + 1e-9
    assert float(crop.mean()) == pytest.approx(0.5, abs=0.02)


def test_one_image_serves_many_crops_and_many_serve_many() -> None:
    images = torch.cat((noise(40, 40), noise(40, 40).flip(3)))
    transforms = np.stack((turned(1.2, 10, 3, 4), turned(1.5, -20, 6, 10)))
    many = sample(images, transforms, 16)
    both = sample(images[:1], transforms, 16)
    for i in range(2):
        assert torch.allclose(many[i], sample(images[i : i + 1], transforms[i], 16)[0], atol=1e-5)
        assert torch.allclose(both[i], sample(images[:1], transforms[i], 16)[0], atol=1e-5)


@pytest.mark.parametrize("scale", [0.8, 2.5])
def test_sampling_has_the_right_gradient(scale: float) -> None:
    image = noise(24, 24, torch.float64).requires_grad_()
    transform = turned(scale, 20, 5, 1)
    assert torch.autograd.gradcheck(lambda x: sample(x, transform, 6), image)


# --- cutting ------------------------------------------------------------------------------------------


def smooth_photo(height: int, width: int, colour: bool = True) -> np.ndarray:
    """A photo (H, W, 3) uint8 without detail finer than some 40 px, between 60 and 196."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(60, 197, (height // 40 + 2, width // 40 + 2, 3 if colour else 1), np.uint8)
    coarse = np.repeat(coarse, 1 if colour else 3, axis=2)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def noisy_photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (height, width, 3), np.uint8)


def tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


CUTS = {
    "inside": (100, 80),
    "at the border": (0, 0),
    "over a corner": (-60, -50),
    "over the far corner": (260, 200),
    "outside": (-400, 900),
}


@pytest.mark.parametrize("corner", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize(("scale", "degrees"), [(0.4, 0), (0.9, 30), (1.6, -45)])
def test_a_cut_is_a_sample_of_the_whole_photo(corner: tuple[int, int], scale: float, degrees: float) -> None:
    pixels = noisy_photo(260, 300)
    transform = turned(scale, degrees, *corner)
    assert torch.allclose(cut(pixels, transform, 112), sample(tensor(pixels), transform, 112), atol=2e-4)


@pytest.mark.parametrize("corner", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize(("scale", "degrees"), [(2, 0), (3.6, 12), (6.5, -80)])
def test_a_cut_of_a_large_face_is_a_sample_of_the_whole_photo(
    corner: tuple[int, int], scale: float, degrees: float
) -> None:
    """Averaged down in bytes and on another grid, so equal but for a rounding and part of a pixel."""
    pixels = smooth_photo(900, 1000)
    transform = turned(scale, degrees, 3 * corner[0], 3 * corner[1])
    difference = (cut(pixels, transform, 112) - sample(tensor(pixels), transform, 112)).abs() * 255
    assert float(difference.mean()) < 0.8
    assert float(difference.max()) < 8


def test_a_cut_of_a_large_face_lies_where_it_should() -> None:
    """On a ramp every pixel says where it was looked at: no drift by the grid of the averaging."""
    x = np.broadcast_to(np.linspace(0, 255, 1500)[None, :, None], (600, 1500, 3))
    for left in range(200, 208):
        transform = np.array([[5.0, 0, left], [0, 5.0, 40]])
        crop = cut(np.rint(x).astype(np.uint8), transform, 100)[0, 0].numpy() * 255
        expected = (places(transform, 100)[0] - 0.5) * 255 / 1499
        assert abs(float((crop - expected)[:, :-1].mean())) < 0.1
        assert float(np.abs(crop - expected)[:, :-1].max()) < 1.0


def face_at(transform: np.ndarray, box: tuple[float, float, float, float] = (300, 250, 724, 900)) -> Face:
    """A face whose canonical points and box (upright) are put into a photo by `transform`."""
    corners = apply(transform, np.array(box).reshape(2, 2))
    low, high = corners.min(axis=0), corners.max(axis=0)
    return Face((low[0], low[1], high[0], high[1]), apply(transform, CANONICAL).astype(np.float32), 1.0)


def test_an_aligned_face_knows_its_place() -> None:
    face = face_at(turned(0.3, 0, 40, 30))
    aligned = AlignedFace.cut(smooth_photo(420, 460), face, CPU)
    assert aligned.crop.shape == (1, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert np.allclose(apply(aligned.transform, aligned.points), face.points, atol=1e-3)
    assert np.allclose(aligned.points, CANONICAL, atol=8)
    assert aligned.area == pytest.approx(424 * 650, rel=0.02)
    assert -1 <= float(aligned.crop.min()) < 0 < float(aligned.crop.max()) <= 1


# --- the mask and what is laid over -------------------------------------------------------------------


def test_the_mask_holds_the_face_and_ends_before_its_window() -> None:
    mask = face_mask(CPU)
    rows, columns = MASK_WINDOW.pixels
    assert mask.shape == (1, 1, rows.stop - rows.start, columns.stop - columns.start)
    assert float(mask.min()) == 0
    assert float(mask.max()) == 1
    for edge in (mask[:, :, 0], mask[:, :, -1], mask[..., 0], mask[..., -1]):
        assert not edge.any()
    for x, y in CANONICAL:
        assert float(mask[0, 0, round(y) - rows.start, round(x) - columns.start]) > 0.95
    assert float(mask.diff(dim=2).abs().max()) < 0.03  # a fade, not an edge
    assert float(mask.diff(dim=3).abs().max()) < 0.03


def rendering(kind: str = "residual", *, gray: bool = False, size: int = IMAGE_SIZE) -> Rendering:
    """What two smooth images give, changes of up to some 40 of 255."""
    rows, columns = (slice(s.start * size // 1024, s.stop * size // 1024) for s in MASK_WINDOW.pixels)
    v, u = torch.meshgrid((torch.arange(size) + 0.5) / size, (torch.arange(size) + 0.5) / size, indexing="ij")
    waves = [torch.sin(9 * u + 4 * v), torch.sin(7 * v - 3 * u), torch.cos(6 * u + 8 * v)]
    image = 0.3 * torch.stack(waves)[None, :, rows, columns]
    return render(kind, image, torch.zeros_like(image), gray=gray)


@pytest.mark.parametrize("kind", ["residual", "generator"])
def test_rendering_is_what_its_formula_says(kind: str) -> None:
    mask = face_mask(CPU)
    image, pivot = noise(*mask.shape[2:]) * 2 - 1, noise(*mask.shape[2:]).flip(2) * 2 - 1
    made = render(kind, image, pivot, gray=False)
    if kind == "residual":
        assert torch.allclose(made.light, mask * (image - pivot) / 2, atol=1e-7)
        assert not made.cover.any()
    else:
        assert torch.allclose(made.light, mask * (image + 1) / 2, atol=1e-7)
        assert torch.equal(made.cover, mask)


@pytest.mark.parametrize("kind", ["residual", "generator"])
def test_a_gray_rendering_has_one_colour_and_the_luma_of_the_other(kind: str) -> None:
    gray, colour = rendering(kind, gray=True).light, rendering(kind).light
    assert torch.equal(gray[:, 0], gray[:, 1])
    assert torch.equal(gray[:, 0], gray[:, 2])
    luma = 0.299 * colour[:, 0] + 0.587 * colour[:, 1] + 0.114 * colour[:, 2]
    assert torch.allclose(gray[:, 0], luma, atol=1e-6)


@pytest.mark.parametrize("kind", ["residual", "generator"])
def test_laying_over_commutes_with_averaging_down(kind: str) -> None:
    """So the search, at a quarter of the size, sees what the photo will show."""
    crop = tensor(smooth_photo(1024, 1024))
    whole, quarter = rendering(kind), rendering(kind, size=256)
    small = lay_over(torch.nn.functional.avg_pool2d(crop, 4), quarter)
    assert torch.allclose(torch.nn.functional.avg_pool2d(lay_over(crop, whole), 4), small, atol=2e-3)


def test_laying_over_stays_in_range_and_in_the_window() -> None:
    crop = torch.ones(1, 3, 256, 256)
    over = lay_over(crop, rendering(size=256))
    rows, columns = (slice(s.start // 4, s.stop // 4) for s in MASK_WINDOW.pixels)
    assert float(over.max()) == 1
    assert float(over.min()) < 0.95
    outside = torch.ones(256, 256, dtype=torch.bool)
    outside[rows, columns] = False
    assert torch.equal(over[..., outside], crop[..., outside])
    assert float(crop.min()) == 1  # not changed in place


def test_enlarging_keeps_the_place() -> None:
    small, large = rendering(size=256), rendering()
    enlarged = enlarge(small, 4)
    assert enlarged.light.shape == large.light.shape
    assert enlarged.cover.shape == large.cover.shape
    assert float((enlarged.light - large.light).abs().max()) < 2e-3  # half a step of 255


# --- compositing --------------------------------------------------------------------------------------

PHOTO = (700, 800)
PLACES = {
    "small": turned(0.12, 0, 300, 200),
    "turned": turned(0.35, 28, 300, 100),
    "upside down": turned(0.4, 180, 700, 600),
    "large": turned(0.9, -5, -40, -20),
    "larger than the generator's": turned(1.3, 10, -100, -300),
    "over the corner": turned(0.6, 15, -250, -300),
    "over the far corner": turned(0.6, -15, 400, 350),
}


def aligned_at(pixels: np.ndarray, place: np.ndarray) -> AlignedFace:
    return AlignedFace.cut(pixels, face_at(place), CPU)


def outside_window(face: AlignedFace, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W): whether a photo's pixel has its centre outside the mask's window."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    u, v = np.moveaxis(apply(inverse(face.transform), np.stack((x, y), axis=-1)), -1, 0)
    rows, columns = MASK_WINDOW.pixels
    return (u < columns.start) | (u > columns.stop) | (v < rows.start) | (v > rows.stop)


@pytest.mark.parametrize("kind", ["residual", "generator"])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_nothing_changes_outside_the_masks_window(place: np.ndarray, kind: str) -> None:
    pixels = noisy_photo(*PHOTO)
    kept = pixels.copy()
    face = aligned_at(pixels, place)
    result = composite(pixels, face, rendering(kind))
    outside = outside_window(face, pixels.shape)
    assert np.array_equal(result[outside], pixels[outside])
    assert (result != pixels).any(axis=2)[~outside].mean() > 0.4
    assert np.array_equal(pixels, kept)  # the photo given is not written to
    assert result.dtype == np.uint8


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_rendering_of_nothing_changes_nothing(place: np.ndarray) -> None:
    pixels = noisy_photo(*PHOTO)
    image = noise(*face_mask(CPU).shape[2:])
    result = composite(pixels, aligned_at(pixels, place), render("residual", image, image, gray=False))
    assert np.array_equal(result, pixels)


def test_a_face_outside_the_photo_changes_nothing() -> None:
    pixels = noisy_photo(*PHOTO)
    for place in (turned(0.3, 0, -2000, 100), turned(0.3, 0, 100, 5000)):
        assert np.array_equal(composite(pixels, aligned_at(pixels, place), rendering()), pixels)


@pytest.mark.parametrize("kind", ["residual", "generator"])
def test_a_gray_photo_stays_gray(kind: str) -> None:
    pixels = smooth_photo(*PHOTO, colour=False)
    assert np.ptp(pixels, axis=2).max() == 0
    result = composite(pixels, aligned_at(pixels, PLACES["turned"]), rendering(kind, gray=True))
    assert np.ptp(result, axis=2).max() == 0
    assert not np.array_equal(result, pixels)


@pytest.mark.parametrize("kind", ["residual", "generator"])
@pytest.mark.parametrize("name", ["small", "turned", "upside down", "large", "larger than the generator's"])
def test_what_is_composited_is_seen_when_cut_again(name: str, kind: str) -> None:
    # At 1.3 the mask's window must still lie in the photo.
    pixels = smooth_photo(1300, 1300)
    place = turned(1.2, 10, 100, -150) if name.startswith("larger") else PLACES[name]
    face = aligned_at(pixels, place)
    made = rendering(kind)
    result = composite(pixels, face, made)
    seen, expected = aligned_at(result, place).crop / 2 + 0.5, lay_over(face.crop / 2 + 0.5, made)
    error = (seen - expected).abs() * 255
    moved = (expected - (face.crop / 2 + 0.5)).abs() * 255
    assert float(moved.max()) > 30
    # One rounding to bytes; at 0.12 of the size also the interpolation of 8-px steps.
    assert float(error.mean()) < 0.35
    assert float(error.max()) < (3.0 if name == "small" else 1.5)


def test_bands_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noisy_photo(*PHOTO)
    face = aligned_at(pixels, PLACES["turned"])
    whole = composite(pixels, face, rendering())
    monkeypatch.setattr(rendering_module, "_BAND", 37)
    banded = composite(pixels, face, rendering())
    differs = whole.astype(int) - banded
    assert np.abs(differs).max() <= 1  # a tie may be rounded the other way
    assert (differs != 0).mean() < 1e-4


# --- detection ----------------------------------------------------------------------------------------

SEEDS = (1, 2)


@pytest.fixture(scope="module")
def faces(stack: Stack) -> list[np.ndarray]:
    return [generated_face(stack.generator, seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def found(stack: Stack, faces: list[np.ndarray]) -> list[Face]:
    """The faces as found in the generated pictures themselves."""
    every = [detect(stack.detector, pixels) for pixels in faces]
    assert [len(found) for found in every] == [1, 1]
    return [found[0] for found in every]


def photo_with(*pasted: tuple[np.ndarray, int, int, int], shape: tuple[int, int] = (600, 800)) -> np.ndarray:
    """A flat photo with pictures pasted: (picture, side, left, top)."""
    canvas = Image.new("RGB", (shape[1], shape[0]), (110, 120, 130))
    for picture, side, left, top in pasted:
        canvas.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS), (left, top))
    return np.asarray(canvas)


def assert_is(face: Face, known: Face, side: int, left: int, top: int) -> None:
    """`face` is the one `known` in a 1024-px picture, which was pasted at that place."""
    scale, corner = side / 1024, np.array([left, top])
    assert np.abs(face.points - (known.points * scale + corner)).max() < 0.06 * known.size * scale
    box = np.array(known.box).reshape(2, 2) * scale + corner
    seen = np.array(face.box).reshape(2, 2)
    shared = np.prod(np.maximum(np.minimum(box[1], seen[1]) - np.maximum(box[0], seen[0]), 0))
    assert shared / (np.prod(box[1] - box[0]) + np.prod(seen[1] - seen[0]) - shared) > 0.7


def assert_sane(face: Face) -> None:
    left, top, right, bottom = face.box
    assert ((face.points > (left, top)) & (face.points < (right, bottom))).all()
    right_eye, left_eye, nose, right_mouth, left_mouth = face.points
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < left_mouth[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])
    assert 0.9 < face.confidence <= 1
    assert face.size == max(right - left, bottom - top)


@pytest.mark.models
@pytest.mark.parametrize("index", [0, 1])
def test_a_generated_face_lies_where_ffhq_puts_it(found: list[Face], index: int) -> None:
    assert_sane(found[index])
    transform = ffhq_transform(found[index].points)
    assert abs(scale_of(transform) - 1) < 0.08
    assert np.abs(apply(transform, np.array([[512, 512]])) - 512).max() < 40


@pytest.mark.models
@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize(
    ("side", "left", "top"), [(560, 120, 20), (220, 0, 0), (220, 580, 380), (130, 400, 300), (80, 33, 417)]
)
def test_a_face_is_found_where_it_is(
    stack: Stack, faces: list[np.ndarray], found: list[Face], index: int, side: int, left: int, top: int
) -> None:
    seen = detect(stack.detector, photo_with((faces[index], side, left, top)))
    assert len(seen) == 1
    assert_sane(seen[0])
    assert_is(seen[0], found[index], side, left, top)


@pytest.mark.models
def test_all_faces_are_found_largest_first(stack: Stack, faces: list[np.ndarray], found: list[Face]) -> None:
    pixels = photo_with((faces[0], 180, 30, 60), (faces[1], 400, 350, 120))
    seen = detect(stack.detector, pixels)
    assert len(seen) == 2
    assert_is(seen[0], found[1], 400, 350, 120)
    assert_is(seen[1], found[0], 180, 30, 60)


@pytest.mark.models
def test_places_in_a_large_photo_are_in_its_own_pixels(
    stack: Stack, faces: list[np.ndarray], found: list[Face]
) -> None:
    seen = detect(stack.detector, photo_with((faces[0], 900, 2000, 700), shape=(1700, 3100)))
    assert len(seen) == 1
    assert_is(seen[0], found[0], 900, 2000, 700)


@pytest.mark.models
@pytest.mark.parametrize(
    "pixels",
    [
        noisy_photo(300, 400),
        np.full((300, 400, 3), 127, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        noisy_photo(5, 3000),
        noisy_photo(3000, 5),
        smooth_photo(300, 400),
    ],
    ids=["noise", "flat", "1x1", "5x3000", "3000x5", "smooth"],
)
def test_where_there_is_no_face_none_is_found(stack: Stack, pixels: np.ndarray) -> None:
    assert detect(stack.detector, pixels) == []


@pytest.mark.models
def test_templates_agree_with_the_detector(found: list[Face]) -> None:
    """Both crops of the recognisers and the generator's are of one face: they must nearly agree."""
    for face in found:
        for template, size in ((align.ARCFACE_POINTS, 112), (align.DLIB_POINTS, 150)):
            placed = apply(similarity_transform(face.points, template), face.points)
            assert np.abs(placed - template).max() < 0.06 * size

"""Faces are found where they are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from engines.face.align import ffhq_transform, scale_of, similarity_transform
from engines.face.crop import align
from engines.face.detect import Face, detect
from engines.latent.target import generated_face
from engines.stack import Stack
from tests.support.photos import natural
from tests.support.transforms import apply, noisy_photo, smooth_photo

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


def test_the_box_is_cut_at_the_photos_border() -> None:
    pixels = natural(100, 90)

    def part(*box: float) -> np.ndarray:
        return Face(box, np.zeros((5, 2), np.float32), 1.0).part_of(pixels)

    assert np.array_equal(part(10.4, 20.6, 30.5, 39.6), pixels[21:40, 10:30])
    assert np.array_equal(part(-15, -5, 20, 30), pixels[:30, :20])
    assert np.array_equal(part(70, 80, 200, 300), pixels[80:, 70:])

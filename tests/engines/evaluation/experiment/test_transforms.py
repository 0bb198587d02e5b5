"""What happens to photos on the way: each transform does what its name says, and the second detector finds
faces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from engines.face.detect import Face

if TYPE_CHECKING:
    from engines.stack import Stack

pytestmark = pytest.mark.models
ASTRONAUT = data.astronaut()
#: Her face with as much around it, by hand.
AROUND = np.s_[0:300, 80:380]
SIZE = 110.0


@pytest.fixture(scope="module")
def face(stack: Stack) -> Face:
    from engines.face.detect import detect

    return detect(stack.detector, np.ascontiguousarray(ASTRONAUT[AROUND]))[0]


def changed(stack: Stack, name: str, pixels: np.ndarray = ASTRONAUT[AROUND]) -> np.ndarray:
    from engines.evaluation.experiment.transforms import TRANSFORMS

    points = np.array([(120, 90), (160, 90), (140, 115), (125, 135), (155, 135)], np.float32)
    around = Face((85, 45, 85 + 0.8 * SIZE, 45 + SIZE), points, 1.0)
    return TRANSFORMS[name](stack, np.ascontiguousarray(pixels), around)


def test_every_transform_gives_one_picture_and_leaves_its_input_alone(stack: Stack, face: Face) -> None:
    from engines.evaluation.experiment.transforms import TRANSFORMS

    before = np.ascontiguousarray(ASTRONAUT[AROUND])
    for name, transform in TRANSFORMS.items():
        pixels = before.copy()
        after = transform(stack, pixels, face)
        assert (after.dtype, after.shape[2]) == (np.uint8, 3), name
        assert (pixels == before).all(), name
        assert (transform(stack, pixels, face) == after).all(), name
        same = after.shape == before.shape and (after == before).all()
        assert same == (name in ("none", "second-detector")), name


def test_a_lower_quality_changes_more(stack: Stack) -> None:
    near = [peak_signal_noise_ratio(ASTRONAUT[AROUND], changed(stack, f"jpeg-{q}")) for q in (95, 75, 50)]
    assert near == sorted(near, reverse=True)
    assert near[0] > near[-1] + 3


def test_resizing_leaves_so_many_pixels(stack: Stack) -> None:
    assert changed(stack, "resize-50").shape == (150, 150, 3)
    assert changed(stack, "resize-25").shape == (75, 75, 3)


def test_blur_is_a_gaussian_of_the_faces_size(stack: Stack) -> None:
    expected = gaussian_filter(ASTRONAUT[AROUND].astype(float), (0.015 * SIZE, 0.015 * SIZE, 0))
    inside = np.s_[8:-8, 8:-8]
    assert np.abs(changed(stack, "blur")[inside] - expected[inside]).mean() < 1.0


def test_noise_has_its_deviation(stack: Stack) -> None:
    grey = np.full((300, 300, 3), 128, np.uint8)
    assert (changed(stack, "noise", grey).astype(float) - 128).std() == pytest.approx(8, rel=0.02)


def test_a_crop_leaves_a_quarter_of_the_faces_size_around_it(stack: Stack) -> None:
    room = 0.25 * SIZE
    rows, columns = (
        slice(round(a - room), round(b + room)) for a, b in ((45, 45 + SIZE), (85, 85 + 0.8 * SIZE))
    )
    assert (changed(stack, "crop") == ASTRONAUT[AROUND][rows, columns]).all()


def test_a_face_at_the_edge_of_its_photo_is_not_cut_away(stack: Stack) -> None:
    assert changed(stack, "crop", ASTRONAUT[AROUND][:160, :180]).shape == (160 - 18, 180 - 58, 3)


def test_sharpening_steepens_edges(stack: Stack) -> None:
    def steepness(pixels: np.ndarray) -> float:
        return float(np.abs(np.diff(pixels.astype(float), axis=1)).mean())

    assert steepness(changed(stack, "sharpen")) > 1.2 * steepness(ASTRONAUT[AROUND])
    assert steepness(changed(stack, "denoise")) < 0.8 * steepness(ASTRONAUT[AROUND])


def test_purification_draws_the_face_anew_and_nothing_else(stack: Stack, face: Face) -> None:
    from engines.evaluation.experiment.transforms import TRANSFORMS

    before = np.ascontiguousarray(ASTRONAUT[AROUND])
    difference = np.abs(TRANSFORMS["purify"](stack, before, face).astype(int) - before).max(axis=2)
    left, top, right, bottom = map(round, face.box)
    assert difference[top:bottom, left:right].mean() > 5
    assert difference[-60:].max() == difference[:, :30].max() == 0


def test_the_region_holds_the_face_with_as_much_around_it_and_begins_at_a_block() -> None:
    from engines.evaluation.experiment.transforms import region

    face = Face((200.0, 300.0, 300.0, 420.0), np.zeros((5, 2), np.float32), 1.0)
    assert region((1000, 1000, 3), face) == (slice(176, 540), slice(80, 420))
    assert region((430, 310, 3), face) == (slice(176, 430), slice(80, 310))


def test_the_second_detector_finds_the_face_and_its_points_by_itself(stack: Stack) -> None:
    from engines.evaluation.experiment.transforms import second_detector
    from engines.face.detect import detect

    pixels = np.ascontiguousarray(ASTRONAUT[AROUND])
    mine, theirs = detect(stack.detector, pixels)[0], second_detector(stack, pixels)
    assert len(theirs) == 1
    assert np.abs(theirs[0].points - mine.points).max() < 0.06 * mine.size


@pytest.mark.parametrize("name", ["none", "resize-50", "crop", "second-detector"])
def test_the_face_is_find_after_a_transform_wherever_that_put_it(stack: Stack, face: Face, name: str) -> None:
    from engines.evaluation.experiment.transforms import find_after

    pixels = np.ascontiguousarray(ASTRONAUT[AROUND])
    found = find_after(stack, name, pixels, face)
    assert found is not None
    inside = found[1].points / found[0].shape[1::-1]
    assert (inside > 0).all() and (inside < 1).all()
    width = {"none": 1.0, "resize-50": 0.5, "crop": 1.0, "second-detector": 1.0}[name]
    assert found[1].size == pytest.approx(width * face.size, rel=0.25)


def test_a_face_that_is_gone_is_not_found_and_another_one_is_not_taken_for_it(
    stack: Stack, face: Face
) -> None:
    from engines.evaluation.experiment.transforms import find_after

    pixels = ASTRONAUT[AROUND].copy()
    elsewhere = Face((5, 180, 90, 290), face.points + np.float32((-110, 130)), 1.0)
    assert find_after(stack, "none", pixels, elsewhere) is None
    pixels[:] = 128
    assert find_after(stack, "none", pixels, face) is None


def test_the_second_detector_works_at_another_size_and_finds_nothing_in_a_landscape(stack: Stack) -> None:
    from engines.evaluation.experiment.transforms import second_detector

    large = np.asarray(Image.fromarray(ASTRONAUT[AROUND]).resize((900, 900)))
    assert len(second_detector(stack, large)) == 1
    assert second_detector(stack, np.asarray(data.rocket())) == []

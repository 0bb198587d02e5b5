"""Tasks, each beside another way to come to its result."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from engines.evaluation.experiment.tasks import (
    Inspection,
    Networks,
    Protection,
    Strangers,
    TargetPerson,
    _square,
    _turn,
    work,
)
from engines.face.detect import Face, detect
from engines.face.recognise import identity_of_face
from engines.photo.decode import decode
from engines.verify import compare
from tests.support.pictures import saved

if TYPE_CHECKING:
    from engines.stack import Stack

pytestmark = pytest.mark.models
NETWORKS = Networks("cpu")
CLEAN = saved(data.astronaut(), "PNG")


def jpeg(quality: int) -> bytes:
    return saved(data.astronaut(), "JPEG", quality=quality)


def test_an_inspection_agrees_with_verify_and_with_scikit_image(stack: Stack) -> None:
    from engines.face.detect import detect

    after = jpeg(30)
    inspection = Inspection(NETWORKS, CLEAN, after, ("none", "resize-50")).do(stack)
    a, b = decode(CLEAN), decode(after)
    for one in compare(stack, b, a):
        r = stack.recognisers[one.recogniser]
        plain = Inspection(NETWORKS, CLEAN, CLEAN, ("none",)).do(stack)
        seen = [torch.from_numpy(x.arrays[f"none/{one.recogniser}"])[None] for x in (inspection, plain)]
        assert float(r.compare(*seen)) == pytest.approx(one.similarity, abs=0.03)
    face = detect(stack.detector, a.pixels)[0]
    left, top, right, bottom = map(round, face.box)
    boxes = [x.pixels[top:bottom, left:right] for x in (a, b)]
    assert inspection.values["psnr"] == pytest.approx(peak_signal_noise_ratio(*boxes))
    assert inspection.values["ssim"] == pytest.approx(structural_similarity(*boxes, channel_axis=2))
    assert inspection.values["size"] == face.size
    assert inspection.values["agreement"] is None
    assert np.asarray(Image.open(BytesIO(inspection.arrays["face"].tobytes()))).shape == (192, 192, 3)


def test_an_inspection_of_a_hidden_face_has_no_embedding(stack: Stack) -> None:
    hidden = data.astronaut().copy()
    hidden[20:220, 140:300] = 90
    inspection = Inspection(NETWORKS, CLEAN, saved(hidden, "PNG"), ("none", "jpeg-50")).do(stack)
    assert not [name for name in inspection.arrays if "/" in name]
    assert inspection.values["ssim"] < 0.5


def test_agreement_is_with_what_the_prompt_asks_for(stack: Stack, quick: None) -> None:
    from engines.config import Settings
    from engines.pipeline import protect

    painted = protect(decode(CLEAN), stack, Settings(prompt="red lipstick", steps=1)).data
    agreements = [
        Inspection(NETWORKS, CLEAN, painted, ("none",), prompt).do(stack).values["agreement"]
        for prompt in ("red lipstick", "blue eyeshadow")
    ]
    assert agreements[0] > 0.3 > agreements[1]


def test_a_photo_without_a_face_is_a_failure_in_words() -> None:
    nobody = saved(np.full((90, 90, 3), 200, np.uint8), "PNG")
    for task in (
        Inspection(NETWORKS, nobody, nobody, ("none",)),
        Protection(NETWORKS, nobody, "blur", "dodge", "", None, 0),
    ):
        result = work(task)
        assert (result.failed, result.arrays) == ("no face was found", {})
    broken = work(Inspection(NETWORKS, b"not a photo", CLEAN, ("none",)))
    assert broken.failed is not None and "\n" not in broken.failed


def test_a_protected_photo_is_whole(stack: Stack) -> None:

    result = Protection(NETWORKS, jpeg(90), "pixelate", "dodge", "", None, 0).do(stack)
    photo = decode(result.arrays["photo"].tobytes())
    assert (photo.format, photo.pixels.shape) == ("JPEG", (512, 512, 3))
    assert result.values["seconds"] > 0


def test_strangers_are_different_people_and_the_same_every_time(stack: Stack) -> None:
    found, again = (Strangers(NETWORKS, 5, 3).do(stack).arrays for _ in range(2))
    assert set(found) == set(stack.recognisers)
    for name, recogniser in stack.recognisers.items():
        assert len(found[name]) == 3 and (found[name] == again[name]).all()
        a, b = (torch.from_numpy(found[name][i])[None] for i in (0, 1))
        assert float(recogniser.excess(a, b)) < 0.8


def test_a_target_is_one_person_on_two_pictures(stack: Stack) -> None:
    for seed in (1, 2):
        target = TargetPerson(NETWORKS, seed).do(stack)
        first = decode(target.arrays["photo"].tobytes()).pixels
        seen = identity_of_face(
            stack.recognisers.values(), first, detect(stack.detector, first)[0]
        ).embeddings
        for name, recogniser in stack.recognisers.items():
            other = torch.from_numpy(target.arrays[name])[None]
            assert 0 < float(recogniser.excess(seen[name], other)) < 2
            assert not torch.equal(seen[name], other)


def test_the_face_is_shown_with_a_fifth_more_on_every_side() -> None:
    pixels = np.zeros((300, 300, 3), np.uint8)
    pixels[100:200, 110:190] = 255
    face = Face((110, 100, 190, 200), np.zeros((5, 2), np.float32), 1.0)
    shown = _square(pixels, face, 140)[..., 0]
    assert shown[22:118, 32:108].min() == 255
    assert shown[:18].max() == shown[:, :28].max() == shown[122:].max() == 0


@pytest.mark.parametrize(
    ("nose", "turn"), [((50, 60), 0.0), ((60, 60), 0.25), ((40, 75), 0.25), ((70, 40), 0.5)]
)
def test_a_turned_face_has_its_nose_off_the_middle(nose: tuple[int, int], turn: float) -> None:
    points = np.array([(30, 40), (70, 40), nose, (35, 80), (65, 80)], np.float32)
    assert _turn(Face((0, 0, 100, 100), points, 1.0)) == pytest.approx(turn)

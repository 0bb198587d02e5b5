"""Look-alikes beside strangers, by the real recognisers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from engines.errors import NoFaceError
from engines.evaluation.experiment import lookalikes
from engines.evaluation.experiment.lookalikes import look_alikes
from engines.evaluation.experiment.tasks import LookAlikes, Networks, Strangers
from engines.face.detect import detect
from engines.face.recognise import Recogniser, identity_of_face
from engines.stack import Stack
from tests.support.pictures import saved

pytestmark = pytest.mark.models
NETWORKS, PIXELS = Networks("cpu"), data.astronaut()


def test_look_alikes_are_other_people_who_are_more_like_the_face_than_strangers(stack: Stack) -> None:
    found = LookAlikes(NETWORKS, saved(PIXELS, "PNG"), 1, 8).do(stack).arrays
    strangers = Strangers(NETWORKS, 5, 10).do(stack).arrays
    person = identity_of_face(stack.recognisers.values(), PIXELS, detect(stack.detector, PIXELS)[0])
    for name, recogniser in stack.recognisers.items():
        of = person.embeddings[name]

        def excess(people: np.ndarray, recogniser: Recogniser = recogniser, of: Tensor = of) -> Tensor:
            others = torch.from_numpy(people)
            return recogniser.excess(others, of.expand(len(others), -1))

        assert len(found[name]) == 8
        assert float(excess(found[name]).max()) < 0.8  # 1 is a typical pair of one person
        assert float(excess(found[name]).mean()) > float(excess(strangers[name]).mean())


def test_look_alikes_depend_on_the_seed_alone(stack: Stack, quick: None) -> None:
    face = detect(stack.detector, PIXELS)[0]
    first, again, other = (
        look_alikes(stack, PIXELS, face, 2, seed).embeddings["dlib-resnet29"] for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.01)


def test_a_face_without_look_alikes_is_told(
    stack: Stack, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = detect(stack.detector, PIXELS)[0]
    monkeypatch.setattr(lookalikes, "DISTANCE", 30.0)  # no faces are drawn so far out
    with pytest.raises(NoFaceError, match="give a photo that shows it larger"):
        look_alikes(stack, PIXELS, face, 2)

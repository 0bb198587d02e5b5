"""Which faces of a photo are the owner's."""

from __future__ import annotations

import numpy as np
import pytest

from engines.config import Settings
from engines.errors import ConfigError, CrowdError, NoFaceError
from engines.face.detect import detect
from engines.face.recognise import Identity
from engines.owner import Owner, enrol, is_owner
from engines.photo.decode import Photo, decode
from engines.pipeline import protect
from engines.stack import Stack

pytestmark = pytest.mark.models
ONE_STEP = Settings(faces="mine", steps=1, prompt="none")


def test_one_of_two_faces_is_the_owners_and_that_alone_changes(
    stack: Stack, two_faces: tuple[bytes, bytes], quick: None
) -> None:
    me, both = map(decode, two_faces)
    owner = Owner([enrol(stack, me)])
    found = detect(stack.detector, both.pixels)
    assert sorted(is_owner(stack, both.pixels, face, owner) for face in found) == [False, True]
    protected = protect(both, stack, ONE_STEP, owner=owner)
    assert len(protected.report["faces"]) == 1
    changed = np.abs(protected.pixels.astype(int) - both.pixels).max(axis=2) > 0
    half = both.pixels.shape[1] // 2  # the stranger's, on the right
    assert changed[:, :half].any() and not changed[:, half:].any()


def test_several_photos_count_for_one(stack: Stack, two_faces: tuple[bytes, bytes]) -> None:
    me, both = map(decode, two_faces)
    half = both.pixels.shape[1] // 2
    stranger = Photo(pixels=both.pixels[:, half:].copy(), format="PNG", source_bytes=1)
    face = detect(stack.detector, me.pixels)[0]
    assert not is_owner(stack, me.pixels, face, Owner([enrol(stack, stranger)]))
    assert is_owner(stack, me.pixels, face, Owner([enrol(stack, stranger), enrol(stack, me)]))
    with pytest.raises(NoFaceError, match="none of the 1 faces is yours"):
        protect(stranger, stack, ONE_STEP, owner=Owner([enrol(stack, me)]))


def test_what_is_missing_is_told(stack: Stack, two_faces: tuple[bytes, bytes]) -> None:
    photo = decode(two_faces[0])
    with pytest.raises(ConfigError, match="owner add"):
        protect(photo, stack, ONE_STEP)
    blank = Photo(pixels=np.full((64, 64, 3), 128, np.uint8), format="PNG", source_bytes=1)
    with pytest.raises(NoFaceError, match="photo of yourself"):
        enrol(stack, blank)


def test_a_photo_of_two_people_does_not_say_which_is_the_owner(
    stack: Stack, two_faces: tuple[bytes, bytes]
) -> None:
    me, both = map(decode, two_faces)
    twice = Photo(pixels=np.concatenate([me.pixels, me.pixels], axis=1), format="PNG", source_bytes=1)
    with pytest.raises(CrowdError, match="by far the largest"):
        enrol(stack, twice)
    enrol(stack, both)  # of these one is three times as large


def test_a_recogniser_that_came_later_does_not_keep_the_owner_from_being_known(
    stack: Stack, two_faces: tuple[bytes, bytes]
) -> None:
    me = decode(two_faces[0])
    known = enrol(stack, me)
    fewer = Identity(dict(list(known.embeddings.items())[:1]))
    [face] = detect(stack.detector, me.pixels)
    assert is_owner(stack, me.pixels, face, Owner([fewer]))
    assert not is_owner(stack, me.pixels, face, Owner([Identity({})]))

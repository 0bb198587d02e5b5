"""Do two photos show one person?"""

from __future__ import annotations

import numpy as np
import pytest

from engines.errors import NoFaceError
from engines.stack import Stack
from engines.verify import compare
from tests.support.photos import FACELESS, photo_of

pytestmark = pytest.mark.models


class Interrupted(Exception):
    """Raised by a test."""


def test_comparing_photos_says_which_one_has_no_face(stack: Stack, portrait: np.ndarray) -> None:
    with pytest.raises(NoFaceError, match="first"):
        compare(stack, photo_of(FACELESS), photo_of(portrait))
    with pytest.raises(NoFaceError, match="second"):
        compare(stack, photo_of(portrait), photo_of(FACELESS))
    assert all(c.same for c in compare(stack, photo_of(portrait), photo_of(portrait)))

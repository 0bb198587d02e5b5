"""The views in which a recogniser sees a face."""

from __future__ import annotations

import numpy as np
import pytest

from engines.face.crop import AlignedFace
from engines.face.detect import Face, detect
from engines.latent.views import mirrored
from engines.stack import Stack

pytestmark = pytest.mark.models


class Interrupted(Exception):
    """Raised by a test."""


def test_a_mirrored_view_sees_the_mirrored_face(
    stack: Stack, portrait: np.ndarray, face: Face, aligned: AlignedFace
) -> None:
    """The search's crop of a mirrored face shows what the detector's points of one would show."""
    points = mirrored(face.points, portrait.shape[1])
    (found,) = detect(stack.detector, np.ascontiguousarray(portrait[:, ::-1]))
    assert np.abs(points - found.points).max() < 0.04 * face.size

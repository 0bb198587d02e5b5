"""The mask and the window of the crop."""

from __future__ import annotations

from engines.networks.frame import MASK_WINDOW, face_mask
from tests.support.transforms import CANONICAL, CPU


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

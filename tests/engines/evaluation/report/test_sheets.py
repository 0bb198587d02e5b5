"""Contact sheets: faces side by side."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from engines.evaluation.report import sheets


def test_a_contact_sheet_has_a_cell_for_every_face_and_a_hatched_one_where_it_is_missing() -> None:
    red, tall = np.zeros((50, 50, 3), np.uint8), np.zeros((200, 100, 3), np.uint8)
    red[..., 0], tall[..., 1] = 255, 255
    data = sheets.contact_sheet([("one", [red, None]), ("two", [tall, red])], ["a", "b"])
    image = np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(int)
    is_red = (image[..., 0] > 200) & (image[..., 1:].max(axis=2) < 60)
    is_green = (image[..., 1] > 200) & (image[..., ::2].max(axis=2) < 60)
    assert is_red.sum() == pytest.approx(2 * 160**2, rel=0.03)
    assert is_green.sum() == pytest.approx(160 * 80, rel=0.05)


def test_a_sheet_has_no_more_columns_than_one_can_look_at() -> None:
    face = np.zeros((8, 8, 3), np.uint8)
    few, many = (sheets.contact_sheet([("m", [face] * n)], ["x"] * n) for n in (sheets.MAX_COLUMNS, 200))
    assert Image.open(BytesIO(few)).size == Image.open(BytesIO(many)).size

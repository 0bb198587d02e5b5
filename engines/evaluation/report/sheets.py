"""Contact sheets: many small faces side by side."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

#: The most columns: people look at a sheet, and it has to fit into memory.
MAX_COLUMNS = 12
_CELL, _GAP, _SIZE = 160, 6, 15
_PAPER, _INK, _QUIET, _HATCH = (255, 255, 255), (27, 32, 38), (89, 99, 110), (213, 219, 225)


def contact_sheet(rows: Sequence[tuple[str, Sequence[np.ndarray | None]]], columns: Sequence[str]) -> bytes:
    """A JPEG of faces: one row for each method (its name, its faces), one column for each photo.

    Faces are uint8 RGB (H, W, 3) of any size, fitted into squares of 160 px; None is a hatched square.
    Only the first `MAX_COLUMNS` columns are shown.
    """
    columns = columns[:MAX_COLUMNS]
    font = ImageFont.load_default(_SIZE)
    margin = _GAP + min(2 * _CELL, max((round(font.getlength(name)) for name, _ in rows), default=0)) + _GAP
    top = _SIZE + 2 * _GAP
    step = _CELL + _GAP
    sheet = Image.new("RGB", (margin + step * max(1, len(columns)), top + step * max(1, len(rows))), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for x, name in enumerate(columns):
        draw.text((margin + step * x + _CELL // 2, top // 2), _fit(name, font, _CELL), _QUIET, font, "mm")
    for y, (name, faces) in enumerate(rows):
        draw.text((_GAP, top + step * y + _CELL // 2), _fit(name, font, margin - 2 * _GAP), _INK, font, "lm")
        for x, _ in enumerate(columns):
            face = faces[x] if x < len(faces) else None
            sheet.paste(_missing() if face is None else _square(face), (margin + step * x, top + step * y))
    to = BytesIO()
    sheet.save(to, "JPEG", quality=88, subsampling=0, optimize=True)
    return to.getvalue()


def _square(face: np.ndarray) -> Image.Image:
    """A face (H, W, 3) uint8 in the middle of a square, whole and undistorted."""
    image = Image.fromarray(np.ascontiguousarray(face))
    scale = _CELL / max(image.size)
    small = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.LANCZOS
    )
    square = Image.new("RGB", (_CELL, _CELL), _HATCH)
    square.paste(small, ((_CELL - small.width) // 2, (_CELL - small.height) // 2))
    return square


def _missing() -> Image.Image:
    """A square of slanted lines."""
    y, x = np.mgrid[:_CELL, :_CELL]
    return Image.fromarray(np.where(((x + y) % 12 < 2)[:, :, None], _HATCH, _PAPER).astype(np.uint8))


def _fit(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """Text on one line, cut so that it takes no more than `width` px."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"

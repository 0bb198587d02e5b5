"""One picture that shows what the protection changed."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from engines.pipeline import Protected

#: Widest picture, pixels; the photos share it.
MAX_WIDTH = 1600
#: A row of a photo is no taller, pixels; and no more faces than this get a row of their own.
MAX_HEIGHT, MAX_ROWS = 1000, 8
#: Factor by which the shown change is amplified, around mid-grey.
AMPLIFY = 8
#: Part of its side by which a face's box is grown on every side.
MARGIN = 0.3
_GAP, _CAPTION = 8, 28

Box = tuple[int, int, int, int]


def comparison(protected: Protected, kind: Literal["PNG", "JPEG"] = "PNG") -> bytes:
    """The photo before and after, then each face before, after and the change between them.

    A JPEG is made in a tenth of a PNG's time and size.
    """
    before, after = Image.fromarray(protected.photo.pixels), Image.fromarray(protected.pixels)
    rows = [(["before", "after"], _photos(before, after))]
    width = sum(image.width for image in rows[0][1]) + _GAP
    for face in protected.report["faces"][:MAX_ROWS]:
        box = _grown(face["box"], before.size)
        crops = before.crop(box), after.crop(box)
        cells = [_fit(image, (width - 2 * _GAP) // 3) for image in (*crops, _change(*crops))]
        rows.append((["before", "after", f"change x {AMPLIFY}"], cells))
    buffer = BytesIO()
    _stack(rows, width).save(buffer, kind, quality=90)
    return buffer.getvalue()


def _photos(before: Image.Image, after: Image.Image) -> list[Image.Image]:
    """Both at one scale; never enlarged, but wide enough for the captions of three crops."""
    width = min(
        (MAX_WIDTH - _GAP) // 2, max(before.width, 240), max(1, MAX_HEIGHT * before.width // before.height)
    )
    return [_fit(image, max(width, 120)) for image in (before, after)]


def _fit(image: Image.Image, width: int) -> Image.Image:
    size = width, max(1, min(MAX_HEIGHT, round(image.height * width / image.width)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _grown(box: Sequence[float], size: tuple[int, int]) -> Box:
    """A face's box with a margin, inside the photo."""
    left, top, right, bottom = box
    margin = MARGIN * max(right - left, bottom - top)
    return (
        max(0, round(left - margin)),
        max(0, round(top - margin)),
        min(size[0], round(right + margin)),
        min(size[1], round(bottom + margin)),
    )


def _change(before: Image.Image, after: Image.Image) -> Image.Image:
    difference = np.asarray(after, np.float32) - np.asarray(before, np.float32)
    return Image.fromarray(np.clip(128 + AMPLIFY * difference, 0, 255).astype(np.uint8))


def _stack(rows: Sequence[tuple[list[str], list[Image.Image]]], width: int) -> Image.Image:
    """Rows under each other, a caption under each cell, on white."""
    height = sum(max(image.height for image in images) + _CAPTION for _, images in rows)
    sheet = Image.new("RGB", (width, height), "white")
    draw, top = ImageDraw.Draw(sheet), 0
    for captions, images in rows:
        left, below = 0, top + max(image.height for image in images)
        for caption, image in zip(captions, images, strict=True):
            sheet.paste(image, (left, top))
            draw.text((left + 4, below + 4), caption, fill="black", font=ImageFont.load_default(16))
            left += image.width + _GAP
        top = below + _CAPTION
    return sheet

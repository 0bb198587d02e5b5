"""Pixels of a photo back to bytes of the format it came in, without metadata."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from engines.errors import OutputError
from engines.photo.decode import Photo, Pixels, Tables, quantisation_tables

Rung = TypeVar("Rung")

# A result may be this many times as large as its source: people notice a folder that doubles.
MAX_GROWTH = 1.5

JPEG_CAP = 95  # IJG quality; above it a JPEG grows fast, and nobody sees the gain
JPEG_STEP = 1.25  # from one rung of the ladder of quantisation tables to the next
JPEG_COARSER = 4  # rungs below the source's tables, for when those do not fit
WEBP_QUALITIES = (20, 30, 40, 50, 60, 65, 70, 75, 80, 85, 90, 95)


def encode(photo: Photo, pixels: Pixels) -> bytes:
    """Write `pixels` (HWC uint8 sRGB RGB, the shape of `photo.pixels`) in the photo's format.

    No metadata; `photo.alpha` bit-exact; a gray photo is written from the luma (JPEG and PNG:
    one channel).  The same input gives the same bytes.  The result is at most MAX_GROWTH times
    the source, as far as its format allows:

    JPEG: the source's subsampling and the finest tables that fit, from the source's own up to
    quality 95 (a source above that keeps its tables), coarser than the source's only if those do
    not fit.  WebP: lossless stays lossless at any size, else the best quality that fits.  For
    both, where nothing fits (a source of a few hundred bytes), the coarsest rung: 2.4 times the
    source's quantisation steps, or WebP quality 20.  PNG: lossless at any size, but see `_png`.

    Raises ValueError: pixels of another shape or dtype; OutputError: the encoder fails.
    """
    if pixels.shape != photo.pixels.shape or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be uint8 {photo.pixels.shape}, not {pixels.dtype} {pixels.shape}")
    try:
        image = Image.fromarray(pixels)
        if photo.gray:
            image = image.convert("L")
        if photo.alpha is not None:
            image.putalpha(Image.fromarray(photo.alpha))
        return {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp}[photo.format](photo, image)
    except (OSError, MemoryError) as error:
        raise OutputError(f"the {photo.format} cannot be encoded") from error


def _jpeg(photo: Photo, image: Image.Image) -> bytes:
    # No optimised Huffman tables: they save 2 %, take every coefficient in memory, and Pillow
    # fails on noise with them ("Suspension not allowed here").
    def save(tables: Tables) -> bytes:
        return _saved(image, "JPEG", qtables=tables, subsampling=photo.subsampling)

    return _best(_ladder(photo.tables or _cap_tables()), save, photo)


def _ladder(source: Tables) -> list[Tables]:
    """Quantisation tables, coarse to fine: the source's, scaled, up to quality JPEG_CAP."""
    own = np.array(source)
    finest = np.minimum(own, _cap_tables()[: len(own)]).clip(1, 255)
    rungs: list[Tables] = []
    for step in range(JPEG_COARSER, -256, -1):
        scaled = np.maximum(np.rint(own * JPEG_STEP**step), finest).clip(1, 255).astype(int)
        rungs.append(tuple(map(tuple, scaled.tolist())))
        if (scaled <= finest).all():
            break
    return rungs


@lru_cache
def _cap_tables() -> Tables:
    """The IJG tables (luma, chroma) of quality JPEG_CAP, as libjpeg writes them."""
    with Image.open(BytesIO(_saved(Image.new("RGB", (8, 8)), "JPEG", quality=JPEG_CAP))) as image:
        return quantisation_tables(image)


def _webp(photo: Photo, image: Image.Image) -> bytes:
    if photo.lossless:
        return _saved(image, "WEBP", lossless=True, exact=True)
    # Method 2 takes half the time of Pillow's 4, for files 3 % larger, and there are 4 trials.
    return _best(WEBP_QUALITIES, lambda q: _saved(image, "WEBP", quality=q, method=2), photo)


def _png(photo: Photo, image: Image.Image) -> bytes:
    """Lossless, except where the source had a palette and that makes it grow past the limit.

    Such a picture gets an adaptive palette without dithering: the file stays small, but the
    rounding to 255 colours eats part of a faint change.  With partial transparency a palette
    could not keep alpha exact, so that picture stays lossless at any size.
    """
    whole = _saved(image, "PNG", optimize=True)
    if len(whole) <= photo.source_bytes * MAX_GROWTH or not photo.palette or photo.gray:
        return whole
    if photo.alpha is None:
        return _saved(image.convert("RGB").quantize(256), "PNG", optimize=True)
    if not np.isin(photo.alpha, (0, 255)).all():
        return whole
    few = image.convert("RGB").quantize(255)
    colours = few.getpalette() or []
    clear = len(colours) // 3  # one more entry, for transparent pixels
    few.putpalette([*colours, 0, 0, 0])
    few.paste(clear, mask=Image.fromarray(255 - photo.alpha))
    return _saved(few, "PNG", optimize=True, transparency=clear)


def _best(rungs: Sequence[Rung], save: Callable[[Rung], bytes], photo: Photo) -> bytes:
    """The highest rung whose file fits the growth limit, by bisection; the lowest if none does."""
    limit = photo.source_bytes * MAX_GROWTH
    best, low, high = b"", 0, len(rungs) - 1
    while low <= high:
        middle = (low + high + 1) // 2
        data = save(rungs[middle])
        if len(data) <= limit:
            best, low = data, middle + 1
        else:
            high = middle - 1
    return best or data  # where none fits, the last one tried is the lowest


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()

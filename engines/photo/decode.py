"""Bytes of a photo to upright sRGB pixels; `engines.photo.encode` is the way back.

Nothing but pixels passes through: EXIF, XMP, ICC, comments, thumbnails and text chunks are used
to read the pixels right (orientation, colour space) and are never written again.
"""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from engines.errors import ImageError

Pixels = NDArray[np.uint8]
Format = Literal["JPEG", "PNG", "WEBP"]
Tables = tuple[tuple[int, ...], ...]
Conversion = Callable[[Image.Image], Image.Image]

# Larger than any phone or camera photo (the largest sensors give 100 to 150), and 300 MB as RGB.
# Checked on the header, before a pixel is decoded.  One limit: Pillow's own warning takes it too.
MAX_PIXELS = 100_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# A lossless PNG of 50 megapixels takes 150 MB at worst; past this no photo is expected.
MAX_BYTES = 200 * 1024**2
# A scan of a progressive JPEG may be empty and still walks over every pixel: megabytes become hours. Encoders
# write about ten, or twenty where they search for the best.  Segments are kept as a list, which may take 30
# times their size; the longest profile or XMP has some hundreds.
MAX_SCANS = 100
MAX_SEGMENTS = 10_000
# Colours are converted in bands of this many pixels, so that no second copy of a photo exists.
BAND_PIXELS = 4_000_000

_READ = "give a JPEG, PNG or WebP photo"
_TOO_LARGE = f"the photo has more than {MAX_PIXELS // 10**6} megapixels; make it smaller first"
_STARTS: dict[Format, bytes] = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n", "WEBP": b"RIFF"}
_OTHER_STARTS = {b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"BM": "BMP", b"%PDF": "PDF"}
# Markers of a JPEG, but for stuffing and for those without a length: restarts and starts of pictures.
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")
_ONE_CHANNEL = ("1", "L", "LA", "I", "I;16")


@dataclass(frozen=True, eq=False, kw_only=True)
class Photo:
    """A decoded photo, and the facts that are needed to write another one like it.

    pixels: HWC uint8, sRGB, RGB order, upright.  alpha: HW uint8, 255 is opaque, or None.
    gray: the source has one channel, or its three are equal everywhere (to one step of 255).
    source_bytes: size of the source file.  tables: JPEG quantisation tables (64 numbers each:
    luma, then chroma if there is colour), empty if unknown.  subsampling: Pillow's number for
    the chroma of a JPEG: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0.  lossless: the source is a
    lossless WebP.  palette: the source is a PNG with a palette.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    format: Format
    gray: bool = False
    source_bytes: int
    tables: Tables = ()
    subsampling: int = 0
    lossless: bool = False
    palette: bool = False


def load_photo(path: str | PathLike[str]) -> Photo:
    """Read and decode one file; ImageError names the path as it was given, in one line."""
    name = "".join(c if c.isprintable() else "?" for c in str(path))
    try:
        with Path(path).open("rb") as file:
            return decode(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise ImageError(f"{name}: this is a folder, give a file") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: the file cannot be read") from error
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error.__cause__


def decode(data: bytes) -> Photo:
    """Decode a whole JPEG (of an MPO: its first picture), PNG or WebP.

    EXIF orientation is applied; ICC colours, CMYK, palettes and 16-bit grey become 8-bit sRGB.
    A profile that is broken, or of another colour space than the pixels, is taken for sRGB.
    Raises ImageError: another format, too large, animated, damaged or cut short.
    """
    kind = _kind(data)
    if kind == "JPEG":
        _check_segments(data)
    try:
        # Filters are shared by threads: a race may leave these on, which costs other warnings,
        # or drop the error early, and then _check refuses the same pictures.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(data), formats=[kind]) as image:
                _check(image)
                image.load()
                return _photo(image, kind, data)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_TOO_LARGE) from error
    except MemoryError as error:
        raise ImageError("the photo does not fit in memory") from error
    except Exception as error:  # hostile bytes make Pillow raise nearly every built-in error
        raise ImageError(f"the {kind} file is damaged or cut short") from error


def _kind(data: bytes) -> Format:
    """The format by its first bytes, never by a name; ImageError for any other."""
    if not data:
        raise ImageError(f"the file is empty; {_READ}")
    if len(data) > MAX_BYTES:
        raise ImageError(f"the file is larger than {MAX_BYTES // 1024**2} MiB")
    for kind, start in _STARTS.items():
        if data.startswith(start) and (kind != "WEBP" or data[8:12] == b"WEBP"):
            return kind
    raise ImageError(f"{_other_kind(data)}; {_READ}")


def _other_kind(data: bytes) -> str:
    """Name the formats that people most often have instead."""
    names = [name for start, name in _OTHER_STARTS.items() if data.startswith(start)]
    if data[4:8] == b"ftyp":
        names.append("AVIF" if data[8:12] == b"avif" else "HEIC and video")
    if b"<svg" in data[:1024].lower():
        names.append("SVG")
    return f"{names[0]} files are not read" if names else "this is no image that is read here"


def _check_segments(data: bytes) -> None:
    """Refuse a JPEG that would take hours or gigabytes; only its first picture is looked at."""
    scans, at = 0, 2
    for _ in range(MAX_SEGMENTS):
        marker = _MARKER.search(data, at)
        if marker is None or marker[1] == b"\xd9":  # the end
            return
        scans += marker[1] == b"\xda"
        if scans > MAX_SCANS:
            break
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    raise ImageError("the JPEG file has more scans or segments than any camera or program writes")


def _check(image: Image.Image) -> None:
    """Refuse by the header alone: too many pixels, or more frames than the one we protect."""
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(_TOO_LARGE)
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise ImageError("the picture is animated, and its other frames would stay unprotected")


def _photo(image: Image.Image, kind: Format, data: bytes) -> Photo:
    """Convert a loaded image; `data` holds the facts that Pillow does not tell."""
    # Pillow reads a PNG that lacks its end; half an upload should not pass for a photo.
    if kind == "PNG" and b"IEND\xaeB`\x82" not in data:
        raise ImageError("the PNG file is cut short")
    turn = _orientation(image.info.get("exif"))
    pixels, alpha, gray = _pixels(image, _transparent(image, data))
    jpeg = kind == "JPEG"
    return Photo(
        pixels=_upright(pixels, turn),
        alpha=None if alpha is None else _upright(alpha, turn),
        format=kind,
        gray=gray,
        source_bytes=len(data),
        tables=quantisation_tables(image) if jpeg else (),
        subsampling=_subsampling(image, turn) if jpeg else 0,
        lossless=kind == "WEBP" and _webp_lossless(data),
        palette=image.mode == "P",
    )


def _pixels(image: Image.Image, key: tuple[int, ...] | None) -> tuple[Pixels, Pixels | None, bool]:
    """sRGB HWC uint8, alpha HW uint8 or None, and whether all of it is gray."""
    width, height = image.size
    rows = max(1, BAND_PIXELS // width)
    to_srgb = _to_srgb(image)
    rgb = np.empty((height, width, 3), np.uint8)
    alpha, gray = None, True
    for top in range(0, height, rows):
        part = slice(top, min(top + rows, height))
        band, band_alpha = _split(image.crop((0, part.start, width, part.stop)), key)
        rgb[part] = np.asarray(to_srgb(band))
        gray = gray and _is_gray(rgb[part])
        if band_alpha is not None:
            alpha = np.empty((height, width), np.uint8) if alpha is None else alpha
            alpha[part] = band_alpha
    return rgb, alpha, gray


def _is_gray(rgb: Pixels) -> bool:
    """Equal channels, to the step by which lossy WebP and ICC rounding part them."""
    red, green, blue = np.moveaxis(rgb.astype(np.int16), -1, 0)
    return bool(max(np.abs(red - green).max(), np.abs(green - blue).max()) <= 1)


def _split(band: Image.Image, key: tuple[int, ...] | None) -> tuple[Image.Image, Pixels | None]:
    """Part of an image as 8-bit L, RGB or CMYK, and its alpha; `key` is the transparent colour."""
    if band.mode in ("P", "PA"):
        band = band.convert("RGBA" if band.has_transparency_data else "RGB")
    if band.mode in ("LA", "RGBA"):
        return band.convert(band.mode[:-1]), np.asarray(band.getchannel("A"))
    if band.mode == "1":
        band = band.convert("L")
    values = np.asarray(band)
    alpha = None if key is None else _unlike(values, key)
    if band.mode.startswith("I"):  # Pillow's own conversion clips 16 bits at 255
        scaled = (np.clip(values, 0, 65535).astype(np.uint32) * 255 + 32767) // 65535
        band = Image.fromarray(scaled.astype(np.uint8))
    return band, alpha


def _unlike(values: NDArray[Any], key: tuple[int, ...]) -> Pixels:
    """HW uint8: 0 where a pixel of `values` (HW or HWC) has the colour `key`, else 255."""
    same = (values.reshape(*values.shape[:2], -1) == key).all(axis=-1)
    return np.where(same, 0, 255).astype(np.uint8)


def _transparent(image: Image.Image, data: bytes) -> tuple[int, ...] | None:
    """The one transparent colour that a PNG without alpha may name, in the image's range."""
    key = image.info.get("transparency")
    if image.format != "PNG" or key is None or image.mode not in ("1", "L", "I", "I;16", "RGB"):
        return None
    depth = data[24]  # of IHDR; tRNS counts in it, Pillow's pixels in 8 bits
    if image.mode == "RGB":
        return tuple(value >> 8 if depth == 16 else value for value in key)
    return (key * 255 // (2**depth - 1),) if image.mode == "L" else (key,)


def _to_srgb(image: Image.Image) -> Conversion:
    """A function from an 8-bit band (L, RGB or CMYK) of this image to sRGB of mode RGB."""
    mode = "L" if image.mode in _ONE_CHANNEL else "CMYK" if image.mode == "CMYK" else "RGB"
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        return ImageCms.ImageCmsTransform(
            profile,
            srgb,
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        ).apply
    except (KeyError, OSError, TypeError, ValueError):
        # No profile, or one that is broken or of other colours: an untagged image is sRGB.
        return partial(Image.Image.convert, mode="RGB")


def _orientation(exif: object) -> int:
    """EXIF orientation, 1 to 8; 1 if there is none or the EXIF cannot be read."""
    tags = Image.Exif()
    try:
        tags.load(exif if isinstance(exif, bytes) else b"")
        value = tags.get(ExifTags.Base.Orientation)
    except (
        ArithmeticError,
        EOFError,
        LookupError,
        OSError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
    ):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(array: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation on an HW or HWC array; contiguous."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def quantisation_tables(image: Any) -> Tables:
    """Quantisation tables of a JPEG: luma, and chroma if it has colour."""
    used = [image.quantization[component[3]] for component in image.layer]
    luma = tuple(used[0])
    return (luma,) if len(used) == 1 else (luma, tuple(used[1]))


def _subsampling(image: Any, orientation: int) -> int:
    """Pillow's number of the chroma subsampling to write; 0 (4:4:4) where no other fits.

    Never coarser than the source's, and 4:2:2 lying on its side would halve the other axis too.
    """
    if len(image.layer) != 3:
        return 0
    sizes = [component[1:3] for component in image.layer]
    if sizes == [(2, 2), (1, 1), (1, 1)]:
        return 2
    return 1 if sizes == [(2, 1), (1, 1), (1, 1)] and orientation < 5 else 0


def _webp_lossless(data: bytes) -> bool:
    """Whether the picture is in a VP8L chunk; it comes early, so few chunks are looked at."""
    position = 12
    for _ in range(32):
        tag = data[position : position + 4]
        if tag in (b"VP8L", b"VP8 "):
            return tag == b"VP8L"
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + (16 if tag == b"ANMF" else size + size % 2)
    return False

"""Photos are written as they came: format, quality, alpha, and no metadata."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engines.photo.decode import Photo, decode
from engines.photo.encode import MAX_GROWTH, encode
from tests.support.photos import changed
from tests.support.pictures import (
    ALPHA,
    ASTRONAUT,
    CANARY,
    FACE,
    KINDS,
    chunk,
    parts,
    png_with,
    reopened,
    saved,
    tagged,
    turned,
)

ROOT = Path(__file__).parents[3]


RNG = np.random.default_rng(7)


@pytest.mark.parametrize("kind", KINDS)
def test_no_metadata_is_written(kind: str) -> None:
    source = tagged(kind)
    assert source.count(CANARY) >= 4 - (kind == "PNG") and reopened(source).info["icc_profile"]
    photo = decode(source + CANARY)  # and what follows the picture goes too
    result = encode(photo, changed(photo.pixels))
    assert CANARY not in result
    for word in (b"Exif", b"EXIF", b"ICC", b"xmp", b"XMP", b"Photoshop", b"CREATOR"):
        assert word not in result
    allowed = {
        "jfif",
        "jfif_version",
        "jfif_unit",
        "jfif_density",
        "loop",
        "background",
        "timestamp",
        "duration",
    }
    assert set(reopened(result).info) <= allowed
    if kind == "PNG":
        assert set(parts(result)) == {b"IHDR", b"IDAT", b"IEND"}


def test_compressed_text_is_not_written() -> None:
    packed = chunk(b"zTXt", b"k\0\0" + zlib.compress(CANARY))
    packed += chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(CANARY)) + chunk(b"prVt", CANARY)
    photo = decode(png_with(packed))
    assert parts(encode(photo, photo.pixels)) == [b"IHDR", b"IDAT", b"IEND"]


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [20, 50, 75, 85, 92, 98])
def test_jpeg_growth_and_quality(quality: int, subsampling: int) -> None:
    source = saved(FACE, "JPEG", quality=quality, subsampling=subsampling)
    photo = decode(source)
    result = encode(photo, changed(photo.pixels, 4))
    assert len(result) <= MAX_GROWTH * len(source)
    assert decode(result).subsampling == photo.subsampling == subsampling
    plain = encode(photo, photo.pixels)
    assert len(plain) <= MAX_GROWTH * len(source)
    for ours, own, cap in zip(decode(plain).tables, photo.tables, tables(95), strict=True):
        assert (np.array(ours) <= own).all()  # never worse than the source
        assert (np.array(ours) >= np.minimum(own, cap)).all()
    if quality <= 75:
        assert sum(decode(plain).tables[0]) < sum(photo.tables[0])  # room was used


def tables(quality: int) -> tuple[tuple[int, ...], ...]:
    return decode(saved(FACE, "JPEG", quality=quality)).tables


def test_jpeg_falls_below_its_tables_only_when_it_must() -> None:
    flat = decode(saved(np.full((256, 256, 3), 128, np.uint8), "JPEG", quality=90))
    noisy = RNG.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    result = encode(flat, noisy)  # cannot fit: the coarsest rung, not an error and not a ruin
    steps = np.array(decode(result).tables[0]) / flat.tables[0]
    assert 2 < np.median(steps) < 3


def test_turned_422_is_not_halved_twice() -> None:
    assert decode(turned(FACE, "JPEG", 6, subsampling=1)).subsampling == 0


@pytest.mark.parametrize("quality", [30, 60, 80, 90])
def test_webp_growth(quality: int) -> None:
    source = saved(FACE, "WEBP", quality=quality)
    photo = decode(source)
    result = encode(photo, changed(photo.pixels, 3))
    assert result[:4] == b"RIFF" and len(result) <= MAX_GROWTH * len(source)
    assert len(encode(photo, photo.pixels)) > 0.8 * len(source)  # no needless loss


def test_lossless_webp_stays_lossless() -> None:
    photo = decode(saved(np.dstack([FACE, ALPHA]), "WEBP", lossless=True, exact=True))
    assert photo.lossless
    again = decode(encode(photo, changed(photo.pixels)))
    assert again.lossless
    np.testing.assert_array_equal(again.pixels, changed(photo.pixels))
    assert not decode(saved(np.dstack([FACE, ALPHA]), "WEBP")).lossless


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("gray", [False, True])
def test_alpha_is_exact(kind: str, gray: bool) -> None:
    colour = FACE[..., :1].repeat(3, axis=2) if gray else FACE
    photo = decode(saved(np.dstack([colour, ALPHA]), kind))
    np.testing.assert_array_equal(photo.alpha, ALPHA)
    again = decode(encode(photo, changed(photo.pixels)))
    np.testing.assert_array_equal(again.alpha, ALPHA)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_gray_stays_gray(kind: str, channels: int) -> None:
    gray = FACE[..., 0] if channels == 1 else FACE[..., :1].repeat(3, axis=2)
    photo = decode(saved(np.ascontiguousarray(gray), kind))
    assert photo.gray
    result = encode(photo, changed(photo.pixels))  # the change itself has colour
    again = decode(result)
    assert again.gray
    assert np.ptp(again.pixels.astype(int), axis=-1).max() <= (kind == "WEBP")
    assert kind == "WEBP" or reopened(result).mode == "L"
    assert not decode(saved(FACE, kind)).gray


@pytest.mark.parametrize("kind", KINDS)
def test_same_input_gives_the_same_bytes(kind: str) -> None:
    data = saved(FACE, kind)
    first, second = (encode(decode(data), changed(FACE)) for _ in range(2))
    assert first == second


def test_palette_source_keeps_a_palette_only_if_colour_grows_too_much() -> None:
    index = np.add.outer(np.arange(200) // 20, np.arange(160) // 20).astype(np.uint8)
    few = Image.fromarray(index, "P")
    few.putpalette([value for k in range(20) for value in (k * 12, 250 - k * 9, k * 7)])
    photo = decode(saved(few, "PNG"))
    same = encode(photo, photo.pixels)
    assert len(same) > MAX_GROWTH * photo.source_bytes or reopened(same).mode == "RGB"
    noisy = encode(photo, changed(photo.pixels))
    assert reopened(noisy).mode == "P"
    assert np.abs(decode(noisy).pixels.astype(int) - changed(photo.pixels)).mean() < 8
    roomy = replace(photo, source_bytes=10**6)
    np.testing.assert_array_equal(decode(encode(roomy, changed(photo.pixels))).pixels, changed(photo.pixels))


@pytest.mark.parametrize(("levels", "mode"), [((0, 255), "P"), ((0, 90, 255), "RGBA")])
def test_palette_source_keeps_its_alpha_exact(levels: tuple[int, ...], mode: str) -> None:
    few = Image.fromarray(FACE).quantize(200)
    trns = bytes(levels[k % len(levels)] for k in range(200))
    photo = replace(decode(saved(few, "PNG", transparency=trns)), source_bytes=9000)
    result = encode(photo, changed(photo.pixels))
    assert reopened(result).mode == mode
    np.testing.assert_array_equal(decode(result).alpha, photo.alpha)


@pytest.mark.parametrize("pixels", [FACE[:-1], FACE.astype(np.float32)])
def test_encode_refuses_other_shapes_and_types(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be uint8"):
        encode(Photo(pixels=FACE, format="PNG", source_bytes=1), pixels)


def test_50_megapixels_in_bounded_memory(tmp_path: Path) -> None:
    tile = np.tile(ASTRONAUT, (12, 16, 1))
    path = tmp_path / "large.jpg"
    path.write_bytes(saved(tile, "JPEG", quality=90))
    script = textwrap.dedent("""
        import resource, sys
        from engines.photo.encode import encode
        from engines.photo.decode import load_photo
        def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        start = peak()
        photo = load_photo(sys.argv[1])
        decoded = peak()
        pixels = photo.pixels.copy()
        pixels[::2] ^= 1
        print(photo.pixels.nbytes, start, decoded, len(encode(photo, pixels)), peak())
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=True,
    )
    size, start, decoded, result, encoded = map(int, done.stdout.split())
    megabytes = size / 1024**2
    assert megabytes == 144
    assert decoded - start < 3 * megabytes
    assert encoded - start < 5 * megabytes
    assert result <= MAX_GROWTH * path.stat().st_size

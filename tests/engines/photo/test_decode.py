"""Photos are read as they look, and broken or hostile ones are refused."""

from __future__ import annotations

import struct
import time
import zlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from engines.errors import ImageError
from engines.photo import decode as imaging
from engines.photo.decode import MAX_SCANS, decode, load_photo
from engines.photo.encode import encode
from tests.support.photos import changed
from tests.support.pictures import (
    ALPHA,
    FACE,
    KINDS,
    P3,
    SRGB,
    animated,
    chunk,
    curve,
    fixed,
    huge,
    matrix_profile,
    png16,
    png_huge,
    png_with,
    profile,
    raw_png,
    reopened,
    saved,
    scan_bomb,
    text_bomb,
    turned,
)

RNG = np.random.default_rng(7)


def ink_profile(paper: tuple[int, ...], cyan: tuple[int, ...]) -> bytes:
    """A printer's profile: 8-bit Lab of bare paper and of cyan ink, black for all other ink."""
    ramp = bytes(range(256))
    nodes = [(0, 128, 128)] * 16
    nodes[0], nodes[8] = paper, cyan  # the first ink varies slowest
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + fixed([1, 0, 0, 0, 1, 0, 0, 0, 1])
    lut += ramp * 4 + bytes(value for node in nodes for value in node) + ramp * 3
    return profile(b"CMYK", b"Lab ", {b"A2B0": lut, b"A2B1": lut})


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_orientation_is_undone_for_pixels_and_alpha(kind: str, orientation: int) -> None:
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    photo = decode(turned(np.dstack([FACE, ALPHA]), kind, orientation, **options))
    np.testing.assert_array_equal(photo.pixels, FACE)
    np.testing.assert_array_equal(photo.alpha, ALPHA)
    again = decode(encode(photo, photo.pixels))
    np.testing.assert_array_equal(again.pixels, FACE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_orientation_is_undone(orientation: int) -> None:
    photo = decode(turned(FACE, "JPEG", orientation, quality=95, subsampling=0))
    assert photo.pixels.shape == FACE.shape
    assert np.abs(photo.pixels.astype(int) - FACE).mean() < 3


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0" + b"A" * 99])
def test_broken_exif_leaves_the_picture_as_stored(exif: bytes) -> None:
    plain = decode(saved(FACE, "JPEG")).pixels
    np.testing.assert_array_equal(decode(saved(FACE, "JPEG", exif=exif)).pixels, plain)


@pytest.mark.parametrize("kind", KINDS)
def test_swapped_profile_swaps_colours(kind: str) -> None:
    flat = np.full((32, 32, 3), (220, 40, 30), np.uint8)
    icc = matrix_profile(SRGB[:, ::-1])
    options = {"lossless": True} if kind == "WEBP" else {}
    pixel = decode(saved(flat, kind, icc_profile=icc, **options)).pixels[16, 16].astype(int)
    assert np.abs(pixel - (30, 40, 220)).max() <= 6


def test_wide_gamut_becomes_srgb() -> None:
    flat = np.full((8, 8, 3), (180, 120, 100), np.uint8)
    linear = (np.array([180, 120, 100]) / 255) ** 2.2
    want = 255 * (np.linalg.inv(SRGB) @ P3 @ linear).clip(0, 1) ** (1 / 2.2)
    pixel = decode(saved(flat, "PNG", icc_profile=matrix_profile(P3))).pixels[0, 0]
    assert np.abs(pixel - want).max() <= 2.5
    assert pixel[0] > 185  # the same number is a redder red in P3


def test_srgb_profile_changes_nothing() -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(decode(saved(FACE, "PNG", icc_profile=icc)).pixels, FACE)


def test_near_srgb_profile_changes_nothing() -> None:
    """The sRGB profiles in the wild differ in their last digits."""
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    at = icc.index(b"XYZ \0\0\0\0", icc.index(b"XYZ \0\0\0\0") + 8) + 8
    red = int.from_bytes(icc[at : at + 4], "big")
    icc = icc[:at] + (red + 80).to_bytes(4, "big") + icc[at + 4 :]
    vivid = RNG.choice(np.array([0, 128, 255], np.uint8), (20, 20, 3))  # here it would show
    np.testing.assert_array_equal(decode(saved(vivid, "PNG", icc_profile=icc)).pixels, vivid)


@pytest.mark.parametrize("icc", [b"", b"nonsense" * 40, matrix_profile(P3)[:200]])
def test_broken_profile_is_taken_for_srgb(icc: bytes) -> None:
    data = png_with(chunk(b"iCCP", b"x\0\0" + zlib.compress(icc)))
    np.testing.assert_array_equal(decode(data).pixels, FACE)


def test_profile_of_another_colour_space_is_taken_for_srgb() -> None:
    gray = FACE[..., 1]
    photo = decode(saved(gray, "PNG", icc_profile=matrix_profile(SRGB[:, ::-1])))
    np.testing.assert_array_equal(photo.pixels[..., 0], gray)


def test_gray_profile_keeps_a_gray_photo_gray() -> None:
    linear = profile(b"GRAY", b"XYZ ", {b"kTRC": curve(1.0)})
    photo = decode(saved(FACE[..., 1], "PNG", icc_profile=linear))
    assert photo.gray
    assert photo.pixels.mean() > FACE[..., 1].mean() + 20  # linear light is brighter as sRGB


def test_cmyk_profile_is_used() -> None:
    cyan = Image.new("CMYK", (32, 32), (255, 0, 0, 0))
    icc = ink_profile(paper=(255, 128, 128), cyan=(136, 208, 195))  # an odd printer: Lab of red
    pixel = decode(saved(cyan, "JPEG", quality=95, icc_profile=icc)).pixels[9, 9].astype(int)
    assert np.abs(pixel - (255, 0, 0)).max() <= 12


def test_cmyk_jpeg_is_not_inverted() -> None:
    cmyk = np.zeros((64, 64, 4), np.uint8)
    cmyk[:32] = (0, 255, 255, 0)  # red ink on top, bare paper below
    photo = decode(saved(Image.fromarray(cmyk, "CMYK"), "JPEG", quality=95))
    assert np.abs(photo.pixels[8, 8].astype(int) - (255, 0, 0)).max() <= 4
    assert photo.pixels[56, 56].min() >= 251
    again = decode(encode(photo, photo.pixels))
    assert np.abs(again.pixels.astype(int) - photo.pixels)[:24].max() <= 12


def test_16_bit_gray_is_scaled_not_clipped() -> None:
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    photo = decode(png16(values))
    assert photo.gray
    assert np.abs(photo.pixels - values[..., None] / 257).max() <= 0.51


def test_16_bit_colour_keeps_its_high_byte() -> None:
    values = RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    np.testing.assert_array_equal(decode(png16(values)).pixels, values >> 8)


def test_one_bit_and_gray_with_alpha() -> None:
    bits = FACE[..., 0] > 128
    np.testing.assert_array_equal(decode(saved(bits, "PNG")).pixels[..., 2], bits * 255)
    photo = decode(saved(np.dstack([FACE[..., 0], ALPHA]), "PNG"))
    assert photo.gray
    np.testing.assert_array_equal(photo.pixels, FACE[..., :1].repeat(3, axis=2))
    np.testing.assert_array_equal(photo.alpha, ALPHA)
    assert reopened(encode(photo, photo.pixels)).mode == "LA"


def test_palette_with_transparency() -> None:
    few = Image.fromarray(FACE).quantize(64)
    levels = bytes(range(0, 256, 4))
    photo = decode(saved(few, "PNG", transparency=levels))
    index = np.asarray(few)
    np.testing.assert_array_equal(photo.pixels, np.asarray(few.convert("RGB")))
    np.testing.assert_array_equal(photo.alpha, np.frombuffer(levels, np.uint8)[index])
    assert photo.palette


@pytest.mark.parametrize(
    ("pixels", "key", "sample"),
    [(FACE, (10, 20, 30), np.array([10, 20, 30], np.uint8)), (FACE[..., 0], (77,), np.uint8(77))],
)
def test_transparent_colour_becomes_alpha(pixels: Any, key: Any, sample: Any) -> None:
    pixels = pixels.copy()
    pixels[5:9, 5:9] = sample
    data = png_with(chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)), pixels=pixels)
    alpha = decode(data).alpha
    assert alpha is not None
    same = (pixels.reshape(*pixels.shape[:2], -1) == sample).all(axis=-1)
    np.testing.assert_array_equal(alpha, np.where(same, 0, 255))


def test_transparent_colour_at_other_depths() -> None:
    gray4 = raw_png(np.array([[0x37, 0x73]], np.uint8), 4, 4, 0, chunk(b"tRNS", b"\0\7"))
    np.testing.assert_array_equal(decode(gray4).alpha, [[255, 0, 0, 255]])
    assert decode(gray4).pixels[0, 1, 0] == 7 * 17
    bits = raw_png(np.array([[0b1010_0000]], np.uint8), 4, 1, 0, chunk(b"tRNS", b"\0\1"))
    np.testing.assert_array_equal(decode(bits).alpha, [[0, 255, 0, 255]])
    gray16 = png16(np.array([[700, 701]]), chunk(b"tRNS", struct.pack(">H", 701)))
    np.testing.assert_array_equal(decode(gray16).alpha, [[255, 0]])
    key = chunk(b"tRNS", struct.pack(">3H", 900, 2, 9))
    rgb16 = png16(np.array([[[700, 2, 9], [900, 2, 9]]]), key)
    np.testing.assert_array_equal(decode(rgb16).alpha, [[255, 0]])


def test_progressive_jpeg_reads_as_baseline() -> None:
    baseline = decode(saved(FACE, "JPEG", quality=90))
    progressive = decode(saved(FACE, "JPEG", quality=90, progressive=True))
    np.testing.assert_array_equal(progressive.pixels, baseline.pixels)


def test_mpo_gives_its_first_picture() -> None:
    other = Image.fromarray(255 - FACE)
    data = saved(FACE, "MPO", save_all=True, append_images=[other], quality=90)
    assert reopened(data).format == "MPO"
    photo = decode(data)
    np.testing.assert_array_equal(photo.pixels, decode(saved(FACE, "JPEG", quality=90)).pixels)
    assert reopened(encode(photo, photo.pixels)).format == "JPEG"


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 20000, 3), (20000, 1, 3)])
def test_extreme_shapes_pass_through(shape: tuple[int, ...]) -> None:
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    photo = decode(saved(pixels, "PNG"))
    np.testing.assert_array_equal(decode(encode(photo, changed(pixels))).pixels, changed(pixels))
    assert decode(saved(pixels, "JPEG")).pixels.shape == shape


def test_bands_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(np.dstack([FACE, ALPHA]), "PNG", icc_profile=matrix_profile(P3))
    whole = decode(data)
    monkeypatch.setattr(imaging, "BAND_PIXELS", 7 * FACE.shape[1])
    banded = decode(data)
    np.testing.assert_array_equal(banded.pixels, whole.pixels)
    np.testing.assert_array_equal(banded.alpha, ALPHA)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0" + bytes(50)}),
    ],
)
def test_no_cut_file_is_read(kind: str, options: dict[str, Any]) -> None:
    data = saved(FACE, kind, **options)
    assert decode(data).pixels.shape == FACE.shape
    inside = range(0, len(data), max(1, len(data) // 60))
    for length in {*range(40), *inside, *(len(data) - 1 - n for n in range(24))}:
        with pytest.raises(ImageError, match="cut short|empty|no image"):
            decode(data[:length])


@pytest.mark.parametrize(
    "data", [huge("JPEG"), huge("PNG"), huge("WEBP"), png_huge(10001, 10000), png_huge(2**31 - 1, 2**31 - 1)]
)
def test_decompression_bomb_is_refused_on_its_header(data: bytes) -> None:
    start = time.perf_counter()
    with pytest.raises(ImageError, match="megapixels"):
        decode(data)
    assert time.perf_counter() - start < 0.5


def test_our_limit_holds_where_pillow_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ImageError, match="megapixels"):
        decode(png_huge(10001, 10000))


def test_the_pixel_limit_itself_is_allowed() -> None:
    with pytest.raises(ImageError, match="cut short"):  # past the limit check, then out of data
        decode(png_huge(10000, 10000))


@pytest.mark.parametrize("tag", [b"zTXt", b"iTXt", b"iCCP"])
def test_compressed_chunk_bomb_is_refused(tag: bytes) -> None:
    data = text_bomb(tag)
    start = time.perf_counter()
    with pytest.raises(ImageError):
        decode(data)
    assert time.perf_counter() - start < 0.5


def test_a_jpeg_of_many_scans_is_refused_before_the_first() -> None:
    assert decode(scan_bomb(MAX_SCANS, side=64)).pixels.shape == (64, 64, 3)
    start = time.perf_counter()
    for data in (scan_bomb(MAX_SCANS + 1), scan_bomb(100_000)):
        with pytest.raises(ImageError, match="scans"):
            decode(data)
    assert time.perf_counter() - start < 0.5


def test_a_jpeg_of_many_segments_is_refused_before_it_is_opened() -> None:
    data = saved(FACE, "JPEG")
    for body, read in ((b"\xff\xe2\0\2" * 999, True), (b"\xff\xe2\0\2" * 5_000_000, False)):
        start = time.perf_counter()
        with nullcontext() if read else pytest.raises(ImageError, match="segments"):
            assert decode(data[:2] + body + data[2:]).pixels.shape == FACE.shape
        assert time.perf_counter() - start < 0.5


def test_only_scans_of_the_picture_itself_are_counted() -> None:
    """What looks like one may be in metadata, between the pixels or behind them."""
    scan = b"\xff\xda\0\3\0"
    data = saved(FACE, "JPEG", comment=scan * 999, progressive=True)
    plain = decode(saved(FACE, "JPEG")).pixels
    np.testing.assert_array_equal(decode(data + scan * 999).pixels, plain)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello world, this is text", "JPEG, PNG or WebP"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (saved(FACE, "GIF"), "GIF"),
        (saved(FACE, "TIFF"), "TIFF"),
        (saved(FACE, "BMP"), "BMP"),
        (b"\0\0\0\x18ftypheic" + bytes(90), "HEIC"),
        (b"\0\0\0\x18ftypavif" + bytes(90), "AVIF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "JPEG, PNG or WebP"),
        (b"\xff\xd8\xff" + bytes(500), "JPEG"),
        (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(500), "WEBP"),
    ],
)
def test_what_is_no_photo_is_named_and_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=words) as caught:
        load_photo(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animation_is_refused(kind: str) -> None:
    with pytest.raises(ImageError, match="animated"):
        decode(animated(kind))


def test_load_says_what_is_wrong_with_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(saved(FACE, "PNG"))
    np.testing.assert_array_equal(load_photo("a.png").pixels, FACE)
    for path, words in {"no.png": "no such file", ".": "folder", "a\0b": "cannot be read"}.items():
        with pytest.raises(ImageError, match=words) as caught:
            load_photo(path)
        assert str(tmp_path) not in str(caught.value)
    monkeypatch.setattr(imaging, "MAX_BYTES", 1000)
    with pytest.raises(ImageError, match="larger"):
        load_photo("a.png")

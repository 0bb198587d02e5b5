"""Whatever bytes come, `decode` makes a photo of them or says in one line why not.

The examples are the same at every run.  `CLIP2PROTECT_FUZZ=20000` tries that many others.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from io import BytesIO
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from engines.errors import ImageError
from engines.photo import decode as imaging
from engines.photo.decode import MAX_PIXELS, Photo, decode
from engines.photo.encode import encode
from tests.support.pictures import KINDS, mutated, saved, small_pictures

EXAMPLES = int(os.environ.get("CLIP2PROTECT_FUZZ", "0"))
fuzzed = settings(
    deadline=None,
    max_examples=EXAMPLES or 300,
    derandomize=not EXAMPLES,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SOURCES = small_pictures()
STARTS = [
    b"\xff\xd8\xff",
    b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    b"\x89PNG\r\n\x1a\n",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
]
STARTS += [
    b"RIFF\xff\0\0\0WEBP",
    b"RIFF\xff\0\0\0WEBPVP8 ",
    b"RIFF\xff\0\0\0WEBPVP8L",
    b"RIFF\xff\0\0\0WEBPVP8X",
    b"",
]


@pytest.fixture
def quiet(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[Callable[[], None]], None]:
    """Run a test that may print nothing, neither from Python nor from C."""
    # A damaged size is often a large one: 100 megapixels are read as 1 is, but slowly.
    monkeypatch.setattr(imaging, "MAX_PIXELS", 10**6)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)

    def run(test: Callable[[], None]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            test()
        printed = capfd.readouterr()
        assert printed.out == printed.err == ""

    return run


def judge(data: bytes) -> Photo | None:
    """The photo, if it is one; it must be sound, and be written and read again."""
    photo, words = None, ""
    try:
        photo = decode(data)
    except ImageError as error:
        words = str(error)
    if photo is None:
        assert 10 < len(words) < 200 and words.isprintable()
        return None
    height, width, channels = photo.pixels.shape
    assert photo.pixels.dtype == np.uint8 and channels == 3 and 0 < width * height <= MAX_PIXELS
    assert photo.pixels.flags["C_CONTIGUOUS"] and photo.format in KINDS and photo.source_bytes == len(data)
    if photo.alpha is not None:
        assert photo.alpha.dtype == np.uint8 and photo.alpha.shape == (height, width)
    assert all(len(table) == 64 for table in photo.tables) and photo.subsampling in (0, 1, 2)
    again = decode(encode(photo, photo.pixels))
    assert again.format == photo.format and again.pixels.shape == photo.pixels.shape
    if photo.alpha is not None and photo.alpha.min() < 255:
        np.testing.assert_array_equal(again.alpha, photo.alpha)
    return photo


def test_the_sources_are_sound(quiet: Callable[[Callable[[], None]], None]) -> None:
    def run() -> None:
        refused = [data for data in SOURCES if judge(data) is None]
        assert len(refused) == 5  # animations, TIFF, BMP

    quiet(run)


def test_a_damaged_file_is_read_or_refused(quiet: Callable[[Callable[[], None]], None]) -> None:
    @fuzzed
    @given(st.randoms(use_true_random=False))
    def run(random: Random) -> None:
        judge(mutated(random, SOURCES))

    quiet(run)


def test_any_bytes_after_a_start_are_read_or_refused(quiet: Callable[[Callable[[], None]], None]) -> None:
    @fuzzed
    @given(st.sampled_from(STARTS), st.binary(max_size=400))
    def run(start: bytes, rest: bytes) -> None:
        judge(start + rest)

    quiet(run)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_profile_is_used_or_left_aside(
    kind: str, quiet: Callable[[Callable[[], None]], None]
) -> None:
    """The library for colours reads what no other part looks into."""
    profiles = [icc for data in SOURCES if (icc := Image.open(BytesIO(data)).info.get("icc_profile"))]
    pixels = np.full((4, 4, 3), 99, np.uint8)

    @fuzzed
    @given(st.randoms(use_true_random=False))
    def run(random: Random) -> None:
        photo = judge(saved(pixels, kind, icc_profile=mutated(random, profiles)[:60000]))
        assert photo is not None

    quiet(run)

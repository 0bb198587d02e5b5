"""Untrusted photos, sent to the real server: right pixels or a clear refusal, and one worker for all.

A worker that a picture kills would be started anew, and the picture refused: every test looks that it was
not.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from engines.photo.decode import MAX_PIXELS, decode
from engines.photo.encode import encode
from engines.photo.quality import psnr
from server.common.problems import CODES
from tests.support.live import QUICK, Live, running, wait_for
from tests.support.pictures import (
    ASTRONAUT,
    CANARY,
    FACE,
    KINDS,
    P3,
    SRGB,
    animated,
    chunk,
    huge,
    matrix_profile,
    mutated,
    parts,
    pieces,
    png16,
    png_huge,
    png_with,
    saved,
    scan_bomb,
    small_pictures,
    tagged,
    text_bomb,
    turned,
)

pytestmark = pytest.mark.models
QUERY = "?steps=1&prompt=none"
JPEG, PNG, WEBP, BYTES = "image/jpeg", "image/png", "image/webp", "application/octet-stream"
MIME = {"JPEG": JPEG, "PNG": PNG, "WEBP": WEBP}
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One for all: what a picture leaves behind is there for the next."""
    with running(tmp_path_factory.mktemp("server"), command=QUICK) as live:
        over(live, post(live, b"?", BYTES), seconds=240)  # the worker is up
        yield live


@pytest.fixture
def live(server: Live) -> Iterator[Live]:
    """The server, which must have the same worker afterwards."""
    before = worker(server)
    yield server
    assert worker(server) == before
    assert server.server.service.crew.restarts == 0
    wait_for(lambda: server.server.service.crew.states == ["ready"])


def worker(live: Live) -> int:
    pid = live.server.service.crew._workers[0].pid
    assert pid is not None
    return pid


def post(live: Live, data: bytes, kind: str = PNG, query: str = QUERY) -> str:
    answer = live.ask("POST", f"/v1/jobs{query}", data, Content_Type=kind)
    assert answer.status == 202, answer.body
    return answer.json["id"]


def over(live: Live, job: str, seconds: float = 60) -> Any:
    return live.until(job, "done", "failed", seconds=seconds)


def refusals(live: Live, cases: dict[str, tuple[bytes, str]]) -> dict[str, str]:
    """Each picture's code, the empty one if it was protected; one after the other is in the queue."""
    found = {}
    names = list(cases)
    for start in range(0, len(names), 64):
        jobs = {name: post(live, *cases[name]) for name in names[start : start + 64]}
        for name, job in jobs.items():
            status = over(live, job, seconds=120)
            found[name] = error["code"] if (error := status.get("error")) else ""
            answer = live.ask("GET", f"/v1/jobs/{job}/result")
            assert answer.status == (error["status"] if error else 200)
            assert not error or (answer.code == error["code"] and "\n" not in error["detail"])
    return found


# --- what is refused ----------------------------------------------------------------------------


def archive() -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as file:
        file.writestr("x.txt", CANARY)
    return buffer.getvalue()


def bad_images() -> dict[str, tuple[bytes, str]]:
    """Name -> bytes and what they are said to be."""
    flat = np.full((64, 64, 3), 128, np.uint8)
    bad = {f"huge {kind}": (huge(kind), MIME.get(kind, PNG)) for kind in (*KINDS, "GIF")}
    bad |= {f"{tag.decode()} bomb": (text_bomb(tag), PNG) for tag in (b"zTXt", b"iTXt", b"iCCP")}
    bad |= {f"animated {kind}": (animated(kind), MIME.get(kind, PNG)) for kind in ("GIF", "PNG", "WEBP")}
    bad |= {
        "PNG of 2 ** 62 pixels": (png_huge(2**31 - 1, 2**31 - 1), PNG),
        "PNG just too large": (png_huge(10_001, 10_000), PNG),
        "JPEG of many scans": (scan_bomb(10_000), JPEG),
        "JPEG of many segments": (b"\xff\xd8" + b"\xff\xe4\0\2" * 4_000_000 + saved(FACE, "JPEG")[2:], JPEG),
        "next to nothing": (b"\0", PNG),
        "zeros": (bytes(100_000), JPEG),
        "SVG": (SVG, PNG),
        "EPS": (EPS, PNG),
        "TIFF": (saved(FACE, "TIFF"), PNG),
        "BMP": (saved(FACE, "BMP"), BYTES),
        "EPS after the start of a PNG": (b"\x89PNG\r\n\x1a\n" + EPS, PNG),
        "TIFF after the start of a JPEG": (b"\xff\xd8\xff" + saved(FACE, "TIFF"), JPEG),
        "SVG in WebP's wrapping": (b"RIFF" + struct.pack("<I", len(SVG) + 4) + b"WEBP" + SVG, WEBP),
        "GIF and script": (b"GIF89a/*" + saved(flat, "GIF")[8:] + b"*/=1;alert(1)//", PNG),
        "web page": (b"<!doctype html><script>alert(1)</script>", JPEG),
        "ZIP": (archive(), PNG),
        "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(999), JPEG),
        "AVIF": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1" + bytes(999), WEBP),
    }
    for kind, data in {
        "JPEG": saved(FACE, "JPEG"),
        "PNG": saved(FACE, "PNG"),
        "WEBP": saved(FACE, "WEBP"),
    }.items():
        lengths = {*range(1, len(data), len(data) // 22), 4, 8, 12, len(data) - 1}
        bad |= {f"{kind} cut at {length}": (data[:length], MIME[kind]) for length in lengths}
    return bad


def faceless() -> dict[str, tuple[bytes, str]]:
    """Pictures that are sound and show nobody."""
    pixels = np.random.default_rng(3).integers(0, 256, (1, 20_000, 3), dtype=np.uint8)
    return {
        "one pixel": (saved(pixels[:, :1], "PNG"), PNG),
        "a JPEG of one pixel": (saved(pixels[:, :1], "JPEG"), JPEG),
        "a WebP of one pixel": (saved(pixels[:, :1], "WEBP"), WEBP),
        "one row": (saved(pixels, "PNG"), PNG),
        "one column": (saved(pixels.swapaxes(0, 1).copy(), "JPEG"), JPEG),
        "one bit": (saved(FACE[..., 0] > 300, "PNG"), PNG),
        "clear": (saved(np.zeros((40, 40, 4), np.uint8), "PNG"), PNG),
    }


def memory(pid: int | str, what: str) -> int:
    """Bytes that a process holds (VmRSS) or held at most (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{what}:"))


def test_what_is_no_photo_is_refused_and_costs_no_memory(live: Live) -> None:
    cases = bad_images()
    measurable = Path("/proc/self/clear_refs").exists()
    if measurable:
        Path(f"/proc/{worker(live)}/clear_refs").write_text("5")  # the most that it held so far is forgotten
        worker_before, own_before = memory(worker(live), "VmHWM"), memory("self", "VmRSS")
    found = refusals(live, cases)
    assert {name: code for name, code in found.items() if code != "bad_image"} == {}
    if measurable:
        # Pillow holds an RGB pixel in 4 bytes, we in 3: nothing of MAX_PIXELS was unpacked, not even once.
        rise = memory(worker(live), "VmHWM") - worker_before
        assert rise < 3 * MAX_PIXELS, f"{rise >> 20} MiB"
        assert memory("self", "VmRSS") - own_before < 150 << 20


def test_pictures_of_nobody_have_no_face(live: Live) -> None:
    found = refusals(live, faceless())
    assert set(found.values()) == {"no_face"}, found


def test_damaged_pictures_end_as_jobs_do(live: Live) -> None:
    random, sources = Random(11), small_pictures()
    found = refusals(live, {str(n): (mutated(random, sources), BYTES) for n in range(60)})
    assert {"bad_image", "no_face"} <= set(found.values())
    assert all(CODES[code][0] < 500 for code in found.values() if code), found


def test_an_empty_body_is_refused(live: Live) -> None:
    assert live.ask("POST", f"/v1/jobs{QUERY}", b"", Content_Type=PNG).code == "bad_request"


def test_what_cannot_be_a_photo_by_its_type_is_not_even_read(live: Live) -> None:
    for kind in ("image/svg+xml", "text/html", "image/heic"):
        answer = live.ask("POST", f"/v1/jobs{QUERY}", saved(FACE, "PNG"), Content_Type=kind)
        assert answer.code == "unsupported_content"


# --- what is read -------------------------------------------------------------------------------


def closeness(a: np.ndarray, b: np.ndarray, box: list[float]) -> float:
    """PSNR in dB outside of a face: the mask reaches past the box by less than the box's size."""
    left, top, right, bottom = box
    wide, high = right - left, bottom - top
    outside = np.ones(a.shape[:2], bool)
    outside[max(0, int(top - high)) : int(bottom + high), max(0, int(left - wide)) : int(right + wide)] = (
        False
    )
    assert outside.mean() > 0.2
    return np.inf if (a[outside] == b[outside]).all() else psnr(a[outside], b[outside])


def protected(live: Live, data: bytes, kind: str) -> tuple[bytes, Any]:
    job = post(live, data, kind)
    status = over(live, job, seconds=120)
    assert status["state"] == "done", status
    assert CANARY.decode() not in json.dumps(status)
    assert CANARY not in live.ask("GET", f"/v1/jobs/{job}/preview").body
    return live.ask("GET", f"/v1/jobs/{job}/result").body, status["report"]


#: Decibels between equal pictures.
EXACT = np.inf


def check(live: Live, data: bytes, truth: np.ndarray, least: float, kind: str = BYTES) -> bytes:
    """Protect a photo;

    `truth` is what it shows, upright and in sRGB, `least` the dB by which it is stored.
    """
    result, report = protected(live, data, kind)
    sent, got = decode(data), decode(result)
    box = report["faces"][0]["box"]
    assert got.format == sent.format == report["photo"]["format"]
    assert got.pixels.shape == truth.shape
    assert closeness(sent.pixels, truth, box) >= least
    # Where the format is lossy, as near as when nothing is changed; half a dB, as the rest must share the
    # bytes.
    plain = decode(encode(sent, sent.pixels)).pixels
    assert closeness(got.pixels, sent.pixels, box) >= closeness(plain, sent.pixels, box) - 0.5
    left, top, right, bottom = map(int, box)
    assert (got.pixels != sent.pixels)[top:bottom, left:right].any()
    if sent.alpha is not None:
        np.testing.assert_array_equal(got.alpha, sent.alpha)
    return result


@pytest.mark.parametrize(
    "orientation", [6, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3, 4, 5, 7, 8))]
)
def test_orientation(live: Live, orientation: int) -> None:
    kind, options, least = (
        ("PNG", {}, EXACT),
        ("JPEG", {"quality": 95, "subsampling": 0}, 35),
        ("WEBP", {"lossless": True}, EXACT),
    )[orientation % 3]
    tall = ASTRONAUT[:, 40:440]  # so that a turn shows in the size
    check(live, turned(tall, kind, orientation, **options), tall, least)


@pytest.mark.parametrize("adobe", [True, False])
def test_inks(live: Live, adobe: bool) -> None:
    """Inks are stored inverted, with Adobe's segment or without it: all readers take them so."""
    inks = np.dstack([255 - ASTRONAUT, np.zeros((512, 512), np.uint8)])
    data = saved(Image.fromarray(inks, "CMYK"), "JPEG", quality=95, subsampling=0)
    assert b"\xff\xee" in parts(data)
    if not adobe:
        data = b"".join(piece for piece in pieces(data) if piece[:2] != b"\xff\xee")
    check(live, data, ASTRONAUT, 35)


def test_wide_colours(live: Live) -> None:
    truth = 255 * ((ASTRONAUT / 255) ** 2.2 @ (np.linalg.inv(SRGB) @ P3).T).clip(0, 1) ** (1 / 2.2)
    check(live, saved(ASTRONAUT, "PNG", icc_profile=matrix_profile(P3)), truth.round().astype(np.uint8), 40)


def test_broken_profile(live: Live) -> None:
    icc = matrix_profile(P3)[:300]
    check(live, png_with(chunk(b"iCCP", b"x\0\0" + zlib.compress(icc)), pixels=ASTRONAUT), ASTRONAUT, EXACT)


def test_palette_with_alpha(live: Live) -> None:
    few = Image.fromarray(ASTRONAUT).quantize(128)
    data = saved(few, "PNG", transparency=bytes(range(128, 256)))
    check(live, data, np.asarray(few.convert("RGB")), EXACT)


@pytest.mark.parametrize("depth", [8, 16])
def test_gray(live: Live, depth: int) -> None:
    gray = ASTRONAUT[..., 1]
    alpha = np.tile(np.arange(512, dtype=np.uint8), (512, 1))
    data = png16(gray.astype(np.uint16) * 257) if depth == 16 else saved(np.dstack([gray, alpha]), "PNG")
    result = check(live, data, gray[..., None].repeat(3, axis=2), EXACT)
    assert Image.open(BytesIO(result)).mode == ("L" if depth == 16 else "LA")


def test_bits(live: Live) -> None:
    """A dithered picture may show a face or none."""
    bits = Image.fromarray(ASTRONAUT).convert("1")
    status = over(live, post(live, saved(bits, "PNG")))
    assert status["state"] == "done" or status["error"]["code"] == "no_face"


@pytest.mark.parametrize("kind", ["progressive", "MPO"])
def test_other_jpegs(live: Live, kind: str) -> None:
    other: dict[str, Any] = {"save_all": True, "append_images": [Image.fromarray(255 - ASTRONAUT)]}
    options = other if kind == "MPO" else {"progressive": True}
    result = check(
        live, saved(ASTRONAUT, "MPO" if kind == "MPO" else "JPEG", quality=95, **options), ASTRONAUT, 33
    )
    assert result.count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_pixels_comes_back(live: Live, kind: str) -> None:
    """Words in every place for words, and a ZIP, a web page, a script behind; under another format's name."""
    tail = {
        "JPEG": archive(),
        "PNG": b"<html>" + CANARY + b"<script>alert(1)</script>",
        "WEBP": b"/*" + CANARY,
    }[kind]
    data = tagged(kind, ASTRONAUT) + tail
    truth = decode(saved(ASTRONAUT, kind, icc_profile=matrix_profile(P3)))  # colours have a test of their own
    result = check(live, data, truth.pixels, EXACT, {"JPEG": PNG, "PNG": WEBP, "WEBP": JPEG}[kind])
    packed = b"".join(piece[8:-4] for piece in pieces(result) if piece[4:8] == b"IDAT")
    for word in (CANARY, b"Exif", b"EXIF", b"xmp", b"ICC", b"Photoshop", b"PK\3\4", b"<html", b"alert"):
        assert word not in result + (zlib.decompress(packed) if packed else b"")
    allowed = {
        "JPEG": {b"\xff\xe0", b"\xff\xdb", b"\xff\xc0", b"\xff\xc4", b"\xff\xda"},
        "PNG": {b"IHDR", b"IDAT", b"IEND"},
        "WEBP": {b"VP8 "},
    }[kind]
    assert set(parts(result)) == allowed

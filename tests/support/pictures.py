"""Pictures that tests send in: photos in every kind of storage, broken ones, hostile ones.

All of them are made here, of one photo from scikit-image and of bytes; no file of anybody is kept.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin
from skimage import data as scikit_data

ASTRONAUT = scikit_data.astronaut()  # 512 x 512, one face that the detector finds
FACE = np.ascontiguousarray(ASTRONAUT[:200, 140:300])  # 200 x 160, not square
ALPHA = np.random.default_rng(7).integers(0, 256, FACE.shape[:2], dtype=np.uint8)
KINDS = ("JPEG", "PNG", "WEBP")
CANARY = b"CANARY-7f3a"
# White point and primaries (columns) in XYZ, for ICC profiles
D50 = (0.9642, 1.0, 0.8249)
SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
P3 = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])

STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    # how an upright picture is stored so that the orientation brings it back
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: np.rot90,
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


def saved(pixels: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    """The picture as Pillow writes it."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def reopened(data: bytes) -> Image.Image:
    """The picture as Pillow reads it."""
    image = Image.open(BytesIO(data))
    image.load()
    return image


def turned(pixels: np.ndarray, kind: str, orientation: int, **options: Any) -> bytes:
    """A photo stored so that its EXIF orientation brings `pixels` back."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return saved(np.ascontiguousarray(STORED[orientation](pixels)), kind, exif=tags.tobytes(), **options)


def animated(kind: str, pixels: np.ndarray = FACE) -> bytes:
    """Two frames."""
    return saved(pixels, kind, save_all=True, append_images=[Image.fromarray(255 - pixels)], duration=50)


# --- PNG, byte by byte --------------------------------------------------------------------------


def chunk(tag: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    crc = struct.pack(">I", zlib.crc32(tag + body))
    return struct.pack(">I", len(body)) + tag + body + crc


def png_with(*chunks: bytes, pixels: np.ndarray = FACE) -> bytes:
    """A PNG with more chunks between its header and its pixels."""
    data = saved(pixels, "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def raw_png(rows: np.ndarray, width: int, depth: int, colour: int, *chunks: bytes) -> bytes:
    """A PNG of packed rows (HB uint8), with a depth and colour type that Pillow cannot write."""
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header), *chunks, chunk(b"IDAT", packed), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png16(values: np.ndarray, *chunks: bytes) -> bytes:
    """A 16-bit PNG of HW (gray) or HWC (RGB) values."""
    rows = values.astype(">u2").reshape(len(values), -1)
    return raw_png(rows, values.shape[1], 16, 2 if values.ndim == 3 else 0, *chunks)


# --- ICC profiles -------------------------------------------------------------------------------


def fixed(values: Any) -> bytes:
    """Numbers as ICC writes them."""
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC v2 profile with these tags and the ones that every profile must have."""
    tags = tags | {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(CANARY) + 1) + CANARY + bytes(80),
        b"cprt": b"text\0\0\0\0" + CANARY + b"\0",
        b"wtpt": b"XYZ \0\0\0\0" + fixed(D50),
    }
    table, bodies, offset = b"", b"", 132 + 12 * len(tags)
    for name, body in tags.items():
        table += name + struct.pack(">II", offset + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    header = struct.pack(">I4sI", offset + len(bodies), b"lcms", 0x02100000)
    header += (b"prtr" if space == b"CMYK" else b"mntr") + space + connection
    header += bytes(12) + b"acsp" + bytes(28) + fixed(D50) + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + bodies


def curve(gamma: float) -> bytes:
    """A tone curve."""
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def matrix_profile(primaries: np.ndarray) -> bytes:
    """A display's profile; the columns of `primaries` are XYZ (D50) of red, green, blue."""
    tags = {}
    for name, column in zip((b"r", b"g", b"b"), primaries.T, strict=True):
        tags |= {name + b"XYZ": b"XYZ \0\0\0\0" + fixed(column), name + b"TRC": curve(2.2)}
    return profile(b"RGB ", b"XYZ ", tags)


# --- bombs --------------------------------------------------------------------------------------


def huge(kind: str) -> bytes:
    """A valid small file whose header claims more pixels than any limit allows."""
    if kind == "PNG":
        return png_huge(50000, 50000)
    if kind == "GIF":
        data = bytearray(saved(FACE, "GIF"))
        data[6:10] = b"\xff" * 4
        return bytes(data)
    if kind == "JPEG":
        data = bytearray(saved(FACE, "JPEG"))
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", 60000, 60000)
        return bytes(data)
    data = bytearray(saved(np.dstack([FACE, ALPHA]), "WEBP"))
    data[24:30] = (16382).to_bytes(3, "little") * 2
    return bytes(data)


def png_huge(width: int, height: int) -> bytes:
    """A PNG that claims this size and has next to no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


def text_bomb(tag: bytes, size: int = 64 * 2**20) -> bytes:
    """A PNG with a chunk (zTXt, iTXt, iCCP) of 64 kB that unpacks to `size` bytes."""
    body = {b"zTXt": b"k\0\0", b"iTXt": b"k\0\1\0\0\0", b"iCCP": b"k\0\0"}[tag]
    return png_with(chunk(tag, body + zlib.compress(bytes(size))))


def scan_bomb(scans: int, side: int = 10_000) -> bytes:
    """A progressive gray JPEG of empty scans: each takes 142 bytes and a walk over `side` ** 2 pixels."""

    def segment(marker: int, *body: int | bytes) -> bytes:
        data = b"".join(part if isinstance(part, bytes) else bytes([part]) for part in body)
        return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data

    blocks = ((side + 7) // 8) ** 2
    run = f"{2**14 - 1:015b}"  # one code of a single bit: the next 32767 blocks are empty
    bits = run * -(-blocks // 32767)
    bits += "1" * (-len(bits) % 8)
    packed = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    one_code = bytes([1]) + bytes(15)
    data = b"\xff\xd8" + segment(0xDB, 0, bytes([16]) * 64)
    data += segment(0xC2, struct.pack(">BHHB", 8, side, side, 1), 1, 0x11, 0)
    data += segment(0xC4, 0x00, one_code, 0) + segment(0xC4, 0x10, one_code, 0xE0)
    data += segment(0xDA, 1, 1, 0, 0, 0, 0) + bytes(blocks // 8 + 1)
    return data + (segment(0xDA, 1, 1, 0, 1, 63, 0) + packed) * (scans - 1) + b"\xff\xd9"


# --- metadata -----------------------------------------------------------------------------------


def exif_with_canary() -> bytes:
    """EXIF with a description, a place and a small picture."""
    tags = Image.Exif()
    tags[0x010E] = CANARY.decode()
    tags.get_ifd(0x8825)[29] = CANARY.decode()
    thumbnail = saved(FACE[:32, :32], "JPEG", comment=CANARY)
    return tags.tobytes() + thumbnail


def tagged(kind: str, pixels: np.ndarray = FACE) -> bytes:
    """A photo with a canary wherever its format has room for words, plain or packed."""
    options: dict[str, Any] = {"icc_profile": matrix_profile(P3), "exif": exif_with_canary()}
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", CANARY.decode())
        text.add_text("Author", CANARY.decode(), zip=True)
        text.add_itxt("XML:com.adobe.xmp", f"<x>{CANARY.decode()}</x>")
        text.add_itxt("Title", CANARY.decode(), zip=True)
        text.add(b"prVt", CANARY)
        return saved(pixels, kind, pnginfo=text, dpi=(300, 300), **options)
    options["xmp"] = b"<x:xmpmeta>" + CANARY + b"</x:xmpmeta>"
    if kind == "WEBP":
        data = saved(pixels, kind, **options) + b"CNRY" + struct.pack("<I", len(CANARY) + 1) + CANARY + b"\0"
        return repaired(data)
    data = saved(pixels, kind, comment=CANARY, **options)
    photoshop = b"Photoshop 3.0\x008BIM" + CANARY
    return data[:2] + b"\xff\xed" + struct.pack(">H", len(photoshop) + 2) + photoshop + data[2:]


def pieces(data: bytes) -> list[bytes]:
    """A file cut at its chunks or segments; of a JPEG all that follows the first scan's start is one piece.

    Goes by the lengths that are written there, right or wrong.
    """
    png, webp = data[:1] == b"\x89", data[:1] == b"R"
    at = 8 if png else 12 if webp else 2
    cuts = [0]
    while at < len(data):
        cuts.append(at)
        if png:
            at += 12 + int.from_bytes(data[at : at + 4], "big")
        elif webp:
            size = int.from_bytes(data[at + 4 : at + 8], "little")
            at += 8 + size + size % 2
        elif data[at + 1 : at + 2] == b"\xda":
            break
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return [data[start:end] for start, end in pairwise([*cuts, len(data)])]


def parts(data: bytes) -> list[bytes]:
    """Names of the chunks or segments of a file."""
    start, end = (4, 8) if data[:1] == b"\x89" else (0, 4) if data[:1] == b"R" else (0, 2)
    return [piece[start:end] for piece in pieces(data)[1:]]


# --- fuzzing ------------------------------------------------------------------------------------


def repaired(data: bytes) -> bytes:
    """The same with checksums (PNG) or the total size (WebP) put right, so that a reader looks further."""
    if data[:1] == b"R":
        return data[:4] + struct.pack("<I", max(0, len(data) - 8)) + data[8:]
    if data[:1] == b"\x89":
        head, *chunks = pieces(data)
        return head + b"".join(chunk(c[4:8], c[8:-4]) if len(c) >= 12 else c for c in chunks)
    return data


def small_pictures() -> list[bytes]:
    """One small file of each kind of storage, those that are not read included."""
    face = np.ascontiguousarray(FACE[60:92, 60:84])
    gray, clear = face[..., 0], np.dstack([face, ALPHA[:32, :24]])
    few = Image.fromarray(face).quantize(16)
    gray_icc = profile(b"GRAY", b"XYZ ", {b"kTRC": curve(1.0)})
    files = [
        saved(face, "JPEG", quality=90, subsampling=s, progressive=p)
        for s in (0, 1, 2)
        for p in (False, True)
    ]
    files += [saved(face, "JPEG", restart_marker_blocks=1), turned(face, "JPEG", 6), turned(clear, "WEBP", 7)]
    files += [saved(gray, "JPEG", icc_profile=gray_icc), saved(Image.fromarray(face).convert("CMYK"), "JPEG")]
    files += [saved(face, "MPO", save_all=True, append_images=[ImageOps.invert(Image.fromarray(face))])]
    files += [saved(picture, "PNG") for picture in (face, clear, gray, clear[..., 2:], gray > 128, few)]
    files += [saved(few, "PNG", transparency=bytes(range(0, 256, 16))), saved(few, "PNG", bits=4)]
    files += [
        png16(gray.astype(np.uint16) * 257),
        png16(face.astype(np.uint16) * 257, chunk(b"tRNS", bytes(6))),
    ]
    files += [saved(face, "WEBP"), saved(clear, "WEBP"), saved(clear, "WEBP", lossless=True, exact=True)]
    files += [animated(kind, face) for kind in ("PNG", "WEBP", "GIF")]
    return files + [tagged(kind, face) for kind in KINDS] + [saved(face, kind) for kind in ("TIFF", "BMP")]


def mutated(random: Random, sources: Sequence[bytes]) -> bytes:
    """One of the sources after one to four accidents."""
    data = random.choice(sources)
    for _ in range(random.choice((1, 1, 2, 4))):
        data = random.choice(_ACCIDENTS)(random, data, random.choice(sources))
    return repaired(data) if random.randint(0, 3) else data


def _range(random: Random, data: bytes) -> tuple[int, int]:
    start = random.randint(0, len(data))
    return start, min(len(data), start + random.choice((1, 2, 4, 16, 256)))


def _flip(random: Random, data: bytes, other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randint(1, 8) if data else 0):
        changed[random.randint(0, len(data) - 1)] ^= 1 << random.randint(0, 7)
    return bytes(changed)


def _cut(random: Random, data: bytes, other: bytes) -> bytes:
    return data[: random.randint(0, len(data))]


def _remove(random: Random, data: bytes, other: bytes) -> bytes:
    start, end = _range(random, data)
    return data[:start] + data[end:]


def _insert(random: Random, data: bytes, other: bytes) -> bytes:
    start, end = _range(random, other)
    at = random.randint(0, len(data))
    return (
        data[:at] + random.choice((other[start:end], bytes(end - start), b"\xff" * (end - start))) + data[at:]
    )


def _splice(random: Random, data: bytes, other: bytes) -> bytes:
    return data[: random.randint(0, len(data))] + other[random.randint(0, len(other)) :]


def _number(random: Random, data: bytes, other: bytes) -> bytes:
    """Lengths, sizes and offsets are numbers of 1 to 4 bytes: write the worst ones."""
    size = random.choice((1, 2, 4))
    value = random.choice(
        (0, 1, 2, 255, 4096, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, len(data))
    )
    at = random.randint(0, len(data))
    packed = (value % 256**size).to_bytes(size, random.choice(("big", "little")))
    return data[:at] + packed + data[at + size :]


def _shuffle(random: Random, data: bytes, other: bytes) -> bytes:
    """A chunk twice, elsewhere, or from another file."""
    head, *rest = pieces(data) or [b""]
    strange = random.choice((pieces(other) or [b""], rest or [b""]))
    rest.insert(random.randint(0, len(rest)), random.choice(strange))
    if random.randint(0, 1):
        del rest[random.randint(0, len(rest) - 1)]
    return head + b"".join(rest)


_ACCIDENTS = (_flip, _cut, _remove, _insert, _splice, _number, _number, _shuffle, _shuffle)

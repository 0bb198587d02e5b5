"""Changes of a photo before a recogniser sees it, on purpose or not, and a second detector of faces."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from io import BytesIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from skimage import data
from skimage.feature import Cascade
from skimage.restoration import denoise_tv_chambolle

from engines.face import align
from engines.face.crop import AlignedFace, cut
from engines.face.detect import Face, detect
from engines.latent.invert import invert
from engines.latent.render import composite, render
from engines.load import load_network
from engines.makeup.regions import locate
from engines.networks.frame import IMAGE_SIZE, MASK_WINDOW, REDUCTION
from engines.networks.landmarks import LandmarkNetwork
from engines.photo.colour import luma
from engines.stack import Stack

#: A picture (H, W, 3) uint8 RGB around a face, and the face in its pixels -> the changed picture.
Transform = Callable[[Stack, np.ndarray, Face], np.ndarray]
FaceDetector = Callable[[Stack, np.ndarray], list[Face]]

#: Width of the surroundings that stay with a face, in parts of its size.
SURROUNDINGS = 1.0
#: Standard deviation of a blur in parts of a face's size, of noise in units of 0..255; strength of the
#: denoiser.
_BLUR, _NOISE, _DENOISE = 0.015, 8.0, 0.06
#: Part of a face's size that a tight crop leaves on every side.
_CROP = 0.25
#: Width in px at which the second detector works, and the growth and shift of its box to the landmark
#: network's.
_SECOND_WIDTH, _SECOND_GROWN, _SECOND_LOWERED = 320, 1.1, 0.06


def region(shape: tuple[int, ...], face: Face) -> tuple[slice, slice]:
    """Rows and columns around a face of a photo; they begin at a block of a JPEG."""
    left, top, right, bottom = face.box
    around = SURROUNDINGS * face.size
    y, x = (max(0, int(v - around) // 16 * 16) for v in (top, left))
    return slice(y, min(shape[0], round(bottom + around))), slice(x, min(shape[1], round(right + around)))


def _saved(pixels: np.ndarray, kind: str, quality: int) -> np.ndarray:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind, quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _jpeg(quality: int) -> Transform:
    return lambda _, pixels, face: _saved(pixels, "JPEG", quality)


def _scaled(pixels: np.ndarray, part: float) -> np.ndarray:
    width, height = (max(1, round(part * n)) for n in (pixels.shape[1], pixels.shape[0]))
    return np.asarray(
        Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    )


def _resize(part: float) -> Transform:
    return lambda _, pixels, face: _scaled(pixels, part)


def _filtered(pixels: np.ndarray, chosen: ImageFilter.Filter) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).filter(chosen))


def _blur(_: Stack, pixels: np.ndarray, face: Face) -> np.ndarray:
    return _filtered(pixels, ImageFilter.GaussianBlur(_BLUR * face.size))


def _noise(_: Stack, pixels: np.ndarray, face: Face) -> np.ndarray:
    added = np.random.default_rng(0).normal(0, _NOISE, pixels.shape)
    return np.clip(np.rint(pixels + added), 0, 255).astype(np.uint8)


def _crop(_: Stack, pixels: np.ndarray, face: Face) -> np.ndarray:
    left, top, right, bottom = _tight(face, pixels.shape)
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def _tight(face: Face, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a close crop."""
    room = _CROP * face.size
    left, top, right, bottom = face.box
    return (
        max(0, round(left - room)),
        max(0, round(top - room)),
        min(shape[1], round(right + room)),
        min(shape[0], round(bottom + room)),
    )


def _sharpen(_: Stack, pixels: np.ndarray, face: Face) -> np.ndarray:
    return _filtered(
        pixels, ImageFilter.UnsharpMask(radius=max(1.0, 0.01 * face.size), percent=150, threshold=0)
    )


def _screenshot(_: Stack, pixels: np.ndarray, face: Face) -> np.ndarray:
    """Shown smaller, shot and posted; then shown larger, shot and posted again."""
    once = _saved(_scaled(pixels, 0.6), "JPEG", 85)
    return _saved(_scaled(once, 1.3), "WEBP", 75)


def _messenger(_: Stack, pixels: np.ndarray, face: Face) -> np.ndarray:
    """Sent on three times, each time a little smaller and at a lower quality."""
    for quality in (80, 70, 60):
        pixels = _saved(_scaled(pixels, 0.85), "JPEG", quality)
    return pixels


def _denoise(_: Stack, pixels: np.ndarray, face: Face) -> np.ndarray:
    """Purification by total variation (Chambolle 2004)."""
    clean = denoise_tv_chambolle(pixels / 255.0, weight=_DENOISE, channel_axis=2)
    return np.rint(clean * 255).astype(np.uint8)


def _purify(stack: Stack, pixels: np.ndarray, face: Face) -> np.ndarray:
    """Purification by the generator: it inverts the face and draws it again, on its own manifold."""
    aligned = AlignedFace.cut(pixels, face, stack.device)
    pivot = invert(stack.preview, aligned.crop, encoder=stack.encoder)
    with torch.no_grad():
        image = stack.generator(pivot, window=MASK_WINDOW)
    return composite(pixels, aligned, render("generator", image, image, gray=False))


def _same(_: Stack, pixels: np.ndarray, face: Face) -> np.ndarray:
    return pixels


#: By name, in the order of the report.
TRANSFORMS: dict[str, Transform] = {
    "none": _same,
    "jpeg-95": _jpeg(95),
    "jpeg-75": _jpeg(75),
    "jpeg-50": _jpeg(50),
    "resize-50": _resize(0.5),
    "resize-25": _resize(0.25),
    "blur": _blur,
    "noise": _noise,
    "crop": _crop,
    "sharpen": _sharpen,
    "screenshot": _screenshot,
    "messenger": _messenger,
    "denoise": _denoise,
    "purify": _purify,
    "second-detector": _same,
}


def second_detector(stack: Stack, pixels: np.ndarray) -> list[Face]:
    """The faces of a picture (H, W, 3) uint8 by another detector, largest first.

    It works on local binary patterns (Liao et al. 2007, the cascade of scikit-image) and 68 landmarks, whose
    means are the five points.  It finds the landmarks in the box, and again in the face that these have
    aligned.
    """
    shrink = min(1.0, _SECOND_WIDTH / pixels.shape[1])
    small = _scaled(pixels, shrink)
    side = min(small.shape[:2])
    boxes = _cascade().detect_multi_scale(
        small, scale_factor=1.1, step_ratio=1, min_size=(side // 5, side // 5), max_size=(side, side)
    )
    network, faces = _landmarks(), []
    for box in boxes:
        left, top, width = (box[k] / shrink for k in ("c", "r", "width"))
        grown = _SECOND_GROWN * width
        top += _SECOND_LOWERED * width - (grown - width) / 2
        transform = np.array([[grown / 64, 0, left - (grown - width) / 2], [0, grown / 64, top]])
        points = _five(_points(network, pixels, transform))
        aligned = align.ffhq_transform(points)
        again = cut(pixels, aligned, IMAGE_SIZE)
        exact = locate(network, F.avg_pool2d(again, REDUCTION))[0].numpy() * REDUCTION
        points = _five(exact @ aligned[:, :2].T + aligned[:, 2])
        faces.append(Face((left, top, left + grown, top + grown), points, 1.0))
    return sorted(faces, key=lambda face: face.size, reverse=True)


def _first_detector(stack: Stack, pixels: np.ndarray) -> list[Face]:
    return detect(stack.detector, pixels)


#: Transform -> its detector, where that is not the first one.
DETECTORS: dict[str, FaceDetector] = {"second-detector": second_detector}


def find_after(
    stack: Stack, transform: str, pixels: np.ndarray, face: Face
) -> tuple[np.ndarray, Face] | None:
    """A picture after a transform, and the face in it; None where the face is not found at its place."""
    changed = TRANSFORMS[transform](stack, pixels, face)
    left, top, right, bottom = (
        _tight(face, pixels.shape) if transform == "crop" else (0, 0, *pixels.shape[1::-1])
    )
    scale = np.array(changed.shape[1::-1]) / (right - left, bottom - top)
    centre = (_centre(face) - (left, top)) * scale
    for candidate in DETECTORS.get(transform, _first_detector)(stack, changed):
        if (np.abs(_centre(candidate) - centre) < face.size / 2 * scale).all():
            return changed, candidate
    return None


def _centre(face: Face) -> np.ndarray:
    return np.array(face.box).reshape(2, 2).mean(axis=0)


@lru_cache
def _cascade() -> Cascade:
    return Cascade(data.lbp_frontal_face_cascade_filename())


@lru_cache
def _landmarks() -> LandmarkNetwork:
    network = load_network("landmarks-68")
    if not isinstance(network, LandmarkNetwork):
        raise TypeError("landmarks-68 is another network")
    return network


@torch.no_grad()
def _points(network: LandmarkNetwork, pixels: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """68 landmarks in px of the picture, of the box that a transform cuts."""
    box = luma(cut(pixels, transform, 64)) * (255 / 256)
    return network(box)[0].numpy() * 64 @ transform[:, :2].T + transform[:, 2]


def _five(points: np.ndarray) -> np.ndarray:
    """Eyes, nose tip and corners of the mouth (5, 2) of 68 landmarks."""
    eyes = [points[36:42].mean(axis=0), points[42:48].mean(axis=0)]
    return np.stack([*eyes, points[30], points[48], points[54]]).astype(np.float32)

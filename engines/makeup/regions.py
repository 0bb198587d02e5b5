"""The regions of makeup: soft masks of a face's parts, drawn from its 68 landmarks.

The painter of the makeup model's training and the method use the same masks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from engines.networks.frame import REGIONS
from engines.networks.landmarks import LandmarkNetwork
from engines.photo.colour import luma

#: Side of the image that masks belong to: the FFHQ crop at a quarter of its size.
SIZE = 256
#: The landmark network's box in it: left, top, right, bottom.  Of a hundred boxes, its points came nearest to
#: the detector's on generated faces (1.6 px).
_BOX = (43, 60, 213, 230)
#: The square of brows, chin and cheeks: top, bottom, left, right.
VIEW = (48, 244, 30, 226)
#: Points of the eyes' outlines, from the outer corner over the upper lid, and of the brows above them.
_EYES = ((36, 37, 38, 39, 40, 41), (45, 44, 43, 42, 47, 46))
_BROWS = ((17, 18, 19, 20, 21), (26, 25, 24, 23, 22))
_JAW, _MOUTH_CORNERS = ((1, 2, 3, 4), (15, 14, 13, 12)), (48, 54)


def view_of(image: Tensor, side: int) -> Tensor:
    """The view of text-image models (N, C, side, side): the square of an aligned face (N, C, 256, 256)."""
    top, bottom, left, right = VIEW
    square = image[:, :, top:bottom, left:right]
    return F.interpolate(square, size=(side, side), mode="bilinear", antialias=True, align_corners=False)


@torch.no_grad()
def locate(network: LandmarkNetwork, image: Tensor) -> Tensor:
    """Landmarks (N, 68, 2), x and y in px, of aligned faces (N, 3, 256, 256), RGB in [0, 1]."""
    left, top, right, bottom = _BOX
    gray = luma(image[:, :, top:bottom, left:right])
    box = F.interpolate(gray, size=(64, 64), mode="bilinear", antialias=True, align_corners=False)
    return network(box * (255 / 256)) * (right - left) + torch.tensor([left, top]).to(image)


def masks(points: np.ndarray) -> np.ndarray:
    """Soft masks (8, 256, 256) in [0, 1] in the order of `REGIONS`, of one face's landmarks (68, 2) in px."""
    p = points.astype(float)
    unit = (
        float(np.linalg.norm(p[36:42].mean(axis=0) - p[42:48].mean(axis=0))) / 64
    )  # 1 on a face seen from the front
    eyes, lips = _filled([p[list(eye)] for eye in _EYES], 0.7), _filled([p[48:60]], unit, hole=p[60:68])
    brows = _stroked([p[list(brow)] for brow in _BROWS], 6 * unit, 1.2 * unit)
    cheeks = [_cheek(p, side) for side in (0, 1)]
    by_region = {
        "lips": lips,
        "shadow": _filled([_lid(p, side) for side in (0, 1)], 2.2 * unit) * (1 - eyes),
        "liner": _stroked([_rim(p, side) for side in (0, 1)], 3.6 * unit, 0.7 * unit),
        "brows": brows,
        "blush": _filled([_oval(cheek, 15 * unit) for cheek in cheeks], 7 * unit),
        "contour": _stroked([_hollow(p, side) for side in (0, 1)], 9 * unit, 4 * unit),
        "highlight": _stroked([p[27:31], *(_cheekbone(p, side) for side in (0, 1))], 4.5 * unit, 2.5 * unit),
        "skin": _filled([_outline(p)], 5 * unit) * (1 - eyes) * (1 - lips) * (1 - 0.8 * brows),
    }
    return np.stack([by_region[region] for region in REGIONS]).astype(np.float32)


def _filled(areas: Sequence[np.ndarray], blur: float, hole: np.ndarray | None = None) -> np.ndarray:
    """Polygons with a hole, if any, and edges that fade over `blur` px: (256, 256) in [0, 1]."""
    image = Image.new("L", (2 * SIZE, 2 * SIZE))
    draw = ImageDraw.Draw(image)
    for area in areas:
        draw.polygon(_doubled(area), fill=255)
    if hole is not None:
        draw.polygon(_doubled(hole), fill=0)
    return _faded(image, blur)


def _stroked(lines: Sequence[np.ndarray], width: float, blur: float) -> np.ndarray:
    """Lines of a width in px, with edges that fade over `blur` px: (256, 256) in [0, 1]."""
    image = Image.new("L", (2 * SIZE, 2 * SIZE))
    draw = ImageDraw.Draw(image)
    for line in lines:
        draw.line(_doubled(line), fill=255, width=max(1, round(2 * width)), joint="curve")
    return _faded(image, blur)


def _doubled(points: np.ndarray) -> list[tuple[float, float]]:
    """Points at twice the size, at which masks are drawn for smooth edges."""
    return [(2 * float(x), 2 * float(y)) for x, y in points]


def _faded(image: Image.Image, blur: float) -> np.ndarray:
    image = image.filter(ImageFilter.GaussianBlur(2 * blur)).resize((SIZE, SIZE), Image.Resampling.BOX)
    return np.asarray(image, np.float32) / 255


def _oval(centre: np.ndarray, radius: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    return centre + radius * np.column_stack((np.cos(angle), 0.75 * np.sin(angle)))


def _lid(p: np.ndarray, side: int) -> np.ndarray:
    """The upper lid: from the rim of the eye over half of the way to the brow."""
    outer, over, under, inner, *_ = p[list(_EYES[side])]
    brow = p[list(_BROWS[side])]
    top = [
        outer + 0.5 * (brow[0] - outer),
        over + 0.6 * (brow[1:3].mean(axis=0) - over),
        under + 0.6 * (brow[2:4].mean(axis=0) - under),
        inner + 0.4 * (brow[4] - inner),
    ]
    return np.array([outer + 0.2 * (outer - inner), *top, inner, under, over])


def _rim(p: np.ndarray, side: int) -> np.ndarray:
    """The lash line of the upper lid, with a short wing past the outer corner."""
    outer, over, under, inner, *_ = p[list(_EYES[side])]
    wing = outer + 0.2 * (outer - inner) + 0.15 * (p[_BROWS[side][0]] - outer)
    return np.array([wing, outer, over, under, inner])


def _cheek(p: np.ndarray, side: int) -> np.ndarray:
    lower_lid = p[list(_EYES[side][4:])].mean(axis=0)
    return 0.34 * lower_lid + 0.33 * p[_MOUTH_CORNERS[side]] + 0.33 * p[_JAW[side][1]]


def _hollow(p: np.ndarray, side: int) -> np.ndarray:
    """Below the cheekbone, from the jaw towards the corner of the mouth."""
    start, corner = p[_JAW[side][1]], p[_MOUTH_CORNERS[side]]
    return np.array([start + 0.12 * (corner - start), start + 0.55 * (corner - start)])


def _cheekbone(p: np.ndarray, side: int) -> np.ndarray:
    outer, cheek = p[_EYES[side][0]], _cheek(p, side)
    return np.array([cheek + 0.5 * (outer - cheek), outer + 0.45 * (p[_JAW[side][0]] - outer)])


def _outline(p: np.ndarray) -> np.ndarray:
    """Jaw and forehead: the brows' points, moved up by the distance of brows and nose."""
    up = 0.9 * (p[27] - p[33])
    return np.concatenate((p[0:17], p[26:21:-1] + up, p[21:16:-1] + up))

"""Face crops: where a recogniser and the generator want a face, and differentiable resampling.

A transform is a (2, 3) float array that maps pixel coordinates of a crop to pixel coordinates of
the picture it is cut from: (x, y) = A @ (u, v, 1).  Coordinates are continuous: the centre of the
top left pixel is (0.5, 0.5).
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

#: Five points in the 112-px crop of ArcFace (Deng et al. 2019, reference implementation).
ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    np.float32,
)

#: The same five points in dlib's 150-px chip (padding .25): mean over 60 generated faces of where
#: dlib's own five-landmark predictor puts them; the spread is 1 to 5 px.
DLIB_POINTS = np.array([[48.2, 45.9], [102.5, 46.1], [75.8, 78.2], [49.7, 101.3], [100.6, 101.7]], np.float32)


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares rotation, uniform scale and shift (2, 3) from points (N, 2) to points (N, 2).

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    1991, equations 40 to 42.
    """
    mean_s, mean_t = source.mean(axis=0), target.mean(axis=0)
    centred = source - mean_s
    u, d, vt = np.linalg.svd((target - mean_t).T @ centred / len(source))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u * sign @ vt
    scale = (d * sign).sum() / centred.var(axis=0).sum()
    return np.column_stack((scale * rotation, mean_t - scale * rotation @ mean_s))


def ffhq_transform(points: np.ndarray, size: int = 1024) -> np.ndarray:
    """Five points of a face -> transform of its FFHQ crop (Karras et al. 2019, appendix A)."""
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    between, down = points[1] - points[0], mouth - eyes
    axis = between - np.array([-down[1], down[0]])
    axis *= max(math.hypot(*between) * 2.0, math.hypot(*down) * 1.8) / math.hypot(*axis)
    other = np.array([-axis[1], axis[0]])
    corner = eyes + 0.1 * down - axis - other
    return np.column_stack((2 * axis / size, 2 * other / size, corner))


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The transform that applies `inner` first, then `outer`."""
    linear = outer[:, :2] @ inner[:, :2]
    return np.column_stack((linear, outer[:, :2] @ inner[:, 2] + outer[:, 2]))


def inverse(transform: np.ndarray) -> np.ndarray:
    """The transform that undoes `transform`."""
    linear = np.linalg.inv(transform[:, :2])
    return np.column_stack((linear, -linear @ transform[:, 2]))


def scale_of(transform: np.ndarray) -> float:
    """Picture pixels that one crop pixel spans."""
    return float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))


def sample(image: Tensor, transform: np.ndarray | Tensor, size: int | tuple[int, int]) -> Tensor:
    """Crops of size (H, W) or (S, S) cut from images (N, C, H, W), bilinear, differentiable.

    `transform` is (2, 3), or (N, 2, 3) for one a crop; a single image may serve many crops.  Where
    a crop pixel spans two picture pixels or more, the picture is first averaged down.  The edge's
    colour goes on outside the picture.
    """
    matrix = torch.as_tensor(np.asarray(transform) if not isinstance(transform, Tensor) else transform)
    matrix = matrix.to(image.dtype).reshape(-1, 2, 3)
    shrink = int(matrix[:, :, :2].detach().det().abs().sqrt().min())  # before a GPU has it: no need to wait
    matrix = matrix.to(image)
    if shrink >= 2:
        image = F.avg_pool2d(image, shrink, ceil_mode=True, count_include_pad=False)
        matrix = matrix / shrink
    height, width = (size, size) if isinstance(size, int) else size
    v, u = torch.meshgrid(
        torch.arange(height, device=image.device) + 0.5,
        torch.arange(width, device=image.device) + 0.5,
        indexing="ij",
    )
    grid = torch.stack((u, v, torch.ones_like(u)), dim=-1).to(image) @ matrix.transpose(1, 2)[:, None]
    grid = grid * (2 / torch.tensor([image.shape[3], image.shape[2]]).to(image)) - 1
    count = max(len(image), len(matrix))
    return F.grid_sample(
        image.expand(count, -1, -1, -1),
        grid.expand(count, -1, -1, -1),
        padding_mode="border",
        align_corners=False,
    )

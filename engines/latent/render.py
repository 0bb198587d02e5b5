"""Putting a rendered face back into its photo, at the photo's own resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.config import Render
from engines.face import align
from engines.face.crop import AlignedFace
from engines.networks.frame import MASK_WINDOW, face_mask
from engines.photo.colour import luma

#: Rows of the photo that are blended at a time; this bounds memory on large photos.
_BAND = 512


@dataclass(frozen=True)
class Rendering:
    """A layer over a face: photo * (1 - cover) + light, both over `MASK_WINDOW`.

    `light` is (N, 3, H, W) in units of [0, 1] colour, `cover` is (N, 1, H, W).  For residual rendering the
    cover is 0 everywhere: the photo keeps its own pixels, and only a difference is added.
    """

    light: Tensor
    cover: Tensor

    def __getitem__(self, face: int) -> Rendering:
        return Rendering(self.light[face : face + 1], self.cover[face : face + 1])


def render(kind: Render, image: Tensor, pivot_image: Tensor, *, gray: bool) -> Rendering:
    """The rendering of a searched latent's and a pivot's images (N, 3, H, W) in [-1, 1].

    `residual` (ours): mask * (G(w') - G(w_pivot)).  `generator` (the paper's): mask * G(w').  A gray
    photo stays gray.  Differentiable, at full size or at a fraction of it.
    """
    mask = face_mask(image.device)
    mask = F.avg_pool2d(mask, mask.shape[-1] // image.shape[-1]).expand(len(image), -1, -1, -1)
    if kind == "residual":
        light, cover = mask * (image - pivot_image) / 2, torch.zeros_like(mask)
    else:
        light, cover = mask * (image + 1) / 2, mask
    return Rendering(luma(light).expand(-1, 3, -1, -1) if gray else light, cover)


def enlarge(rendering: Rendering, factor: int) -> Rendering:
    """A rendering interpolated to `factor` times its size.

    A residual is rendered at the size of the search.  The generator's finer detail was never judged by a
    loss, and shows as a fine grid.
    """
    size = [factor * side for side in rendering.light.shape[2:]]
    light = F.interpolate(rendering.light, size=size, mode="bicubic", align_corners=False)
    return Rendering(light, F.interpolate(rendering.cover, size=size, mode="bilinear", align_corners=False))


def lay_over(crop: Tensor, rendering: Rendering) -> Tensor:
    """A rendering over `MASK_WINDOW` of crops (N, 3, S, S) in [0, 1], S = 1024 or a fraction."""
    scale = 1024 // crop.shape[-1]
    rows, columns = (slice(s.start // scale, s.stop // scale) for s in MASK_WINDOW.pixels)
    result = crop.clone()
    result[:, :, rows, columns] = crop[:, :, rows, columns] * (1 - rendering.cover) + rendering.light
    return result.clamp(0, 1)


def composite(pixels: np.ndarray, face: AlignedFace, rendering: Rendering) -> np.ndarray:
    """The photo (H, W, 3) uint8 with one face's rendering warped into it; the rest is the same bytes."""
    overlay = torch.cat((rendering.light, rendering.cover), dim=1).cpu()
    rows, columns = MASK_WINDOW.pixels
    to_window = np.array([[1.0, 0, -columns.start], [0, 1.0, -rows.start]])
    inverse = align.compose(to_window, align.inverse(face.transform))
    left, top, right, bottom = _bounds(face.transform, pixels.shape)
    result = pixels.copy()
    for start in range(top, bottom, _BAND):
        stop = min(start + _BAND, bottom)
        shifted = align.compose(inverse, np.array([[1.0, 0, left], [0, 1.0, start]]))
        warped = align.sample(overlay, shifted, (stop - start, right - left))[0].permute(1, 2, 0).numpy()
        band = pixels[start:stop, left:right].astype(np.float32)
        blended = band * (1 - warped[:, :, 3:]) + warped[:, :, :3] * 255
        result[start:stop, left:right] = np.rint(np.clip(blended, 0, 255)).astype(np.uint8)
    return result


def _bounds(transform: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the photo's part that the mask's window covers."""
    rows, columns = MASK_WINDOW.pixels
    corners = np.array([[x, y] for x in (columns.start, columns.stop) for y in (rows.start, rows.stop)])
    corners = corners @ transform[:, :2].T + transform[:, 2]
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (shape[1], shape[0]))
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, (shape[1], shape[0]))
    return int(left), int(top), int(right), int(bottom)

"""Faces and their five points by the cascade of MTCNN (Zhang et al. 2016), the paper's detector."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engines.networks.mtcnn import MTCNN

#: Photos are searched at this longest side, in pixels: a 50-megapixel photo costs no more than it.
MAX_SIDE = 1280
#: Smallest face side that is looked for, in pixels of the searched photo.
MIN_FACE = 24
#: Step between two levels of the image pyramid, and the three networks' thresholds (section 3).
PYRAMID_STEP = 0.709
THRESHOLDS = (0.6, 0.7, 0.9)
#: Crops of the second and third network, a call: bounds memory on photos of crowds.
BATCH = 256


@dataclass(frozen=True)
class Face:
    """One face found in a photo, in pixels of that photo.

    `box` is (left, top, right, bottom); `points` is (5, 2) float32, x then y: the person's right
    eye, left eye, nose tip, right and left corner of the mouth, so from left to right in the photo.
    """

    box: tuple[float, float, float, float]
    points: np.ndarray
    confidence: float

    @property
    def size(self) -> float:
        """Longer side of the box in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the box, x and y in pixels."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2

    def part_of(self, pixels: np.ndarray) -> np.ndarray:
        """The part of a photo (H, W, 3) that the box covers; at least one pixel."""
        left, top, right, bottom = (max(0, round(v)) for v in self.box)
        return pixels[top : max(bottom, top + 1), left : max(right, left + 1)]


@torch.inference_mode()
def detect(network: MTCNN, pixels: np.ndarray) -> list[Face]:
    """Faces of an RGB photo (H, W, 3) uint8, largest first; an empty list where there is none."""
    height, width = pixels.shape[:2]
    shrink = min(1.0, MAX_SIDE / max(height, width))
    image = Image.fromarray(pixels)
    if shrink < 1:
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    boxes = _propose(network, image)
    boxes = _refine(network, image, boxes)
    boxes, points = _locate(network, image, boxes)
    scale = np.array([width / image.width, height / image.height], np.float32)
    faces = [
        Face(
            tuple((box[:4].reshape(2, 2) * scale).ravel().tolist()),
            (p * scale).astype(np.float32),
            float(box[4]),
        )
        for box, p in zip(boxes, points, strict=True)
    ]
    return sorted(faces, key=lambda face: face.size, reverse=True)


def find_again(network: MTCNN, pixels: np.ndarray, face: Face) -> Face | None:
    """The face that the detector finds in a changed photo (H, W, 3) uint8 where `face` was, or None.

    A recogniser aligns the face that it finds, not the one that we know of.
    """

    def distance(other: Face) -> float:
        return math.dist(other.centre, face.centre)

    nearest = min(detect(network, pixels), key=distance, default=None)
    return nearest if nearest is not None and distance(nearest) < face.size / 2 else None


def _propose(network: MTCNN, image: Image.Image) -> np.ndarray:
    """First network over an image pyramid -> square boxes (N, 5): corners and probability."""
    scale, levels = 12 / MIN_FACE, [np.zeros((0, 9), np.float32)]
    while min(image.size) * scale >= 12:
        size = int(np.ceil(image.width * scale)), int(np.ceil(image.height * scale))
        probability, offsets = network.pnet(_tensor(image.resize(size, Image.Resampling.BILINEAR))[None])
        x, y = torch.nonzero(probability[0] >= THRESHOLDS[0], as_tuple=True)
        corners = torch.stack((2 * x, 2 * y, 2 * x + 12, 2 * y + 12), dim=1) / scale
        level = torch.cat((corners, probability[0, x, y, None], offsets[0, :, x, y].T), dim=1).numpy()
        levels.append(level[_suppress(level, 0.5)])
        scale *= PYRAMID_STEP
    boxes = np.concatenate(levels)
    boxes = boxes[_suppress(boxes, 0.7)]
    return _square(_shift(boxes[:, :5], boxes[:, 5:]))


def _refine(network: MTCNN, image: Image.Image, boxes: np.ndarray) -> np.ndarray:
    """Second network: drops most boxes and moves the rest."""
    outputs = [network.rnet(crops) for crops in _crops(image, boxes, 24)]
    if not outputs:
        return boxes
    probability, offsets = (torch.cat(part).numpy() for part in zip(*outputs, strict=True))
    keep = probability > THRESHOLDS[1]
    boxes = np.column_stack((boxes[keep, :4], probability[keep]))
    offsets = offsets[keep]
    picked = _suppress(boxes, 0.7)
    return _square(_shift(boxes[picked], offsets[picked]))


def _locate(network: MTCNN, image: Image.Image, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Third network: final boxes (N, 5) and their points (N, 5, 2)."""
    outputs = [network.onet(crops) for crops in _crops(image, boxes, 48)]
    if not outputs:
        return boxes, np.zeros((0, 5, 2), np.float32)
    probability, offsets, points = (torch.cat(part).numpy() for part in zip(*outputs, strict=True))
    keep = probability > THRESHOLDS[2]
    boxes, offsets = np.column_stack((boxes[keep, :4], probability[keep])), offsets[keep]
    sides = boxes[:, None, 2:4] - boxes[:, None, :2]
    located = boxes[:, None, :2] + points[keep].reshape(-1, 2, 5).transpose(0, 2, 1) * sides
    boxes = _shift(boxes, offsets)
    picked = _suppress(boxes, 0.7, of_smaller=True)
    return boxes[picked], located[picked]


def _tensor(image: Image.Image) -> Tensor:
    """RGB image -> (3, W, H) in [-1, 1], transposed as the weights want it."""
    return (torch.from_numpy(np.array(image, np.float32)) - 127.5).mul_(1 / 128).permute(2, 1, 0)


def _crops(image: Image.Image, boxes: np.ndarray, size: int) -> list[Tensor]:
    """Batches (N, 3, size, size) of the boxes' contents, black outside the photo."""
    corners = np.round(boxes[:, :4]).astype(int).tolist()
    tensors = [_tensor(image.crop(tuple(c)).resize((size, size), Image.Resampling.BILINEAR)) for c in corners]
    return [torch.stack(tensors[i : i + BATCH]) for i in range(0, len(tensors), BATCH)]


def _shift(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Boxes moved by offsets given in fractions of their sides."""
    sides = np.tile(boxes[:, 2:4] - boxes[:, :2], 2)
    return np.column_stack((boxes[:, :4] + offsets * sides, boxes[:, 4]))


def _square(boxes: np.ndarray) -> np.ndarray:
    """Boxes grown to squares around their centres; empty ones are dropped."""
    half = (boxes[:, 2:4] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    centre = (boxes[:, :2] + boxes[:, 2:4]) / 2
    return np.column_stack((centre - half, centre + half, boxes[:, 4]))[half[:, 0] >= 1]


def _suppress(boxes: np.ndarray, limit: float, *, of_smaller: bool = False) -> np.ndarray:
    """Indices that survive non-maximum suppression, most probable first.

    Overlap is counted against the union of two boxes, or against the smaller one.
    """
    area = np.prod(np.maximum(boxes[:, 2:4] - boxes[:, :2], 0), axis=1)
    order, keep = np.argsort(-boxes[:, 4], kind="stable"), []
    while order.size:
        first, rest = order[0], order[1:]
        keep.append(first)
        corner = np.maximum(boxes[first, :2], boxes[rest, :2])
        opposite = np.minimum(boxes[first, 2:4], boxes[rest, 2:4])
        shared = np.prod(np.maximum(opposite - corner, 0), axis=1)
        whole = np.minimum(area[first], area[rest]) if of_smaller else area[first] + area[rest] - shared
        order = rest[shared <= limit * np.maximum(whole, 1e-9)]
    return np.array(keep, dtype=int)

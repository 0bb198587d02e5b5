"""Real inputs of every network, from the photo of an astronaut in scikit-image."""

from __future__ import annotations

import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from engines.face.crop import AlignedFace, cut
from engines.face.detect import Face, detect
from engines.face.recognise import Recogniser
from engines.makeup.regions import view_of
from engines.networks.frame import quarter
from engines.stack import Stack

#: Typical prompts.
SENTENCES = ("red lipstick", "dark smoky eyes with a soft natural blush", "no makeup")


def photo() -> np.ndarray:
    """The photo (512, 512, 3), uint8 RGB."""
    return skimage.data.astronaut()


def detected_face(stack: Stack) -> Face:
    """The face in the photo."""
    return detect(stack.detector, photo())[0]


def face_crop(stack: Stack) -> Tensor:
    """The aligned face (1, 3, 1024, 1024) in [-1, 1]."""
    return AlignedFace.cut(photo(), detected_face(stack), torch.device("cpu")).crop


def face_view(stack: Stack, side: int) -> Tensor:
    """The face as the text-image model sees it, (1, 3, side, side) in [0, 1]."""
    return view_of(quarter(face_crop(stack)), side)


def recogniser_crops(stack: Stack, recogniser: Recogniser) -> Tensor:
    """The face in a recogniser's crop, mirrored, and 4 px off: (3, 3, S, S), normalised."""
    points = detected_face(stack).points
    exact, shifted = (
        cut(photo(), recogniser.crop_transform(p), recogniser.size) for p in (points, points + 4)
    )
    crops = (exact, exact.flip(3), shifted)
    return recogniser.normalised(torch.cat(crops))


def gray_face(stack: Stack) -> Tensor:
    """The face's box (1, 1, 64, 64) in [0, 1)."""
    return torch.from_numpy(np.array(_box(stack, 64).convert("L"), np.float32))[None, None] / 256


def detector_crops(stack: Stack, side: int) -> Tensor:
    """The face's box (1, 3, side, side) in [-1, 1], transposed."""
    return _transposed(_box(stack, side))


def pyramid_level() -> Tensor:
    """The photo at half its size, (1, 3, 256, 231): an even and an odd side."""
    return _transposed(Image.fromarray(photo()).resize((256, 231)))


def _box(stack: Stack, side: int) -> Image.Image:
    left, top, right, bottom = (round(v) for v in detected_face(stack).box)
    return Image.fromarray(photo()).crop((left, top, right, bottom)).resize((side, side))


def _transposed(image: Image.Image) -> Tensor:
    return ((torch.from_numpy(np.array(image, np.float32)) - 127.5) / 128).permute(2, 1, 0)[None].contiguous()

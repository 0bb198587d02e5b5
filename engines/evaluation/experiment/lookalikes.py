"""Look-alikes: generated people near a face's pivot, so of the same apparent age, sex and descent.

They stand for the strangers with whom a recogniser confuses a person most.  One threshold for everybody takes
nearly all strangers of some groups for one person; the scores of look-alikes show where a person's own
threshold lies.
"""

from __future__ import annotations

import numpy as np
import torch

from engines.errors import NoFaceError
from engines.face.crop import AlignedFace
from engines.face.detect import Face, detect
from engines.face.recognise import Identity, identity_of_face, joined
from engines.latent.invert import invert
from engines.networks.generator import W_DIM
from engines.stack import Stack

#: Distance of a look-alike from the pivot, in parts of the latents' spread, and the part of the offset that
#: all rows share.  At 1 look-alikes are somewhat more like most people than real strangers are, and
#: nearly all are found as faces (docs/EXPERIMENTS.md).
DISTANCE, COMMON = 1.0, 0.8
#: Generated at a time, and how many a face may take at most for each that is asked for: in some of them the
#: detector finds no face.
_BATCH, _ATTEMPTS = 4, 3


@torch.no_grad()
def look_alikes(stack: Stack, pixels: np.ndarray, face: Face, count: int, seed: int = 0) -> Identity:
    """`count` look-alikes (count, D) of a face of a photo (H, W, 3) uint8, the same for the same seed.

    Raises NoFaceError where the generator draws too few of them as faces.
    """
    crop = AlignedFace.cut(pixels, face, stack.device).crop
    with torch.enable_grad():
        pivot = invert(stack.preview, crop, encoder=stack.encoder)
    dice = torch.Generator().manual_seed(seed)
    layout, spread = stack.preview.layout, stack.preview.spread.to(pivot)
    people: list[Identity] = []
    for _ in range(0, _ATTEMPTS * count, _BATCH):
        common = torch.randn(_BATCH, 1, W_DIM, generator=dice)
        own = torch.randn(_BATCH, layout.rows, W_DIM, generator=dice)
        white = DISTANCE * (COMMON * common + (1 - COMMON**2) ** 0.5 * own)
        # Another person has another shape; the pose, in the first row, and the light, in the last ones, stay.
        white[:, : layout.acting[1]] = 0
        white[:, layout.free[-1] + 1 :] = 0
        for image in stack.preview.small(pivot + white.to(pivot) @ spread):
            drawn = ((image.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
            faces = detect(stack.detector, drawn)
            if faces:
                people.append(identity_of_face(stack.recognisers.values(), drawn, faces[0]))
        if len(people) >= count:
            return joined(people[:count])
    raise NoFaceError("the generator draws no look-alikes of this face: give a photo that shows it larger")

"""What a prompt asks of faces: a direction in a text-image model, and the parts that may follow it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.errors import ConfigError
from engines.face import AlignedFace
from engines.losses.text import directional
from engines.networks.landmarks import LandmarkNetwork
from engines.networks.makeup_clip import MakeupClip
from engines.palette import PALETTE, colours_of, cover, light_of
from engines.prompts import TEMPLATES, resolve
from engines.regions import REGIONS, Region, locate, masks, view_of
from engines.textimage import TextImageModel

#: A region counts as spoken of above this probability.
_SPOKEN = 0.5
#: How far the corners of a view may be moved, in parts of its side.
_PERSPECTIVE = 0.06
#: How densely a colour of the palette is tried.
_OPACITIES = (0.45, 0.85)
#: Tints are measured with this much ridge: two regions that all but coincide share theirs.
_RIDGE = 1e-3
#: How far makeup goes from the photo's colour, as a length in RGB of [-1, 1]: what covers more covers thinner.
TINT_LIMITS: dict[Region, float] = {
    "lips": 0.7, "shadow": 0.7, "liner": 0.8, "brows": 0.6, "blush": 0.4, "contour": 0.4, "highlight": 0.5, "skin": 0.3,
}  # fmt: skip


@dataclass(frozen=True)
class Guidance:
    """A prompt for N faces.

    `prompt` (D,) is its embedding, `wanted` (D,) the text's way, from the source's embedding to it;
    `regions` (N, R, 256, 256) are the masks of the R regions that the prompt speaks of, `names` what these are.
    """

    model: TextImageModel
    prompt: Tensor
    wanted: Tensor
    regions: Tensor
    names: tuple[Region, ...]

    @property
    def where(self) -> Tensor:
        """Where makeup may be (N, 1, 256, 256) in [0, 1]."""
        return self.regions.amax(dim=1, keepdim=True)

    def makeup(self, photo: Tensor) -> Tensor:
        """What the makeup changes (N, 3, 256, 256), in RGB of [-1, 1], of faces (N, 3, 256, 256) in [0, 1]."""
        return (self.tints(photo).transpose(1, 2) @ self.regions.flatten(2)).view_as(photo)

    @torch.no_grad()
    def tints(self, photo: Tensor) -> Tensor:
        """The tints (N, R, 3), in RGB of [-1, 1], of the colours of the palette that read most like the prompt.

        A text-image model knows makeup from bare skin by its whole look; the slope at bare skin says little
        about colour.  So every colour is laid on plainly in turn, region by region, and the best one stays.
        """
        views, masks = (view_of(x, self.model.side) for x in (photo, self.regions))
        light = light_of(views, masks.amax(dim=1, keepdim=True))
        best: list[list[Worn]] = [[None] * masks.shape[1] for _ in photo]
        for _ in range(2 if masks.shape[1] > 1 else 1):
            for i, region in enumerate(self.names):
                tried = [(torch.tensor(PALETTE[c]).to(photo) / 255, o) for c in colours_of(region) for o in _OPACITIES]
                scores = torch.stack([
                    self._reads(views, masks, light, [[*b[:i], choice, *b[i + 1 :]] for b in best]) for choice in tried
                ])  # fmt: skip
                for face, choice in enumerate(scores.argmax(dim=0).tolist()):
                    best[face][i] = tried[choice]
        change = 2 * (_laid_on(views, masks, light, best) - views)
        found = tints(change, masks)
        limits = torch.tensor([TINT_LIMITS[name] for name in self.names]).to(photo)[:, None]
        return found * (limits / torch.maximum(found.norm(dim=2, keepdim=True), limits))

    def _reads(self, views: Tensor, masks: Tensor, light: Tensor, worn: list[list[Worn]]) -> Tensor:
        """How much faces (N,) with that makeup read like the prompt."""
        return self.model.images(_laid_on(views, masks, light, worn)) @ self.prompt

    def loss(self, protected: Tensor, photo: Tensor, views: Sequence[Tensor]) -> Tensor:
        """The text term (N,) of faces (N, 3, 256, 256) in [0, 1], against the photo's; a grid for each view."""
        seen = self._embed(protected, views)
        with torch.no_grad():
            start = self._embed(photo, views)
        return directional(seen, start, self.wanted)

    def _embed(self, faces: Tensor, views: Sequence[Tensor]) -> Tensor:
        square = view_of(faces, self.model.side)
        looks = [F.grid_sample(square, v.expand(len(faces), -1, -1, -1), padding_mode="border", align_corners=False)
                 for v in views]  # fmt: skip
        return self.model.images(torch.cat(looks)).unflatten(0, (len(views), len(faces)))


class Prompter:
    """Reads prompts, and remembers what it has read."""

    def __init__(self, model: TextImageModel, makeup: MakeupClip, landmarks: LandmarkNetwork) -> None:
        """`makeup` says which regions a prompt speaks of, whatever model guides."""
        self.model, self.makeup, self.landmarks = model, makeup, landmarks
        self._directions = lru_cache(64)(self._direction)

    def guide(self, faces: Sequence[AlignedFace], prompt: str, source: str) -> Guidance:
        """The guidance of a prompt for faces.  Raises ConfigError for a prompt that speaks of no makeup."""
        prompted, wanted, spoken = self._directions(resolve(prompt), resolve(source))
        image = F.avg_pool2d(torch.cat([face.crop for face in faces]), 4) / 2 + 0.5
        points = locate(self.landmarks, image).cpu().numpy()
        drawn = torch.stack([torch.from_numpy(masks(p)) for p in points])
        names = tuple(REGIONS[i] for i in spoken)
        return Guidance(self.model, prompted, wanted, drawn[:, list(spoken)].to(image), names)

    def _direction(self, prompt: str, source: str) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        """The prompt (D,), the way to it from the source text (D,), and the regions that the prompt speaks of."""
        with torch.no_grad():
            spoken = self.makeup.regions(self.makeup.read([prompt]))[0].sigmoid()
        found = tuple(i for i in range(len(REGIONS)) if float(spoken[i]) > _SPOKEN)
        if not found:
            raise ConfigError(
                "the prompt names no makeup that is known here: say what and where in English, as in 'red lipstick'"
                " or 'dark smoky eyes' (`clip2protect prompts list` shows more)"
            )
        prompted = self._ensemble(prompt)
        return prompted, prompted - self._ensemble(source), found

    def _ensemble(self, text: str) -> Tensor:
        return F.normalize(self.model.texts([t.format(text) for t in TEMPLATES]).mean(dim=0), dim=0)


#: A colour in [0, 1] and its opacity, or none.
Worn = tuple[Tensor, float] | None


def _laid_on(views: Tensor, masks: Tensor, light: Tensor, worn: list[list[Worn]]) -> Tensor:
    faces = []
    for n, layers in enumerate(worn):
        face = views[n : n + 1]
        for region, layer in enumerate(layers):
            if layer is not None:
                colour, opacity = layer
                plain = torch.zeros(1).to(face)
                mask = masks[n : n + 1, region : region + 1]
                face = cover(face, mask, colour[None], plain + opacity, light[n : n + 1], plain)
        faces.append(face)
    return torch.cat(faces)


def tints(change: Tensor, regions: Tensor) -> Tensor:
    """The colours (N, R, 3), one a region, that make up most of a change (N, 3, H, W).

    By least squares over the regions' masks (N, R, H, W).
    """
    flat, colours = regions.flatten(2), change.flatten(2)
    gram = flat @ flat.transpose(1, 2)
    ridge = _RIDGE * torch.diag_embed(torch.diagonal(gram, dim1=1, dim2=2)) + torch.eye(gram.shape[1]).to(gram) * 1e-6
    return torch.linalg.solve(gram + ridge, flat @ colours.transpose(1, 2))


def perspective(chance: random.Random, side: int) -> Tensor:
    """A grid (1, side, side, 2) that looks at a square from a little elsewhere: its corners are moved."""
    corners = torch.tensor([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
    moved = corners + torch.tensor([[2 * chance.uniform(-_PERSPECTIVE, _PERSPECTIVE) for _ in "xy"] for _ in range(4)])
    # The homography that takes the corners to where they were moved: eight unknowns, eight equations.
    rows, wanted = [], []
    for (x, y), (u, v) in zip(corners.tolist(), moved.tolist(), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    homography = torch.linalg.solve(torch.tensor(rows), torch.tensor(wanted))
    matrix = torch.cat((homography, torch.ones(1))).view(3, 3)
    axis = (torch.arange(side) + 0.5) * 2 / side - 1
    points = torch.stack((*torch.meshgrid(axis, axis, indexing="xy"), torch.ones(side, side)), dim=-1) @ matrix.T
    return (points[..., :2] / points[..., 2:])[None]

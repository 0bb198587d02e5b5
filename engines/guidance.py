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
from engines.palette import DENSITY, colours_of, light_of, tint
from engines.prompts import TEMPLATES, resolve
from engines.regions import REGIONS, Region, locate, masks, view_of
from engines.textimage import TextImageModel

#: A region counts as spoken of above this probability.
_SPOKEN = 0.5
#: How far the corners of a view may be moved, in parts of its side.
_PERSPECTIVE = 0.06
#: How densely a colour of the palette is tried, in parts of what the region wears at most.
_DENSITIES = (0.5, 1.0)

#: A colour of the palette and its density in [0, 1], or none.
Worn = tuple[str, float] | None


@dataclass(frozen=True)
class Guidance:
    """A prompt for N faces.

    `prompt` (D,) is its embedding, `wanted` (D,) the text's way, from the source's embedding to it;
    `regions` (N, R, 256, 256) are the masks of the R regions that the prompt speaks of, `names` what these are;
    `light` (N,) says how brightly the faces are lit.
    """

    model: TextImageModel
    prompt: Tensor
    wanted: Tensor
    regions: Tensor
    names: tuple[Region, ...]
    light: Tensor

    def makeup(self, photo: Tensor) -> Tensor:
        """What the makeup changes (N, 3, 256, 256), in RGB of [-1, 1], of faces (N, 3, 256, 256) in [0, 1]."""
        return 2 * (self._wear(photo, self.regions, self.choose(photo)) - photo)

    @torch.no_grad()
    def choose(self, photo: Tensor) -> list[list[Worn]]:
        """What reads most like the prompt: a colour and its density for every face and region.

        A text-image model knows makeup from bare skin by its whole look; the slope at bare skin says little
        about colour.  So every colour of the palette is laid on in turn, region by region, and the best one stays.
        """
        views, masks = (view_of(x, self.model.side) for x in (photo, self.regions))
        best: list[list[Worn]] = [[None] * len(self.names) for _ in photo]
        for _ in range(2 if len(self.names) > 1 else 1):
            for i, region in enumerate(self.names):
                tried = [(c, d * DENSITY[region]) for c in colours_of(region) for d in _DENSITIES]
                scores = torch.stack([
                    self._reads(views, masks, [[*b[:i], choice, *b[i + 1 :]] for b in best]) for choice in tried
                ])  # fmt: skip
                for face, choice in enumerate(scores.argmax(dim=0).tolist()):
                    best[face][i] = tried[choice]
        return best

    def _reads(self, views: Tensor, masks: Tensor, worn: list[list[Worn]]) -> Tensor:
        """How much faces (N,) with that makeup read like the prompt."""
        return self.model.images(self._wear(views, masks, worn)) @ self.prompt

    def _wear(self, faces: Tensor, masks: Tensor, worn: list[list[Worn]]) -> Tensor:
        """Faces (N, 3, H, W) in [0, 1] with makeup on, through the masks (N, R, H, W) of the prompt's regions."""
        made_up = []
        for n, layers in enumerate(worn):
            face, light = faces[n : n + 1], self.light[n : n + 1]
            for i, layer in enumerate(layers):
                if layer is not None:
                    name, density = layer
                    mask = masks[n : n + 1, i : i + 1]
                    face = tint(face, mask, self.names[i], name, torch.full_like(light, density), light)
            made_up.append(face)
        return torch.cat(made_up)

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
        self._known = lru_cache(64)(self._read)

    def guide(self, faces: Sequence[AlignedFace], prompt: str, source: str) -> Guidance:
        """The guidance of a prompt for faces.  Raises ConfigError as `direction` does."""
        prompted, wanted, spoken = self.direction(prompt, source)
        image = F.avg_pool2d(torch.cat([face.crop for face in faces]), 4) / 2 + 0.5
        points = locate(self.landmarks, image).cpu().numpy()
        drawn = torch.stack([torch.from_numpy(masks(p)) for p in points]).to(image)
        light = light_of(image, drawn[:, REGIONS.index("skin")][:, None])
        names = tuple(REGIONS[i] for i in spoken)
        return Guidance(self.model, prompted, wanted, drawn[:, list(spoken)], names, light)

    def direction(self, prompt: str, source: str) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        """The prompt (D,), the way to it from the source text (D,), and the regions that the prompt speaks of.

        Raises ConfigError for a prompt without words or with too many, and for one that speaks of no makeup.
        """
        return self._known(resolve(prompt), resolve(source))

    def _read(self, prompt: str, source: str) -> tuple[Tensor, Tensor, tuple[int, ...]]:
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

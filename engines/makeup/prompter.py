"""What a prompt asks of faces: a direction in a text-image model, and the parts that may follow it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.errors import ConfigError
from engines.face.crop import AlignedFace
from engines.makeup.palette import DENSITY, PALETTE, colours_of, cover, light_of, tint
from engines.makeup.presets import TEMPLATES, resolve
from engines.makeup.regions import locate, masks, view_of
from engines.makeup.text_image import TextImageModel
from engines.makeup.text_loss import directional
from engines.networks.frame import REGIONS, Region
from engines.networks.landmarks import LandmarkNetwork
from engines.networks.makeup_clip import MakeupClip

#: A region counts as spoken of above this probability.
_SPOKEN = 0.5
#: How far the corners of a view may be moved, in parts of its side.
_PERSPECTIVE = 0.06
#: How densely a colour of the palette is tried: parts of what a region wears at most.
_DENSITIES = (0.5, 1.0)
#: Opacity of the densest when it is read, and gloss: as the model's training has them in the mean.
_OPACITY, _GLOSS = 0.8, 0.3

#: What a colour is called in a region: what a prompt says counts beside what a face with it looks like, so much.
_CALLED: dict[Region, str] = {
    "lips": "{} lipstick",
    "shadow": "{} eyeshadow",
    "liner": "{} eyeliner",
    "brows": "{} eyebrows",
    "blush": "{} blush",
    "contour": "{} contour",
    "highlight": "{} highlighter",
    "skin": "{} skin",
}
_SAID = 0.5
#: Where a prompt is taken apart, if each of its parts says a region: words bind loosely in a mean over words.
_CLAUSES = re.compile(r"[,;]| and | plus ")
#: Words that ask for little, and how much of its density makeup then has: a model that names what it sees says
#: nothing about how much of it there should be.
_LIGHTLY = re.compile(
    r"\b(natural|light|subtle|soft|sheer|discreet|simple|everyday|minimal|a bit|a touch)\b", re.I
)
_LITTLE = 0.4

#: A colour of the palette and its density in [0, 1], or none.
Worn = tuple[str, float] | None
#: How one layer is laid on: face, mask, region, colour, density, light -> face.
Lay = Callable[[Tensor, Tensor, Region, str, float, Tensor], Tensor]


@dataclass(frozen=True)
class Reading:
    """A prompt, read: what it says of which regions.

    `wanted` (D,) is the text's way, from the source's embedding to the prompt's.  `names` are the R regions that it
    speaks of, `prompts` (R, D) the embedding of what it says of each, `said` R times how near (C,) to that the
    name of every colour is that the region has, and `strength` R times how much of it there should be, in [0, 1].
    """

    wanted: Tensor
    names: tuple[Region, ...]
    prompts: Tensor
    said: tuple[Tensor, ...]
    strength: tuple[float, ...]


@dataclass(frozen=True)
class Guidance:
    """A prompt for N faces.

    `regions` (N, R, 256, 256) are the masks of the R regions that the prompt speaks of, `light` (N,) says how
    brightly the faces are lit.
    """

    model: TextImageModel
    reading: Reading
    regions: Tensor
    light: Tensor

    def makeup(self, photo: Tensor) -> Tensor:
        """What the makeup changes (N, 3, 256, 256), in RGB of [-1, 1], of faces (N, 3, 256, 256) in [0, 1]."""
        worn: list[list[Worn]] = [
            [
                layer and (layer[0], layer[1] * part)
                for layer, part in zip(layers, self.reading.strength, strict=True)
            ]
            for layers in self.choose(photo)
        ]
        return 2 * (self._made_up(photo, self.regions, worn, _tinted) - photo)

    @torch.no_grad()
    def choose(self, photo: Tensor) -> list[list[Worn]]:
        """What reads most like the prompt: a colour and its density for every face and region.

        A text-image model knows makeup from bare skin by its whole look; the slope at bare skin says little
        about colour.  So every colour of the palette is laid on in turn, region by region, and the best one stays:
        painted over, as the model's training has it, while what is worn is a tint.
        """
        views, masks = (view_of(x, self.model.side) for x in (photo, self.regions))
        names = self.reading.names
        best: list[list[Worn]] = [[None] * len(names) for _ in photo]
        for _ in range(2 if len(names) > 1 else 1):
            for i, region in enumerate(names):
                tried = [(c, d) for c in colours_of(region) for d in _DENSITIES]
                looks = [[[*worn[:i], layer, *worn[i + 1 :]] for worn in best] for layer in tried]
                seen = torch.stack(
                    [self.model.images(self._made_up(views, masks, look, _painted)) for look in looks]
                )
                said = self.reading.said[i].repeat_interleave(len(_DENSITIES))
                scores = seen @ self.reading.prompts[i] + _SAID * said[:, None]
                for face, choice in enumerate(scores.argmax(dim=0).tolist()):
                    best[face][i] = tried[choice]
        return best

    def _made_up(self, faces: Tensor, masks: Tensor, worn: list[list[Worn]], lay: Lay) -> Tensor:
        """Faces (N, 3, H, W) in [0, 1] with makeup on, through the masks (N, R, H, W) of the prompt's regions."""
        done = []
        for n, layers in enumerate(worn):
            face, light = faces[n : n + 1], self.light[n : n + 1]
            for i, layer in enumerate(layers):
                if layer is not None:
                    name, density = layer
                    face = lay(face, masks[n : n + 1, i : i + 1], self.reading.names[i], name, density, light)
            done.append(face)
        return torch.cat(done)

    def loss(self, protected: Tensor, photo: Tensor, views: Sequence[Tensor]) -> Tensor:
        """The text term (N,) of faces (N, 3, 256, 256) in [0, 1], against the photo's; a grid for each view."""
        seen = self._embed(protected, views)
        with torch.no_grad():
            start = self._embed(photo, views)
        return directional(seen, start, self.reading.wanted)

    def _embed(self, faces: Tensor, views: Sequence[Tensor]) -> Tensor:
        square = view_of(faces, self.model.side)
        looks = [
            F.grid_sample(
                square, v.expand(len(faces), -1, -1, -1), padding_mode="border", align_corners=False
            )
            for v in views
        ]
        return self.model.images(torch.cat(looks)).unflatten(0, (len(views), len(faces)))


def _painted(face: Tensor, mask: Tensor, region: Region, name: str, density: float, light: Tensor) -> Tensor:
    colour, plain = torch.tensor(PALETTE[name]).to(face)[None] / 255, torch.ones_like(light)
    return cover(face, mask, colour, _OPACITY * density * plain, light, _GLOSS * plain)


def _tinted(face: Tensor, mask: Tensor, region: Region, name: str, density: float, light: Tensor) -> Tensor:
    return tint(face, mask, region, name, torch.full_like(light, density * DENSITY[region]), light)


class Prompter:
    """Reads prompts, and remembers what it has read."""

    def __init__(self, model: TextImageModel, makeup: MakeupClip, landmarks: LandmarkNetwork) -> None:
        """`makeup` says which regions a prompt speaks of, whatever model guides."""
        self.model, self.makeup, self.landmarks = model, makeup, landmarks
        self._known = lru_cache(64)(self._read)

    def guide(self, faces: Sequence[AlignedFace], prompt: str, source: str) -> Guidance:
        """The guidance of a prompt for faces.  Raises ConfigError as `read` does."""
        reading = self.read(prompt, source)
        image = F.avg_pool2d(torch.cat([face.crop for face in faces]), 4) / 2 + 0.5
        points = locate(self.landmarks, image).cpu().numpy()
        drawn = torch.stack([torch.from_numpy(masks(p)) for p in points]).to(image)
        light = light_of(image, drawn[:, REGIONS.index("skin")][:, None])
        return Guidance(self.model, reading, drawn[:, [REGIONS.index(name) for name in reading.names]], light)

    def read(self, prompt: str, source: str) -> Reading:
        """What a prompt says, beside what the source text says of the face as it is.

        Raises ConfigError for a prompt without words or with too many, and for one that speaks of no makeup.
        """
        return self._known(resolve(prompt), resolve(source))

    def _read(self, prompt: str, source: str) -> Reading:
        clauses = [clause.strip() for clause in _CLAUSES.split(prompt)]
        spoken = self._spoken(clauses)
        if not all(spoken):
            clauses = [prompt]
            spoken = self._spoken(clauses)
        if not any(spoken):
            raise ConfigError(
                "the prompt names no makeup that is known here: say what and where in English, as in 'red lipstick'"
                " or 'dark smoky eyes' (`clip2protect prompts list` shows more)"
            )
        last = {region: clause for clause, regions in zip(clauses, spoken, strict=True) for region in regions}
        names = tuple(region for region in REGIONS if region in last)
        embedded = {clause: self._ensemble(clause) for clause in dict.fromkeys((prompt, *clauses))}
        prompts = torch.stack([embedded[last[region]] for region in names])
        said = tuple(self._called(region) @ prompts[i] for i, region in enumerate(names))
        strength = tuple(_LITTLE if _LIGHTLY.search(last[region]) else 1.0 for region in names)
        return Reading(embedded[prompt] - self._ensemble(source), names, prompts, said, strength)

    @torch.no_grad()
    def _spoken(self, clauses: Sequence[str]) -> list[list[Region]]:
        """The regions that each clause speaks of."""
        found = self.makeup.regions(self.makeup.read(clauses)).sigmoid() > _SPOKEN
        return [[region for region, on in zip(REGIONS, row, strict=True) if on] for row in found.tolist()]

    def _called(self, region: Region) -> Tensor:
        """Embeddings (C, D) of what its colours are called."""
        return self.model.texts([_CALLED[region].format(colour) for colour in colours_of(region)])

    def _ensemble(self, text: str) -> Tensor:
        return F.normalize(self.model.texts([t.format(text) for t in TEMPLATES]).mean(dim=0), dim=0)


def perspective(chance: random.Random, side: int) -> Tensor:
    """A grid (1, side, side, 2) that looks at a square from a little elsewhere: its corners are moved."""
    corners = torch.tensor([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
    moved = corners + torch.tensor(
        [[2 * chance.uniform(-_PERSPECTIVE, _PERSPECTIVE) for _ in "xy"] for _ in range(4)]
    )
    # The homography that takes the corners to where they were moved: eight unknowns, eight equations.
    rows, wanted = [], []
    for (x, y), (u, v) in zip(corners.tolist(), moved.tolist(), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    homography = torch.linalg.solve(torch.tensor(rows), torch.tensor(wanted))
    matrix = torch.cat((homography, torch.ones(1))).view(3, 3)
    axis = (torch.arange(side) + 0.5) * 2 / side - 1
    points = (
        torch.stack((*torch.meshgrid(axis, axis, indexing="xy"), torch.ones(side, side)), dim=-1) @ matrix.T
    )
    return (points[..., :2] / points[..., 2:])[None]

"""From a prompt in words to makeup: a direction in a text-image model, and the regions that follow it."""

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
from engines.networks.frame import REGIONS, Region, quarter
from engines.networks.landmarks import LandmarkNetwork
from engines.networks.makeup_clip import MakeupClip

#: A prompt names a region if the reader gives it at least this probability.
_NAMED = 0.5
#: Largest shift of a view's corners, in parts of its side.
_PERSPECTIVE = 0.06
#: Densities at which a colour is tried, in parts of the region's greatest density.
_DENSITIES = (0.5, 1.0)
#: Opacity of the greatest density, and gloss, while the model judges colours: the means of its training.
_OPACITY, _GLOSS = 0.8, 0.3

#: The name of a colour in each region.
_COLOUR_NAMES: dict[Region, str] = {
    "lips": "{} lipstick",
    "shadow": "{} eyeshadow",
    "liner": "{} eyeliner",
    "brows": "{} eyebrows",
    "blush": "{} blush",
    "contour": "{} contour",
    "highlight": "{} highlighter",
    "skin": "{} skin",
}
#: Weight of a colour's name beside the look of a face that wears it.
_NAME_WEIGHT = 0.5
#: A prompt is split here, if each of its clauses names a region: words bind loosely in a mean over words.
_CLAUSES = re.compile(r"[,;]| and | plus ")
#: Words that ask for little makeup, and the part of its density that they leave.  The text-image model tells
#: what it sees, and nothing about how much of it is wanted.
_LIGHTLY = re.compile(
    r"\b(natural|light|subtle|soft|sheer|discreet|simple|everyday|minimal|a bit|a touch)\b", re.I
)
_LITTLE = 0.4

#: A colour of the palette and its density in [0, 1], or no makeup.
Worn = tuple[str, float] | None
#: A way to put on one layer: face, mask, region, colour, density, light -> face.
Lay = Callable[[Tensor, Tensor, Region, str, float, Tensor], Tensor]


@dataclass(frozen=True)
class Reading:
    """A prompt as it was understood.

    `direction` (D,) leads from the source text's embedding to the prompt's.  `regions` are the R regions that
    the prompt names.  For each of them, `clauses` (R, D) holds the embedding of its clause, `names` the
    similarity (C,) of the clause to the name of every colour, and `strengths` the wanted part of the greatest
    density, in [0, 1].
    """

    direction: Tensor
    regions: tuple[Region, ...]
    clauses: Tensor
    names: tuple[Tensor, ...]
    strengths: tuple[float, ...]


@dataclass(frozen=True)
class Guidance:
    """A prompt for N faces.

    `masks` (N, R, 256, 256) are those of the R regions that the prompt names; `light` (N,) is the brightness
    of the light on the faces.
    """

    model: TextImageModel
    reading: Reading
    masks: Tensor
    light: Tensor

    def makeup(self, photo: Tensor) -> Tensor:
        """The makeup as a change (N, 3, 256, 256), in RGB of [-1, 1], of faces (N, 3, 256, 256) in [0, 1]."""
        strengths = self.reading.strengths
        worn: list[list[Worn]] = [
            [layer and (layer[0], layer[1] * part) for layer, part in zip(layers, strengths, strict=True)]
            for layers in self.choose(photo)
        ]
        return 2 * (self._apply(photo, self.masks, worn, _tinted) - photo)

    @torch.no_grad()
    def choose(self, photo: Tensor) -> list[list[Worn]]:
        """The colour and density of every face and region that the model finds most like the prompt.

        A text-image model tells makeup from bare skin by its whole look; its gradient at bare skin says
        little about colour.  So every colour of the palette is tried in turn, region by region, and the best
        one stays.  For the model the colour is painted over, as in its training; on the face it is a tint.
        """
        views, masks = (view_of(x, self.model.side) for x in (photo, self.masks))
        regions = self.reading.regions
        best: list[list[Worn]] = [[None] * len(regions) for _ in photo]
        for _ in range(2 if len(regions) > 1 else 1):
            for i, region in enumerate(regions):
                layers = [(c, d) for c in colours_of(region) for d in _DENSITIES]
                looks = [[[*worn[:i], layer, *worn[i + 1 :]] for worn in best] for layer in layers]
                images = [self.model.images(self._apply(views, masks, look, _painted)) for look in looks]
                names = self.reading.names[i].repeat_interleave(len(_DENSITIES))
                scores = torch.stack(images) @ self.reading.clauses[i] + _NAME_WEIGHT * names[:, None]
                for face, choice in enumerate(scores.argmax(dim=0).tolist()):
                    best[face][i] = layers[choice]
        return best

    def _apply(self, faces: Tensor, masks: Tensor, worn: list[list[Worn]], lay: Lay) -> Tensor:
        """Faces (N, 3, H, W) in [0, 1] with makeup on, through the masks (N, R, H, W) of the regions."""
        results = []
        for n, layers in enumerate(worn):
            face, light = faces[n : n + 1], self.light[n : n + 1]
            for i, layer in enumerate(layers):
                if layer is not None:
                    name, density = layer
                    mask = masks[n : n + 1, i : i + 1]
                    face = lay(face, mask, self.reading.regions[i], name, density, light)
            results.append(face)
        return torch.cat(results)

    def loss(self, protected: Tensor, photo: Tensor, views: Sequence[Tensor]) -> Tensor:
        """The text term (N,) of faces (N, 3, 256, 256) in [0, 1] against the photo's, in views by grids."""
        embeddings = self._embed(protected, views)
        with torch.no_grad():
            start = self._embed(photo, views)
        return directional(embeddings, start, self.reading.direction)

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
    """Reads prompts, and remembers their readings."""

    def __init__(self, model: TextImageModel, makeup: MakeupClip, landmarks: LandmarkNetwork) -> None:
        """`model` guides; `makeup` says which regions a prompt names, whatever model guides."""
        self.model, self.makeup, self.landmarks = model, makeup, landmarks
        self._cached = lru_cache(64)(self._read)

    def guide(self, faces: Sequence[AlignedFace], prompt: str, source: str) -> Guidance:
        """The guidance of a prompt for faces.  Raises ConfigError as `read` does."""
        reading = self.read(prompt, source)
        image = quarter(torch.cat([face.crop for face in faces]))
        points = locate(self.landmarks, image).cpu().numpy()
        every = torch.stack([torch.from_numpy(masks(p)) for p in points]).to(image)
        light = light_of(image, every[:, REGIONS.index("skin")][:, None])
        named = every[:, [REGIONS.index(region) for region in reading.regions]]
        return Guidance(self.model, reading, named, light)

    def read(self, prompt: str, source: str) -> Reading:
        """The reading of a prompt, relative to the source text, which describes the face as it is.

        Raises ConfigError for a prompt without words or with too many, and for one that names no makeup.
        """
        return self._cached(resolve(prompt), resolve(source))

    def _read(self, prompt: str, source: str) -> Reading:
        clauses = [clause.strip() for clause in _CLAUSES.split(prompt)]
        named = self._named_regions(clauses)
        if not all(named):
            clauses = [prompt]
            named = self._named_regions(clauses)
        if not any(named):
            raise ConfigError(
                "the prompt names no makeup that is known here: say what and where in English, as in"
                " 'red lipstick' or 'dark smoky eyes' (`clip2protect prompts list` shows more)"
            )
        # A region that two clauses name follows the last of them.
        clause_of = {region: clause for clause, some in zip(clauses, named, strict=True) for region in some}
        regions = tuple(region for region in REGIONS if region in clause_of)
        embedded = {clause: self._ensemble(clause) for clause in dict.fromkeys((prompt, *clauses))}
        embeddings = torch.stack([embedded[clause_of[region]] for region in regions])
        names = tuple(self._colour_names(region) @ embeddings[i] for i, region in enumerate(regions))
        strengths = tuple(_LITTLE if _LIGHTLY.search(clause_of[region]) else 1.0 for region in regions)
        return Reading(embedded[prompt] - self._ensemble(source), regions, embeddings, names, strengths)

    @torch.no_grad()
    def _named_regions(self, clauses: Sequence[str]) -> list[list[Region]]:
        """The regions that each clause names."""
        named = self.makeup.regions(self.makeup.read(clauses)).sigmoid() > _NAMED
        return [[region for region, on in zip(REGIONS, row, strict=True) if on] for row in named.tolist()]

    def _colour_names(self, region: Region) -> Tensor:
        """Embeddings (C, D) of the names of a region's colours."""
        return self.model.texts([_COLOUR_NAMES[region].format(colour) for colour in colours_of(region)])

    def _ensemble(self, text: str) -> Tensor:
        return F.normalize(self.model.texts([t.format(text) for t in TEMPLATES]).mean(dim=0), dim=0)


def perspective(chance: random.Random, side: int) -> Tensor:
    """A grid (1, side, side, 2) of a square in a slightly changed perspective: its corners are shifted."""
    corners = torch.tensor([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
    moved = corners + torch.tensor(
        [[2 * chance.uniform(-_PERSPECTIVE, _PERSPECTIVE) for _ in "xy"] for _ in range(4)]
    )
    # The homography that takes the corners to the shifted ones: eight unknowns, eight equations.
    rows, targets = [], []
    for (x, y), (u, v) in zip(corners.tolist(), moved.tolist(), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        targets += [u, v]
    homography = torch.linalg.solve(torch.tensor(rows), torch.tensor(targets))
    matrix = torch.cat((homography, torch.ones(1))).view(3, 3)
    axis = (torch.arange(side) + 0.5) * 2 / side - 1
    points = (
        torch.stack((*torch.meshgrid(axis, axis, indexing="xy"), torch.ones(side, side)), dim=-1) @ matrix.T
    )
    return (points[..., :2] / points[..., 2:])[None]

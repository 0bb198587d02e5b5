"""Stage 2, adversarial latent search: the code near the pivot that recognisers no longer match."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines import align, degrade
from engines.composite import Rendering, enlarge, lay_over, render
from engines.config import Level, Render
from engines.face import MASK_WINDOW, AlignedFace
from engines.losses.adversarial import Identity, adversarial, similarity
from engines.losses.change import visible_change
from engines.networks.mobilestylegan import ACTING_ROWS, IMAGE_SIZE, W_DIM, W_ROWS, Generator
from engines.recognise import Recogniser

#: The search looks at a quarter of the generator's size: as fine as any recogniser's crop.
REDUCTION = 4
#: Rows of W+ that may move.  Those below hold pose and shape (the paper freezes the layers up to
#: 32 px for identity); those above colour all of the picture at once.
FREE_ROWS = tuple(row for row in ACTING_ROWS if 4 <= row <= 18)
#: Noise maps that may move, coarse to fine, up to 256 px (the paper: below 512 px).
FREE_NOISE = 13
STEPS = 60
#: Learning rates of Adam for the offsets in W+ and for the noise maps.
LATENT_RATE, NOISE_RATE = 0.05, 0.02
#: Weight of the squared distance to the pivot, in W+ (the paper: 0.01).
LATENT_WEIGHT = 0.002
#: Views of the face a step, and how an aligned crop may be off: radians, relative size, pixels.
VIEWS = 2
JITTER_ANGLE, JITTER_SIZE, JITTER_SHIFT = 0.06, 0.05, 2.0
#: The change term's weight: where it starts, its limits, how fast it follows the budget.
WEIGHT_START, WEIGHT_LIMIT, WEIGHT_GAIN = 0.3, 3.0, 0.3

OnStep = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Budget:
    """What a level allows in the face's box: PSNR in dB, as `visible_change` counts it, and SSIM."""

    psnr: float
    ssim: float


BUDGETS: dict[Level, Budget] = {
    "subtle": Budget(psnr=33.2, ssim=0.972),
    "balanced": Budget(psnr=31.0, ssim=0.959),
    "strong": Budget(psnr=28.0, ssim=0.935),
}


@dataclass(frozen=True)
class LatentCode:
    """A point of the generator's latent space: W+ (1, 23, 512) and its noise maps."""

    w: Tensor
    noise: tuple[Tensor, ...]


@dataclass(frozen=True)
class Scene:
    """What the search works on: a face, how it is rendered, and the pivot that stands for it."""

    face: AlignedFace
    pivot: Tensor
    kind: Render
    gray: bool


class _View:
    """One look at a face, (1, 3, 256, 256) in [0, 1] and its points, as a recogniser may get it."""

    def __init__(self, chance: random.Random) -> None:
        self.mirrored = chance.random() < 0.5
        self.angle = chance.gauss(0, JITTER_ANGLE)
        self.size = 1 + chance.gauss(0, JITTER_SIZE)
        self.shift = np.array([chance.gauss(0, JITTER_SHIFT), chance.gauss(0, JITTER_SHIFT)])
        self.damage = chance.choice(("none", "jpeg", "shrink", "blur"))
        self.amount = chance.random()

    def image(self, image: Tensor) -> Tensor:
        """The image after what an upload does to it."""
        if self.damage == "jpeg":
            image = degrade.jpeg(image, round(50 + 45 * self.amount))
        elif self.damage == "shrink":
            image = degrade.shrink(image, 1.3 + 0.9 * self.amount)
        elif self.damage == "blur":
            image = degrade.blur(image, 0.4 + 0.8 * self.amount)
        return image.flip(3) if self.mirrored else image

    def transform(self, recogniser: Recogniser, points: np.ndarray, width: int) -> np.ndarray:
        """The recogniser's crop of these points, misaligned a little."""
        exact = recogniser.crop_transform(mirrored(points, width) if self.mirrored else points)
        turn = self.size * np.array(
            [[math.cos(self.angle), -math.sin(self.angle)], [math.sin(self.angle), math.cos(self.angle)]]
        )
        centre = np.full(2, recogniser.size / 2)
        shift = self.shift * recogniser.size / 112
        return align.compose(exact, np.column_stack((turn, centre + shift - turn @ centre)))


def mirrored(points: np.ndarray, width: float) -> np.ndarray:
    """Five points (5, 2) in the mirror image of a picture so wide."""
    flipped = points * (-1, 1) + (width, 0)
    return flipped[[1, 0, 2, 4, 3]].astype(np.float32)


def search(
    generator: Generator, scene: Scene, surrogates: Sequence[Recogniser], *, target: Identity | None = None,
    level: Level = "balanced", steps: int = STEPS, seed: int = 0, on_step: OnStep | None = None,
) -> LatentCode:  # fmt: skip
    """The code whose rendering the surrogates match least (CLIP2Protect, equation 4).

    `target` adds the pull towards another person (impersonation).  The change term's weight
    follows the level's budget, so that a face changes about as much as the level says.
    `on_step` gets the step, their number and the mean excess over the surrogates' thresholds.
    """
    chance = random.Random(seed)
    photo = F.avg_pool2d(scene.face.crop, REDUCTION) / 2 + 0.5
    owner = _owner(surrogates, photo, scene.face, chance)
    before = _reduced(generator, LatentCode(scene.pivot, tuple(generator.synthesis.noise_maps())))
    clean = lay_over(photo, render(scene.kind, before, before, gray=scene.gray))
    code = _Unknown(generator, scene.pivot, seed)
    weight, budget = WEIGHT_START, BUDGETS[level]
    for step in range(steps):
        views = [_View(chance) for _ in range(VIEWS)]
        image = _reduced(generator, code.value())
        protected = lay_over(photo, render(scene.kind, image, before, gray=scene.gray))
        seen = _embeddings(surrogates, protected, scene.face, views)
        change = visible_change(clean, protected, scene.face.area / REDUCTION**2, budget.psnr, budget.ssim)
        # Text guidance adds its term here.
        loss = adversarial(surrogates, seen, owner, target) + weight * change.norm() + LATENT_WEIGHT * code.distance()
        code.step(loss, step / steps)
        weight = min(weight * float(change.detach().max().clamp(0.3, 3)) ** WEIGHT_GAIN, WEIGHT_LIMIT)
        if on_step is not None:
            on_step(step + 1, steps, float(similarity(surrogates, seen, owner).detach()))
    return code.value(final=True)


@torch.no_grad()
def final_rendering(generator: Generator, scene: Scene, code: LatentCode) -> Rendering:
    """What is laid over the photo, at the generator's full size."""
    pivot = LatentCode(scene.pivot, tuple(generator.synthesis.noise_maps()))
    if scene.kind == "residual":
        image, before = _reduced(generator, code), _reduced(generator, pivot)
        return enlarge(render(scene.kind, image, before, gray=scene.gray), REDUCTION)
    image = generator(code.w, code.noise, MASK_WINDOW)
    return render(scene.kind, image, image, gray=scene.gray)


class _Unknown:
    """The latent code that is searched for, as offsets from the pivot, and its optimiser."""

    def __init__(self, generator: Generator, pivot: Tensor, seed: int) -> None:
        self.pivot = pivot
        self.published = tuple(generator.synthesis.noise_maps())
        # At the pivot itself residual rendering changes nothing and has no direction to leave by.
        start = torch.randn(1, len(FREE_ROWS), W_DIM, generator=torch.Generator().manual_seed(seed)) * 0.01
        self.offset = start.to(pivot).requires_grad_()
        self.noise = [torch.zeros_like(m, requires_grad=True) for m in self.published[:FREE_NOISE]]
        groups = [{"params": [self.offset], "rate": LATENT_RATE}, {"params": self.noise, "rate": NOISE_RATE}]
        self.optimiser = torch.optim.Adam(groups, betas=(0.9, 0.99))

    def value(self, *, final: bool = False) -> LatentCode:
        """The code at this step; `final` cuts it from the graph."""
        index = torch.tensor(FREE_ROWS, device=self.pivot.device)
        w = self.pivot + torch.zeros(1, W_ROWS, W_DIM).to(self.pivot).index_add(1, index, self.offset)
        noise = [m + d for m, d in zip(self.published, self.noise, strict=False)]
        code = LatentCode(w, (*noise, *self.published[FREE_NOISE:]))
        return LatentCode(code.w.detach(), tuple(m.detach() for m in code.noise)) if final else code

    def distance(self) -> Tensor:
        """Squared distance to the pivot, the mean over the free rows: equation 9."""
        return self.offset.square().sum() / len(FREE_ROWS)

    def step(self, loss: Tensor, progress: float) -> None:
        """One step of Adam: warmed up, full rate for half of the way, then a cosine to near zero."""
        decay = 0.5 + 0.5 * math.cos(math.pi * max(0.0, 2 * progress - 1))
        for group in self.optimiser.param_groups:
            group["lr"] = group["rate"] * (min(1.0, 0.25 + 20 * progress) * decay + 0.02)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


def _reduced(generator: Generator, code: LatentCode) -> Tensor:
    """The generator's image within the mask's window, averaged down to the search's size."""
    return F.avg_pool2d(generator(code.w, code.noise, MASK_WINDOW), REDUCTION)


def _embeddings(
    recognisers: Sequence[Recogniser], image: Tensor, face: AlignedFace, views: Sequence[_View]
) -> dict[str, Tensor]:
    """Embeddings (V, D) of V views of an aligned face (1, 3, 256, 256) in [0, 1]."""
    images = torch.cat([view.image(image) for view in views])
    points, width = face.points / REDUCTION, IMAGE_SIZE // REDUCTION
    return {
        r.name: r.embed(images, np.stack([view.transform(r, points, width) for view in views])) for r in recognisers
    }


@torch.no_grad()
def _owner(surrogates: Sequence[Recogniser], photo: Tensor, face: AlignedFace, chance: random.Random) -> Identity:
    """The owner's identity: a mean over views, nearer to their other photos than a single view."""
    seen = _embeddings(surrogates, photo, face, [_View(chance) for _ in range(8)])
    mean = {name: e.mean(dim=0, keepdim=True) for name, e in seen.items()}
    return Identity({s.name: F.normalize(mean[s.name]) if s.threshold.metric == "cosine" else mean[s.name]
                     for s in surrogates})  # fmt: skip

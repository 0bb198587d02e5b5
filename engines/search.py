"""Stage 2, adversarial latent search: the code near the pivot that recognisers no longer match."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines import align, degrade
from engines.backends import require_gradients
from engines.composite import Rendering, enlarge, lay_over, render
from engines.config import Level, Part, Render
from engines.face import MASK_WINDOW, AlignedFace
from engines.guidance import Guidance, perspective
from engines.losses.adversarial import Identity, adversarial, similarity
from engines.losses.change import visible_change
from engines.networks.generator import IMAGE_SIZE, W_DIM, StyleGenerator
from engines.networks.preview import Preview
from engines.recognise import Recogniser

#: The search looks at a quarter of the generator's size: as fine as any recogniser's crop.
REDUCTION = 4
STEPS = 30
#: Rates for the whitened offsets in W+ and for the noise maps: root mean square of a step.
LATENT_RATE, NOISE_RATE = 0.07, 0.04
#: Weight of the squared distance to the pivot, in W+ (the paper: 0.01).
LATENT_WEIGHT = 0.002
#: Views of the face a step, and how an aligned crop may be off: radians, relative size, pixels.
VIEWS = 2
JITTER_ANGLE, JITTER_SIZE, JITTER_SHIFT = 0.06, 0.05, 2.0
#: Weight of the change term.
CHANGE_WEIGHT = 0.3
#: Weight of the text term of generator rendering, and perspective views a step that it looks at.
TEXT_WEIGHT, TEXT_VIEWS = 1.0, 2
#: Memory of the descent's two means, and how its rate warms up: from where, and its slope over the search.
MOMENTUM, ENERGY_MEMORY = 0.8, 0.99
WARMUP_START, WARMUP_SLOPE = 0.1, 4.0

OnStep = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Budget:
    """What a level allows in the face's box: PSNR in dB, as `visible_change` counts it, and SSIM."""

    psnr: float
    ssim: float


BUDGETS: dict[Level, Budget] = {
    "subtle": Budget(psnr=33.2, ssim=0.972),
    "balanced": Budget(psnr=31.1, ssim=0.958),
    "strong": Budget(psnr=28.0, ssim=0.935),
}


@dataclass(frozen=True)
class LatentCode:
    """Points of the generator's latent space: W+ (N, rows, 512) and the noise maps (N or 1, 1, R, R)."""

    w: Tensor
    noise: tuple[Tensor, ...]

    @classmethod
    def at(cls, w: Tensor, generator: StyleGenerator) -> LatentCode:
        """The code of W+ alone, with the published noise maps."""
        return cls(w, tuple(generator.synthesis.noise_maps()))


class Scene:
    """What the search works on: faces of a photo, who draws them, and the pivots that stand for them.

    `budget` is what may change of each face.
    """

    def __init__(
        self, faces: Sequence[AlignedFace], artist: StyleGenerator | Preview, pivot: LatentCode, *,
        kind: Render, gray: bool, budget: Budget, guidance: Guidance | None = None,
    ) -> None:  # fmt: skip
        self.faces, self.artist, self.pivot = faces, artist, pivot
        self.kind, self.gray, self.budget, self.guidance = kind, gray, budget, guidance
        #: The faces (N, 3, 256, 256) in [0, 1], their areas (N,) in its pixels, and the pivots' images.
        self.photo = F.avg_pool2d(torch.cat([face.crop for face in faces]), REDUCTION) / 2 + 0.5
        self.area = torch.tensor([face.area / REDUCTION**2 for face in faces]).to(self.photo)
        with torch.no_grad():
            self.before = self.draw(pivot)
        self._clean = lay_over(self.photo, self._render(self.before))
        #: The makeup that the prompt asks for, as a change of these images.
        self.makeup = torch.zeros_like(self.before)
        if guidance is not None and kind == "residual":
            rows, columns = (slice(s.start // REDUCTION, s.stop // REDUCTION) for s in MASK_WINDOW.pixels)
            self.makeup = guidance.makeup(self.photo)[:, :, rows, columns]

    def draw(self, code: LatentCode, *, by_engine: bool = False) -> Tensor:
        """The images of codes within the mask's window, a `REDUCTION`th of the full size, without makeup.

        `by_engine` allows an engine, which gives no gradients and knows no tuning.
        """
        if by_engine and isinstance(self.artist, Preview):
            return self.artist.final(code.w, code.noise)
        return self.artist.small(code.w, code.noise, MASK_WINDOW)

    def protect(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The faces (N, 3, 256, 256) with drawn images, as far as the budget allows, and what all of it would change.

        The change (N, 4) is in units of the budget.  What exceeds it is scaled down, and the scale is
        taken as given: the gradient is that of a step along the budget's border.  Makeup is no part of
        either: it is the same whatever the search does, and can hide nothing.
        """
        mixed, change = self.within_budget(image)
        return lay_over(self.photo, self._render(mixed)), change

    def within_budget(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Drawn images as far as the budget allows, with makeup, and what all of them would change without it."""
        change = self.change(image)
        return torch.lerp(self.before, image, strength(change)) + self.makeup, change

    def text(self, protected: Tensor, chance: random.Random) -> Tensor | float:
        """The text term (N,) of protected faces: for generator rendering, whose one code has to follow the prompt too.

        Residual rendering adds its makeup to whatever the code draws.
        """
        if self.guidance is None or self.kind == "residual":
            return 0.0
        looks = [perspective(chance, self.guidance.model.side).to(protected) for _ in range(TEXT_VIEWS)]
        return TEXT_WEIGHT * self.guidance.loss(protected, self.photo, looks)

    def change(self, image: Tensor) -> Tensor:
        """What drawn images change of the faces, (N, 4), in units of the budget."""
        protected = lay_over(self.photo, self._render(image))
        return visible_change(self._clean, protected, self.area, self.budget.psnr, self.budget.ssim)

    def _render(self, image: Tensor) -> Rendering:
        return render(self.kind, image, self.before, gray=self.gray)


def strength(change: Tensor) -> Tensor:
    """How much of a change (N, 4), (N, 1, 1, 1) in [0, 1], uses the budget up: energies go with its square."""
    return change.detach().amax(dim=1).clamp(min=1).rsqrt()[:, None, None, None]


class View:
    """One look at faces, (N, 3, 256, 256) in [0, 1] and their points, as a recogniser may get them."""

    def __init__(self, chance: random.Random) -> None:
        self.mirrored = chance.random() < 0.5
        self.angle = chance.gauss(0, JITTER_ANGLE)
        self.size = 1 + chance.gauss(0, JITTER_SIZE)
        self.shift = np.array([chance.gauss(0, JITTER_SHIFT), chance.gauss(0, JITTER_SHIFT)])
        self.damage = chance.choice(("none", "jpeg", "shrink", "blur"))
        self.amount = chance.random()

    @classmethod
    def plain(cls) -> View:
        """The look that changes nothing."""
        view = cls(random.Random(0))
        view.mirrored, view.angle, view.size, view.shift, view.damage = False, 0.0, 1.0, np.zeros(2), "none"
        return view

    @classmethod
    def drawn(cls, chance: random.Random, without: Collection[Part]) -> View:
        """A look that is drawn by chance, or the plain one."""
        return cls.plain() if "robustness" in without else cls(chance)

    def images(self, image: Tensor) -> Tensor:
        """The images after what an upload does to them."""
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
    scene: Scene, surrogates: Sequence[Recogniser], *, target: Identity | None = None,
    steps: int = STEPS, seed: int = 0, without: Collection[Part] = (), on_step: OnStep | None = None,
) -> LatentCode:  # fmt: skip
    """The codes whose renderings the surrogates match least (CLIP2Protect, equation 4).

    `target` adds the pull towards another person (impersonation); `without` leaves parts out, for ablation.
    Faces are searched side by side, and none has a part in what another becomes.  `on_step` gets the step,
    their number and the mean excess over the surrogates' thresholds.  Raises GradientError for a surrogate
    whose network gives none.
    """
    for recogniser in surrogates:
        require_gradients(recogniser.network, f"the search by {recogniser.name}")
    chance = random.Random(seed)
    owner = owners(surrogates, scene.photo, scene.faces, chance, without)
    code = _Unknown(scene, seed, without)
    for step in range(steps):
        views = [View.drawn(chance, without) for _ in range(VIEWS)]
        protected, change = scene.protect(scene.draw(code.value()))
        seen = embeddings(surrogates, protected, scene.faces, views)
        loss = (
            adversarial(surrogates, seen, owner, target) + CHANGE_WEIGHT * wall(change) + scene.text(protected, chance)
        )
        code.step((loss + LATENT_WEIGHT * code.distance()).sum(), step / steps)
        if on_step is not None:
            on_step(step + 1, steps, float(similarity(surrogates, seen, owner).detach().mean()))
    return code.value(final=True)


def outcome(
    scene: Scene, surrogates: Sequence[Recogniser], code: LatentCode, target: Identity | None
) -> tuple[Tensor, Tensor]:
    """How much the adversarial term of faces fell (N,), seen as they are, and the change's root mean square (N,)."""
    as_is = [View.plain()]
    before = embeddings(surrogates, scene.photo, scene.faces, as_is)
    owner = Identity({name: e[0] for name, e in before.items()})
    protected, _ = scene.protect(scene.draw(code))
    after = embeddings(surrogates, protected, scene.faces, as_is)
    fell = adversarial(surrogates, before, owner, target) - adversarial(surrogates, after, owner, target)
    return fell, (protected - scene.photo).square().mean(dim=(1, 2, 3)).sqrt()


def wall(change: Tensor) -> Tensor:
    """The change term (N,): next to nothing for a small part of the budget, steep past the whole of it."""
    used = change.norm(dim=1)
    return F.huber_loss(used, torch.zeros_like(used), reduction="none")


@torch.no_grad()
def final_rendering(generator: StyleGenerator, scene: Scene, code: LatentCode, *, tuned: bool = True) -> Rendering:
    """What is laid over the photo, within the budget, at the generator's full size; by an engine unless it is tuned."""
    image, change = scene.within_budget(scene.draw(code, by_engine=not tuned))
    if scene.kind == "residual":
        return enlarge(render(scene.kind, image, scene.before, gray=scene.gray), REDUCTION)
    before, after = (generator(c.w, c.noise, MASK_WINDOW) for c in (scene.pivot, code))
    return render(scene.kind, torch.lerp(before, after, strength(change)), before, gray=scene.gray)


class _Unknown:
    """The latent code that is searched for, as whitened offsets from the pivot, and its descent."""

    def __init__(self, scene: Scene, seed: int, without: Collection[Part] = ()) -> None:
        layout = scene.artist.layout
        self.pivot, self.spread = scene.pivot, scene.artist.spread.to(scene.pivot.w)
        self.rows, self.maps = layout.acting if "freezing" in without else layout.free, layout.free_maps
        # At the pivot itself residual rendering changes nothing and has no direction to leave by.
        start = torch.randn(1, len(self.rows), W_DIM, generator=torch.Generator().manual_seed(seed)) * 0.01
        faces = len(self.pivot.w)
        self.offset = start.to(self.pivot.w).repeat(faces, 1, 1).requires_grad_()
        maps = self.pivot.noise[: self.maps]
        self.noise = [torch.zeros(faces, *m.shape[1:]).to(m).requires_grad_() for m in maps]
        self._descent = _Descent([(self.offset, LATENT_RATE, 2), *((m, NOISE_RATE, 1) for m in self.noise)])

    def value(self, *, final: bool = False) -> LatentCode:
        """The code at this step; `final` cuts it from the graph."""
        index = torch.tensor(self.rows, device=self.offset.device)
        w = self.pivot.w.index_add(1, index, self.offset @ self.spread)
        noise = [m + d for m, d in zip(self.pivot.noise, self.noise, strict=False)]
        code = LatentCode(w, (*noise, *self.pivot.noise[self.maps :]))
        return LatentCode(code.w.detach(), tuple(m.detach() for m in code.noise)) if final else code

    def distance(self) -> Tensor:
        """Squared distance (N,) to the pivots, the mean over the free rows: equation 9."""
        return (self.offset @ self.spread).square().sum(dim=(1, 2)) / len(self.rows)

    def step(self, loss: Tensor, progress: float) -> None:
        """One step of descent: warmed up, full rate until half of the way, then a cosine to near zero."""
        decay = 0.5 + 0.5 * math.cos(math.pi * max(0.0, 2 * progress - 1))
        gradients = torch.autograd.grad(loss, [self.offset, *self.noise])
        self._descent.step(gradients, min(1.0, WARMUP_START + WARMUP_SLOPE * progress) * decay + 0.02)


class _Descent:
    """Momentum along the gradient, at a length of its own for every row of W+ and every noise map.

    Adam with one second moment for all of a row or map: the budget is an energy, which the gradient's
    own direction uses best, where Adam's would move every coordinate alike.
    """

    def __init__(self, unknowns: Sequence[tuple[Tensor, float, int]]) -> None:
        """Each unknown comes with its rate (root mean square of a step) and the dimensions before a row or map."""
        self.unknowns = unknowns
        self.momentum = [torch.zeros_like(x) for x, _, _ in unknowns]
        self.energy = [torch.zeros((*x.shape[:keep], *(1,) * (x.dim() - keep))).to(x) for x, _, keep in unknowns]
        self.steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], scale: float) -> None:
        """Moves every unknown by its rate times `scale`, against its gradient."""
        self.steps += 1
        for i, ((x, rate, keep), gradient) in enumerate(zip(self.unknowns, gradients, strict=True)):
            momentum, energy = self.momentum[i], self.energy[i]
            momentum.lerp_(gradient, 1 - MOMENTUM)
            energy.lerp_(gradient.square().mean(dim=tuple(range(keep, x.dim())), keepdim=True), 1 - ENERGY_MEMORY)
            length = (energy / (1 - ENERGY_MEMORY**self.steps)).sqrt() * (1 - MOMENTUM**self.steps)
            x -= scale * rate * momentum / (length + 1e-12)


def embeddings(
    recognisers: Sequence[Recogniser], images: Tensor, faces: Sequence[AlignedFace], views: Sequence[View]
) -> dict[str, Tensor]:
    """Embeddings (V, N, D) of V views of N aligned faces (N, 3, 256, 256) in [0, 1]."""
    seen = torch.cat([view.images(images) for view in views])
    width = IMAGE_SIZE // REDUCTION
    embeddings = {}
    for r in recognisers:
        crops = [view.transform(r, face.points / REDUCTION, width) for view in views for face in faces]
        embeddings[r.name] = r.embed(seen, np.stack(crops)).unflatten(0, (len(views), len(faces)))
    return embeddings


@torch.no_grad()
def owners(
    surrogates: Sequence[Recogniser], photo: Tensor, faces: Sequence[AlignedFace], chance: random.Random,
    without: Collection[Part] = (),
) -> Identity:  # fmt: skip
    """The owners' identities: a mean over views, nearer to their other photos than a single view."""
    seen = embeddings(surrogates, photo, faces, [View.drawn(chance, without) for _ in range(8)])
    mean = {name: e.mean(dim=0) for name, e in seen.items()}
    return Identity({s.name: F.normalize(mean[s.name]) if s.threshold.metric == "cosine" else mean[s.name]
                     for s in surrogates})  # fmt: skip

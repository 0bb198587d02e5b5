"""What the search works on: faces, their pivots, and the budget of what may change."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.config import Level, Render
from engines.face.crop import AlignedFace
from engines.latent.change import visible_change
from engines.latent.render import Rendering, lay_over, render
from engines.makeup.prompter import Guidance, perspective
from engines.networks.frame import MASK_WINDOW, REDUCTION, quarter
from engines.networks.generator import StyleGenerator
from engines.networks.preview import Preview

#: Weight of the text term of generator rendering, and perspective views a step that it looks at.
TEXT_WEIGHT, TEXT_VIEWS = 1.0, 2


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
    """Faces of a photo, the network that draws them, their pivots, and the budget of change of each face."""

    def __init__(
        self,
        faces: Sequence[AlignedFace],
        renderer: StyleGenerator | Preview,
        pivot: LatentCode,
        *,
        kind: Render,
        gray: bool,
        budget: Budget,
        guidance: Guidance | None = None,
    ) -> None:
        self.faces, self.renderer, self.pivot = faces, renderer, pivot
        self.kind, self.gray, self.budget, self.guidance = kind, gray, budget, guidance
        #: The faces (N, 3, 256, 256) in [0, 1], their areas (N,) in its pixels, and the pivots' images.
        self.photo = quarter(torch.cat([face.crop for face in faces]))
        self.area = torch.tensor([face.area / REDUCTION**2 for face in faces]).to(self.photo)
        with torch.no_grad():
            self.before = self.draw(pivot)
        self._clean = lay_over(self.photo, self._render(self.before))
        #: The makeup that the prompt asks for, as a change of these images.
        self.makeup = torch.zeros_like(self.before)
        if guidance is not None and kind == "residual":
            self.makeup = MASK_WINDOW.cut(guidance.makeup(self.photo))

    def draw(self, code: LatentCode, *, by_engine: bool = False) -> Tensor:
        """The images of codes within the mask's window, a `REDUCTION`th of the full size, without makeup.

        `by_engine` allows an engine, which gives no gradients and knows no tuning.
        """
        if by_engine and isinstance(self.renderer, Preview):
            return self.renderer.final(code.w, code.noise)
        return self.renderer.small(code.w, code.noise, MASK_WINDOW)

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

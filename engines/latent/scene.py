"""The scene of a search: faces of a photo, their pivots, and the budget of change."""

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

#: Weight of the text term of generator rendering, and its perspective views in each step.
TEXT_WEIGHT, TEXT_VIEWS = 1.0, 2


@dataclass(frozen=True)
class Budget:
    """The change that a level allows in the face's box, by PSNR in dB and by SSIM.

    `visible_change` counts both, and derives the limits of blotches from the PSNR.  Makeup does not count.
    """

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
        #: The faces (N, 3, 256, 256) in [0, 1], and the areas (N,) of their boxes in its pixels.
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
        """The images of codes over the mask's window, at 1/`REDUCTION` of the full size, without makeup.

        `by_engine` allows an exported network, which gives no gradients and knows nothing of tuning.
        """
        if by_engine and isinstance(self.renderer, Preview):
            return self.renderer.final(code.w, code.noise)
        return self.renderer.small(code.w, code.noise, MASK_WINDOW)

    def protect(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The faces (N, 3, 256, 256) with images within the budget, and the whole images' change (N, 4).

        The change is in units of the budget.  A change beyond the budget is scaled down to it.  The scale
        carries no gradient, so a step goes along the budget's border.  Makeup counts in neither: it is the
        same whatever the search does, and hides nothing.
        """
        mixed, change = self.within_budget(image)
        return lay_over(self.photo, self._render(mixed)), change

    def within_budget(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Images within the budget, with makeup, and the change (N, 4) of the whole images without makeup."""
        change = self.change(image)
        return torch.lerp(self.before, image, strength(change)) + self.makeup, change

    def text(self, protected: Tensor, chance: random.Random) -> Tensor | float:
        """The text term (N,) of protected faces in generator rendering, whose code has to follow the prompt.

        It is 0 in residual rendering, which adds its makeup to the drawn image.
        """
        if self.guidance is None or self.kind == "residual":
            return 0.0
        views = [perspective(chance, self.guidance.model.side).to(protected) for _ in range(TEXT_VIEWS)]
        return TEXT_WEIGHT * self.guidance.loss(protected, self.photo, views)

    def change(self, image: Tensor) -> Tensor:
        """The change (N, 4) that drawn images make to the faces, in units of the budget."""
        protected = lay_over(self.photo, self._render(image))
        return visible_change(self._clean, protected, self.area, self.budget.psnr, self.budget.ssim)

    def _render(self, image: Tensor) -> Rendering:
        return render(self.kind, image, self.before, gray=self.gray)


def strength(change: Tensor) -> Tensor:
    """The part (N, 1, 1, 1), in [0, 1], of a change (N, 4) that uses up the budget.

    Energies go with its square.
    """
    return change.detach().amax(dim=1).clamp(min=1).rsqrt()[:, None, None, None]

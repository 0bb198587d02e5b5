"""The baselines: attacks on pixels under the method's own budget; blur, squares and grey by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.config import STEPS
from engines.face.crop import AlignedFace
from engines.face.recognise import Identity, Recogniser
from engines.latent import degrade
from engines.latent.adversarial import adversarial
from engines.latent.change import structural_dissimilarity, visible_change
from engines.latent.render import Rendering, enlarge, lay_over
from engines.latent.scene import Budget
from engines.latent.views import View, embed_views, owner_identity
from engines.networks.frame import MASK_WINDOW, REDUCTION, face_mask, quarter
from engines.photo.colour import luma

#: The largest change of a pixel and the length of a step, in [0, 1] colour: the budget is tighter than the
#: bound.
BOUND = 16 / 255
RATE = 2 * BOUND / STEPS
#: Input diversity (Xie et al. 2019): its probability, and the smallest size that a face is shrunk to.
DIVERSITY, SMALLEST = 0.5, 0.9
#: Weight of the naturalness term.
NATURALNESS = 10.0
#: Deviation of the blur in parts of the face's width, and the number of squares across it.
BLUR, SQUARES = 0.06, 12


@dataclass(frozen=True)
class Problem:
    """A face to protect from surrogates within a budget, and the identity that it is to match, if any."""

    face: AlignedFace
    surrogates: Sequence[Recogniser]
    budget: Budget
    target: Identity | None = None
    gray: bool = False
    seed: int = 0


def _diverse(chance: random.Random) -> View:
    """The plain view or, as often, the face smaller and elsewhere in the recogniser's crop."""
    view = View.plain()
    if chance.random() < DIVERSITY:
        view.size = 1 / chance.uniform(SMALLEST, 1)
        room = (1 - 1 / view.size) * 112 / 2
        view.shift = np.array([chance.uniform(-room, room), chance.uniform(-room, room)])
    return view


@dataclass(frozen=True)
class PixelAttack:
    """A change of the pixels within the mask, found by signed gradient steps from a random start.

    Mask, resolution, surrogates, owner's identity, loss and number of steps are the method's own: the attacks
    differ from it only in the space that they search.  A change above the budget's PSNR is scaled down.
    `whole` holds it to the budget's SSIM and blotches too.  By default it is not: noise uses SSIM up at 39 dB
    and then protects nothing, so a comparison at one PSNR is the harder one for the method.
    """

    view: Callable[[random.Random], View]
    momentum: float = 0.0
    naturalness: float = 0.0
    whole: bool = False

    def protect(self, problem: Problem) -> Rendering:
        """The attack's change of a face."""
        face, surrogates = problem.face, problem.surrogates
        chance = random.Random(problem.seed)
        photo = quarter(face.crop)
        owner = owner_identity(surrogates, photo, [face], chance)
        delta = _start(photo, problem.seed)
        gathered = torch.zeros_like(delta)
        for _ in range(STEPS):
            protected = lay_over(photo, self._rendered(problem, photo, delta))
            embeddings = embed_views(surrogates, protected, [face], [self.view(chance)])
            loss = adversarial(surrogates, embeddings, owner, problem.target).sum()
            if self.naturalness:
                loss = loss + self.naturalness * structural_dissimilarity(photo, protected).mean()
            (gradient,) = torch.autograd.grad(loss, [delta])
            with torch.no_grad():
                gathered = self.momentum * gathered + gradient / gradient.abs().mean().clamp(min=1e-12)
                delta -= RATE * gathered.sign()
                delta.clamp_(-BOUND, BOUND)
        with torch.no_grad():
            return enlarge(self._rendered(problem, photo, delta), REDUCTION)

    def _rendered(self, problem: Problem, photo: Tensor, delta: Tensor) -> Rendering:
        """The change within the mask, scaled down to the budget."""
        face, budget = problem.face, problem.budget
        mask = _small_mask(photo)
        light = mask * delta
        light = luma(light).expand(-1, 3, -1, -1) if problem.gray else light
        nothing = torch.zeros_like(mask)
        allowed = 3 * face.area / REDUCTION**2 * 10 ** (-budget.psnr / 10)
        spent = light.detach().square().sum() / allowed
        if self.whole:
            area = torch.tensor([face.area / REDUCTION**2]).to(photo)
            after = lay_over(photo, Rendering(light, nothing))
            spent = visible_change(photo, after, area, budget.psnr, budget.ssim).detach().amax()
        return Rendering(light * spent.clamp(min=1).rsqrt(), nothing)


#: Projected gradient descent (Madry et al. 2018), on the photo as it is.
PGD = PixelAttack(view=lambda chance: View.plain())
PGD_WHOLE = PixelAttack(view=lambda chance: View.plain(), whole=True)
#: Momentum (Dong et al. 2018, equation 6, with its factor of 1) and input diversity (Xie et al. 2019).
MI_FGSM = PixelAttack(view=_diverse, momentum=1.0)
#: After TIP-IM (Yang et al. 2021): MI-FGSM with a naturalness term.  Theirs is the mean discrepancy between
#: batches; a single face has none, so here it is the loss of structural similarity.
TIP_IM = PixelAttack(view=_diverse, momentum=1.0, naturalness=NATURALNESS)


def _small_mask(photo: Tensor) -> Tensor:
    return F.avg_pool2d(face_mask(photo.device), REDUCTION)


def _start(photo: Tensor, seed: int) -> Tensor:
    """A random change of up to one step, which gathers gradients."""
    generator = torch.Generator().manual_seed(seed)
    size = _small_mask(photo).shape[2:]
    return ((2 * torch.rand(1, 3, *size, generator=generator) - 1) * RATE).to(photo).requires_grad_()


def blurred(face: AlignedFace) -> Rendering:
    """The face under a Gaussian that leaves no features."""
    crop = _windowed(face)
    small = F.avg_pool2d(crop, REDUCTION)
    soft = degrade.blur(small, BLUR * _width(face) / REDUCTION)
    return _covered(F.interpolate(soft, size=crop.shape[2:], mode="bilinear", align_corners=False))


def pixelated(face: AlignedFace) -> Rendering:
    """The face as `SQUARES` squares across."""
    crop = _windowed(face)
    side = max(1, round(_width(face) / SQUARES))
    squares = F.avg_pool2d(crop, side, ceil_mode=True, count_include_pad=False)
    size = [side * n for n in squares.shape[2:]]
    return _covered(F.interpolate(squares, size=size)[:, :, : crop.shape[2], : crop.shape[3]])


def greyed(face: AlignedFace) -> Rendering:
    """The face under plain grey: no recogniser matches it, and the photo is of no use."""
    return _covered(torch.full_like(_windowed(face), 0.5))


def _windowed(face: AlignedFace) -> Tensor:
    return MASK_WINDOW.cut(face.crop) / 2 + 0.5


def _width(face: AlignedFace) -> float:
    """About the face's width in px of its crop."""
    return float(face.area**0.5)


def _covered(image: Tensor) -> Rendering:
    mask = face_mask(image.device)
    return Rendering(mask * image, mask)

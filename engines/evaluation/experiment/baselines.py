"""What the method is compared with: attacks on pixels under its own budget, and what people use by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

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
from engines.networks.frame import MASK_WINDOW, REDUCTION, face_mask
from engines.photo.colour import luma

#: How far a pixel may go, in [0, 1] colour, and a step: the budget is what binds.
BOUND = 16 / 255
RATE = 2 * BOUND / STEPS
#: Input diversity (Xie et al. 2019): how often, and the smallest size that a face is shrunk to.
DIVERSITY, SMALLEST = 0.5, 0.9
#: Weight of the naturalness term.
NATURALNESS = 10.0
#: Blur and squares by hand, in parts of the face's width in the crop.
BLUR, SQUARES = 0.06, 12


def pgd(
    face: AlignedFace,
    surrogates: Sequence[Recogniser],
    budget: Budget,
    target: Identity | None,
    *,
    gray: bool = False,
    seed: int = 0,
    whole: bool = False,
) -> Rendering:
    """Projected gradient descent on the pixels (Madry et al. 2018), from a random start, seen as they are.

    `whole` holds it to all of the budget, SSIM and blotches too.
    """
    return _attack(
        face, surrogates, budget, target, gray, seed, view=lambda chance: View.plain(), whole=whole
    )


def mi_fgsm(
    face: AlignedFace,
    surrogates: Sequence[Recogniser],
    budget: Budget,
    target: Identity | None,
    *,
    gray: bool = False,
    seed: int = 0,
) -> Rendering:
    """Momentum (Dong et al. 2018, equation 6, its factor 1) and input diversity (Xie et al. 2019)."""
    return _attack(face, surrogates, budget, target, gray, seed, view=_diverse, momentum=1.0)


def tip_im(
    face: AlignedFace,
    surrogates: Sequence[Recogniser],
    budget: Budget,
    target: Identity | None,
    *,
    gray: bool = False,
    seed: int = 0,
) -> Rendering:
    """After TIP-IM (Yang et al. 2021): the same with a naturalness term.

    Theirs is the mean discrepancy between batches; of a single face it is lost structural similarity here.
    """
    return _attack(
        face, surrogates, budget, target, gray, seed, view=_diverse, momentum=1.0, natural=NATURALNESS
    )


def _attack(
    face: AlignedFace,
    surrogates: Sequence[Recogniser],
    budget: Budget,
    target: Identity | None,
    gray: bool,
    seed: int,
    *,
    view: Callable[[random.Random], View],
    momentum: float = 0.0,
    natural: float = 0.0,
    whole: bool = False,
) -> Rendering:
    """A change of the pixels within the mask, found by signed steps; what exceeds the budget's PSNR is scaled down.

    Mask, resolution, surrogates, owner's identity, loss and number of steps are the method's own: only what is
    searched differs.  SSIM is asked for of `whole` alone: noise uses it up at 39 dB and then protects nothing, so a
    comparison at one PSNR is the harder one for the method.
    """
    chance = random.Random(seed)
    photo = F.avg_pool2d(face.crop, REDUCTION) / 2 + 0.5
    area = torch.tensor([face.area / REDUCTION**2]).to(photo)
    allowed = 3 * face.area / REDUCTION**2 * 10 ** (-budget.psnr / 10)
    mask = F.avg_pool2d(face_mask(photo.device), REDUCTION)
    owner = owner_identity(surrogates, photo, [face], chance)
    start = torch.Generator().manual_seed(seed)
    delta = ((2 * torch.rand(1, 3, *mask.shape[2:], generator=start) - 1) * RATE).to(photo).requires_grad_()
    gathered = torch.zeros_like(delta)

    def rendered() -> tuple[Rendering, Tensor]:
        light = mask * delta
        light = luma(light).expand(-1, 3, -1, -1) if gray else light
        nothing = torch.zeros_like(mask)
        spent = light.detach().square().sum() / allowed
        if whole:
            after = lay_over(photo, Rendering(light, nothing))
            spent = visible_change(photo, after, area, budget.psnr, budget.ssim).detach().amax()
        scaled = Rendering(light * spent.clamp(min=1).rsqrt(), nothing)
        return scaled, lay_over(photo, scaled)

    for _ in range(STEPS):
        _, protected = rendered()
        seen = embed_views(surrogates, protected, [face], [view(chance)])
        loss = adversarial(surrogates, seen, owner, target).sum()
        if natural:
            loss = loss + natural * structural_dissimilarity(photo, protected).mean()
        (gradient,) = torch.autograd.grad(loss, [delta])
        with torch.no_grad():
            gathered = momentum * gathered + gradient / gradient.abs().mean().clamp(min=1e-12)
            delta -= RATE * gathered.sign()
            delta.clamp_(-BOUND, BOUND)
    with torch.no_grad():
        return enlarge(rendered()[0], REDUCTION)


def _diverse(chance: random.Random) -> View:
    """The face as it is or, as often, smaller and elsewhere in the recogniser's crop."""
    view = View.plain()
    if chance.random() < DIVERSITY:
        view.size = 1 / chance.uniform(SMALLEST, 1)
        room = (1 - 1 / view.size) * 112 / 2
        view.shift = np.array([chance.uniform(-room, room), chance.uniform(-room, room)])
    return view


def blurred(face: AlignedFace) -> Rendering:
    """The face under a Gaussian that leaves no features."""
    crop = _windowed(face)
    small = F.avg_pool2d(crop, REDUCTION)
    soft = degrade.blur(small, BLUR * _width(face) / REDUCTION)
    return _covered(F.interpolate(soft, size=crop.shape[2:], mode="bilinear", align_corners=False))


def pixelated(face: AlignedFace) -> Rendering:
    """The face as so many squares across."""
    crop = _windowed(face)
    side = max(1, round(_width(face) / SQUARES))
    squares = F.avg_pool2d(crop, side, ceil_mode=True, count_include_pad=False)
    size = [side * n for n in squares.shape[2:]]
    return _covered(F.interpolate(squares, size=size)[:, :, : crop.shape[2], : crop.shape[3]])


def greyed(face: AlignedFace) -> Rendering:
    """The face under plain grey: matched by nothing, and of no use."""
    return _covered(torch.full_like(_windowed(face), 0.5))


def _windowed(face: AlignedFace) -> Tensor:
    rows, columns = MASK_WINDOW.pixels
    return face.crop[:, :, rows, columns] / 2 + 0.5


def _width(face: AlignedFace) -> float:
    """About the face's width in px of its crop."""
    return float(face.area**0.5)


def _covered(image: Tensor) -> Rendering:
    mask = face_mask(image.device)
    return Rendering(mask * image, mask)

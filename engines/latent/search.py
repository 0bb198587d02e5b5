"""Stage 2, adversarial latent search: a code near the pivot that recognisers no longer match."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.backends import require_gradients
from engines.config import STEPS, Part
from engines.face.recognise import Identity, Recogniser, mean_excess
from engines.latent.adversarial import adversarial
from engines.latent.descent import Descent
from engines.latent.render import Rendering, enlarge, render
from engines.latent.scene import LatentCode, Scene, strength
from engines.latent.views import View, embed_views, owner_identity
from engines.networks.frame import MASK_WINDOW, REDUCTION
from engines.networks.generator import W_DIM, StyleGenerator

#: Rates of the whitened offsets in W+ and of the noise maps: root mean square of a step.
LATENT_RATE, NOISE_RATE = 0.07, 0.04
#: Weight of the squared distance to the pivot, in W+ (the paper: 0.01).
LATENT_WEIGHT = 0.002
#: Views of the face in each step.
VIEWS = 2
#: Weight of the change term.
CHANGE_WEIGHT = 0.3
#: The warm-up of the descent's rate: where it starts, and its slope over the search.
WARMUP_START, WARMUP_SLOPE = 0.1, 4.0

#: Step, number of steps, and where the search tells it the mean excess over the surrogates' thresholds.
OnStep = Callable[..., None]


def search(
    scene: Scene,
    surrogates: Sequence[Recogniser],
    *,
    target: Identity | None = None,
    steps: int = STEPS,
    seed: int = 0,
    without: Collection[Part] = (),
    on_step: OnStep | None = None,
) -> LatentCode:
    """The codes whose renderings the surrogates match least (CLIP2Protect, equation 4).

    `target` adds the pull towards another person (impersonation).  `without` leaves parts out, for ablation.
    Faces are searched side by side and do not influence each other.  `on_step` gets the step, the number of
    steps, and the surrogates' mean excess over their thresholds.

    Raises GradientError for a surrogate whose network gives no gradients.
    """
    for recogniser in surrogates:
        require_gradients(recogniser.network, f"the search by {recogniser.name}")
    chance = random.Random(seed)
    owner = owner_identity(surrogates, scene.photo, scene.faces, chance, without)
    code = _SearchCode(scene, seed, without)
    for step in range(steps):
        views = [View.drawn(chance, without) for _ in range(VIEWS)]
        protected, change = scene.protect(scene.draw(code.value()))
        embeddings = embed_views(surrogates, protected, scene.faces, views)
        loss = adversarial(surrogates, embeddings, owner, target)
        loss = loss + CHANGE_WEIGHT * change_term(change) + scene.text(protected, chance)
        code.step((loss + LATENT_WEIGHT * code.distance()).sum(), step / steps)
        if on_step is not None:
            on_step(step + 1, steps, float(mean_excess(surrogates, embeddings, owner).detach().mean()))
    return code.value(final=True)


def outcome(
    scene: Scene, surrogates: Sequence[Recogniser], code: LatentCode, target: Identity | None
) -> tuple[Tensor, Tensor]:
    """The fall of the adversarial term (N,) in a plain view, and the root mean square of the change (N,)."""
    plain = [View.plain()]
    before = embed_views(surrogates, scene.photo, scene.faces, plain)
    owner = Identity({name: e[0] for name, e in before.items()})
    protected, _ = scene.protect(scene.draw(code))
    after = embed_views(surrogates, protected, scene.faces, plain)
    fall = adversarial(surrogates, before, owner, target) - adversarial(surrogates, after, owner, target)
    return fall, (protected - scene.photo).square().mean(dim=(1, 2, 3)).sqrt()


def change_term(change: Tensor) -> Tensor:
    """The change term (N,): almost 0 within a small part of the budget, steep beyond the whole budget."""
    used = change.norm(dim=1)
    return F.huber_loss(used, torch.zeros_like(used), reduction="none")


@torch.no_grad()
def final_rendering(
    generator: StyleGenerator, scene: Scene, code: LatentCode, *, tuned: bool = True
) -> Rendering:
    """The rendering within the budget at full size; an exported network may draw it, unless `tuned`."""
    image, change = scene.within_budget(scene.draw(code, by_engine=not tuned))
    if scene.kind == "residual":
        return enlarge(render(scene.kind, image, scene.before, gray=scene.gray), REDUCTION)
    before, after = (generator(c.w, c.noise, MASK_WINDOW) for c in (scene.pivot, code))
    return render(scene.kind, torch.lerp(before, after, strength(change)), before, gray=scene.gray)


class _SearchCode:
    """The latent code of a search: whitened offsets from the pivot, and their descent."""

    def __init__(self, scene: Scene, seed: int, without: Collection[Part] = ()) -> None:
        layout = scene.renderer.layout
        self.pivot, self.spread = scene.pivot, scene.renderer.spread.to(scene.pivot.w)
        self.rows, self.maps = layout.acting if "freezing" in without else layout.free, layout.free_maps
        # A small random start: at the pivot itself residual rendering changes nothing, so it has no gradient.
        start = torch.randn(1, len(self.rows), W_DIM, generator=torch.Generator().manual_seed(seed)) * 0.01
        faces = len(self.pivot.w)
        self.offset = start.to(self.pivot.w).repeat(faces, 1, 1).requires_grad_()
        maps = self.pivot.noise[: self.maps]
        self.noise = [torch.zeros(faces, *m.shape[1:]).to(m).requires_grad_() for m in maps]
        self._descent = Descent([(self.offset, LATENT_RATE, 2), *((m, NOISE_RATE, 1) for m in self.noise)])

    def value(self, *, final: bool = False) -> LatentCode:
        """The code at this step; `final` detaches it from the graph."""
        index = torch.tensor(self.rows, device=self.offset.device)
        w = self.pivot.w.index_add(1, index, self.offset @ self.spread)
        noise = [m + d for m, d in zip(self.pivot.noise, self.noise, strict=False)]
        code = LatentCode(w, (*noise, *self.pivot.noise[self.maps :]))
        return LatentCode(code.w.detach(), tuple(m.detach() for m in code.noise)) if final else code

    def distance(self) -> Tensor:
        """Squared distance (N,) to the pivots, averaged over the free rows: equation 9."""
        return (self.offset @ self.spread).square().sum(dim=(1, 2)) / len(self.rows)

    def step(self, loss: Tensor, progress: float) -> None:
        """One step of descent.

        The rate warms up, stays full until half of the way, then falls as a cosine.
        """
        decay = 0.5 + 0.5 * math.cos(math.pi * max(0.0, 2 * progress - 1))
        gradients = torch.autograd.grad(loss, [self.offset, *self.noise])
        self._descent.step(gradients, min(1.0, WARMUP_START + WARMUP_SLOPE * progress) * decay + 0.02)

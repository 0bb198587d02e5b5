"""Trains the inversion encoder: `python -m engines.training.encoder [--steps N] [--checkpoint FILE] [-o FILE]`.

Generated faces in, their own latents out: pairs without end, and no real person among them.  Faces
are degraded as photos are (JPEG, blur, noise, light, colour, a crop that is off).  The trunk stays as
the recogniser has it, which has seen real faces; that is what carries over to photos.

Drawing a face costs more than learning from it, so faces go into a pool, as the trunk's features of
them, from which every batch is drawn; a part of the pool is new each step.  The pool follows from the
number of the step, and a run that was stopped draws it again before it goes on.

Towards the end, at low rates, images teach too.  Earlier they destroy what was learnt: the generator's
modulation has no demodulation, so that a code off the manifold can be ten orders of magnitude too bright.
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.load import load_network
from engines.networks.encoder import EncoderHead, features, shrink_to_view
from engines.networks.frame import MASK_WINDOW
from engines.networks.mobilefacenet import MobileFaceNet
from engines.networks.mobilestylegan import ACTING_ROWS, Generator
from engines.networks.mtcnn import MTCNN, ONet
from engines.networks.preview import Preview, PreviewHead
from engines.runtime import choose_device, tune_allocator
from engines.training.augment import degraded
from engines.training.faces import sample_latents
from engines.training.loop import command, steps_done, train, write_weights
from engines.weights import load_shipped

STEPS, RATE, BATCH = 1200, 1e-3, 96
#: The part of the steps before images teach too.
LATENTS_ONLY = 2 / 3
#: Faces in the pool, at most and at the start, how many a step replaces, and looks at each.
POOL, POOL_START, FRESH, LOOKS = 6144, 512, 4, 2
#: Weights of the loss's terms.
_LATENT, _IMAGE, _IDENTITY, _LANDMARK = 1.0, 0.3, 0.15, 0.6


@dataclass(frozen=True)
class Teachers:
    """What the encoder learns from, frozen and on one device."""

    preview: Preview
    trunk: MobileFaceNet
    points: ONet

    @classmethod
    def load(cls, device: torch.device) -> Teachers:
        """The networks of the registry and the shipped preview."""
        generator = cast(Generator, load_network("mobilestylegan").to(device))
        return cls(
            preview=Preview(generator, load_shipped("preview", PreviewHead()).to(device)),
            trunk=cast(MobileFaceNet, load_network("mobilefacenet-512").to(device)),
            points=cast(MTCNN, load_network("mtcnn")).onet.to(device),
        )


class Pool:
    """The faces that batches are drawn from: features of each look, latents and views, newest last."""

    def __init__(self, teachers: Teachers, first_step: int) -> None:
        self.teachers = teachers
        self.faces: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=POOL)
        last = POOL_START // FRESH + first_step
        for number in range(max(0, last - POOL // FRESH), last):
            self._draw(number)

    def step(self, step: int) -> None:
        """Adds this step's faces; past the pool's size the oldest go."""
        self._draw(POOL_START // FRESH + step)

    @torch.no_grad()
    def _draw(self, number: int) -> None:
        preview = self.teachers.preview
        w = sample_latents(preview.generator, FRESH, number)
        views = shrink_to_view(preview.small(w, None, MASK_WINDOW).clamp(-1, 1))
        looks = degraded(views.repeat(LOOKS, 1, 1, 1), number).to(views)
        seen = features(self.teachers.trunk, looks).half().cpu().unflatten(0, (LOOKS, FRESH)).transpose(0, 1)
        offsets = (w - preview.mean_latent)[:, ACTING_ROWS].half().cpu()
        self.faces.extend(zip(seen, offsets, ((views + 1) * 127.5).round().byte().cpu(), strict=True))

    def batch(self, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features (N, 268, 8, 7), offsets (N, 16, 512) and views (N, 3, 128, 112) of `count` faces."""
        chance = torch.Generator().manual_seed(seed)
        picks = torch.randint(len(self.faces), (count,), generator=chance).tolist()
        look = int(torch.randint(LOOKS, (1,), generator=chance))
        seen, offsets, views = zip(*(self.faces[i] for i in picks), strict=True)
        return (
            torch.stack([s[look] for s in seen]).float(),
            torch.stack(offsets).float(),
            torch.stack(views) / 127.5 - 1,
        )


def loss_of(teachers: Teachers, head: EncoderHead, pool: Pool, images: int, step: int) -> Tensor:
    """The latents' error over a batch; of its first `images` faces also what their images show."""
    pool.step(step)
    mean = teachers.preview.mean_latent
    seen, offsets, views = (part.to(mean) for part in pool.batch(BATCH, step))
    found = head(seen)
    scale = 1 / mean.std()
    loss = _LATENT * F.smooth_l1_loss(found[:, ACTING_ROWS] * scale, offsets * scale)
    if images:
        image = teachers.preview.small(mean + found[:images], None, MASK_WINDOW)
        loss = loss + resemblance(teachers, shrink_to_view(image.clamp(-1.5, 1.5)), views[:images])
    return loss


def resemblance(teachers: Teachers, drawn: Tensor, known: Tensor) -> Tensor:
    """How far drawn views (N, 3, 128, 112) are from known ones: pixels, identity and landmarks."""
    error = drawn - known
    pixels = error.abs().mean() + F.avg_pool2d(error, 4).square().mean()
    seen, wanted = (teachers.trunk(_square(views, 112)) for views in (drawn, known))
    identity = 1 - F.cosine_similarity(seen, wanted).mean()
    # The network that locates wants its input transposed.
    found, true = (teachers.points(_square(views, 48).transpose(2, 3))[2] for views in (drawn, known))
    landmarks = (found - true).abs().mean()
    return _IMAGE * pixels + _IDENTITY * identity + _LANDMARK * landmarks


def _square(views: Tensor, size: int) -> Tensor:
    """The square part of views with the face, near enough for two views of one face."""
    return F.interpolate(
        views[:, :, 8:120], size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )


def main() -> int:
    """Parse, train, write the weights in half precision."""
    parser = command(__doc__, name="encoder", steps=STEPS)
    parser.add_argument(
        "--images", type=int, default=4, help="faces a step that are also drawn; a GPU takes more"
    )
    args = parser.parse_args()
    tune_allocator()
    device = choose_device(args.device)
    teachers = Teachers.load(device)
    torch.manual_seed(0)
    head = EncoderHead().to(device)
    pool = Pool(teachers, steps_done(args.checkpoint))

    def loss(step: int) -> Tensor:
        return loss_of(teachers, head, pool, args.images if step >= LATENTS_ONLY * args.steps else 0, step)

    train(head, loss, steps=args.steps, rate=RATE, checkpoint=args.checkpoint)
    write_weights(args.output, head.state_dict())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Trains the inversion encoder:

    python -m engines.training.encoder [--steps N] [--checkpoint FILE] [-o FILE]

Inputs are generated faces, and targets are their own latents.  Such pairs are endless and show no real
person.  Faces are degraded as photos are (JPEG, blur, noise, light, colour, crop error).  The trunk stays
frozen.  It is a recogniser that has seen real faces, so the encoder works on photos, too.

Drawing a face costs more than learning from it.  So the trunk's features of faces go into a pool, and every
batch is drawn from the pool.  Each step replaces a part of it.  The pool follows from the number of the step,
and a run that was stopped draws it again before it goes on.

Towards the end, at low rates, images teach too.  Earlier they would destroy the training: the generator has
no demodulation, so a code off the manifold can be ten orders of magnitude too bright.
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
from engines.networks.encoder import EncoderHead, shrink_to_view, trunk_features
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
#: Faces in the pool, at most and at the start; new faces in each step; degraded views of each face.
POOL, POOL_START, FRESH, VIEWS_PER_FACE = 6144, 512, 4, 2
#: Weights of the terms of the loss.
_LATENT, _IMAGE, _IDENTITY, _LANDMARK = 1.0, 0.3, 0.15, 0.6


@dataclass(frozen=True)
class Teachers:
    """The networks from which the encoder learns, frozen and on one device."""

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
    """The faces from which batches are drawn, newest last.

    Each has the features of its degraded views, the offsets of its latents, and its clean view.
    """

    def __init__(self, teachers: Teachers, first_step: int) -> None:
        self.teachers = teachers
        self.faces: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=POOL)
        last = POOL_START // FRESH + first_step
        for number in range(max(0, last - POOL // FRESH), last):
            self._draw(number)

    def step(self, step: int) -> None:
        """Adds the faces of a step.  A full pool drops the oldest."""
        self._draw(POOL_START // FRESH + step)

    @torch.no_grad()
    def _draw(self, number: int) -> None:
        preview = self.teachers.preview
        w = sample_latents(preview.generator, FRESH, number)
        views = shrink_to_view(preview.small(w, None, MASK_WINDOW).clamp(-1, 1))
        inputs = degraded(views.repeat(VIEWS_PER_FACE, 1, 1, 1), number).to(views)
        features = trunk_features(self.teachers.trunk, inputs).half().cpu()
        features = features.unflatten(0, (VIEWS_PER_FACE, FRESH)).transpose(0, 1)
        offsets = (w - preview.mean_latent)[:, ACTING_ROWS].half().cpu()
        self.faces.extend(zip(features, offsets, ((views + 1) * 127.5).round().byte().cpu(), strict=True))

    def batch(self, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features (N, 268, 8, 7), offsets (N, 16, 512) and views (N, 3, 128, 112) of `count` faces."""
        chance = torch.Generator().manual_seed(seed)
        picks = torch.randint(len(self.faces), (count,), generator=chance).tolist()
        view = int(torch.randint(VIEWS_PER_FACE, (1,), generator=chance))
        features, offsets, views = zip(*(self.faces[i] for i in picks), strict=True)
        return (
            torch.stack([views_of_face[view] for views_of_face in features]).float(),
            torch.stack(offsets).float(),
            torch.stack(views) / 127.5 - 1,
        )


def loss_of(teachers: Teachers, head: EncoderHead, pool: Pool, images: int, step: int) -> Tensor:
    """The latents' error over a batch, and the image error of its first `images` faces."""
    pool.step(step)
    mean = teachers.preview.mean_latent
    features, offsets, views = (part.to(mean) for part in pool.batch(BATCH, step))
    predicted = head(features)
    scale = 1 / mean.std()
    loss = _LATENT * F.smooth_l1_loss(predicted[:, ACTING_ROWS] * scale, offsets * scale)
    if images:
        image = teachers.preview.small(mean + predicted[:images], None, MASK_WINDOW)
        loss = loss + resemblance(teachers, shrink_to_view(image.clamp(-1.5, 1.5)), views[:images])
    return loss


def resemblance(teachers: Teachers, drawn: Tensor, target: Tensor) -> Tensor:
    """Distance of drawn views (N, 3, 128, 112) from their targets in pixels, identity and landmarks."""
    error = drawn - target
    pixels = error.abs().mean() + F.avg_pool2d(error, 4).square().mean()
    embeddings = (teachers.trunk(_square(views, 112)) for views in (drawn, target))
    identity = 1 - F.cosine_similarity(*embeddings).mean()
    # The network of the landmarks takes transposed images.
    points, target_points = (teachers.points(_square(x, 48).transpose(2, 3))[2] for x in (drawn, target))
    landmarks = (points - target_points).abs().mean()
    return _IMAGE * pixels + _IDENTITY * identity + _LANDMARK * landmarks


def _square(views: Tensor, size: int) -> Tensor:
    """The square part of views that holds the face.  It is exact enough to compare two views of one face."""
    return F.interpolate(
        views[:, :, 8:120], size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )


def main() -> int:
    """Parses the arguments, trains, and writes the weights in half precision."""
    parser = command(__doc__, name="encoder", steps=STEPS)
    parser.add_argument(
        "--images", type=int, default=4, help="faces in each step that are also drawn; a GPU takes more"
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

"""Trains the preview head:

    python -m engines.training.preview [--steps N] [--checkpoint FILE] [-o FILE]

This is distillation.  From the features of the 128-px block, the head learns to paint the image of the
published generator, averaged down.  Every step shows one face twice.  The second time it is moved as in a
search, because the search depends on the difference.  Drawing a pair costs five times as much as a step of
the head, so each pair is used several times.  All data follow from the number of the step, and a run that was
stopped resumes at the same step.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import cast

import torch
from torch import Tensor

from engines.load import load_network
from engines.networks.frame import MASK_WINDOW, trim
from engines.networks.mobilestylegan import LAYOUT, Generator
from engines.networks.preview import LAYERS, PreviewHead
from engines.runtime import choose_device, tune_allocator
from engines.training.faces import sample_latents
from engines.training.loop import command, steps_done, train, write_weights

STEPS, RATE = 6000, 3e-3
#: Number of steps for each new pair, and of pairs in the pool.
REUSE, POOL = 4, 32
#: Largest standard deviation of the move between the two images, for the free rows and for the noise maps.
_LATENT_MOVE, _NOISE_MOVE = 0.25, 0.3


def pair(generator: Generator, seed: int) -> tuple[Tensor, list[Tensor]]:
    """W+ (2, 23, 512) and noise maps (2, 1, R, R) of one face: unchanged, and moved as in a search."""
    chance = torch.Generator().manual_seed(seed)
    w = sample_latents(generator, 1, seed)
    strength = float(torch.rand(1, generator=chance))
    move = torch.zeros_like(w)
    deviation = _LATENT_MOVE * strength
    move[:, LAYOUT.free] = torch.randn(1, len(LAYOUT.free), w.shape[-1], generator=chance).to(w) * deviation
    maps = []
    for i, published in enumerate(generator.synthesis.noise_maps()):
        deviation = _NOISE_MOVE * strength if i < LAYOUT.free_maps else 0.0
        moved = published + deviation * torch.randn(published.shape, generator=chance).to(published)
        maps.append(torch.cat((published, moved)))
    return torch.cat((w, w + move)), maps


class Pool:
    """The latest pairs: features (2, 256, H, W), latents and target images."""

    def __init__(self, generator: Generator, first_step: int) -> None:
        self.generator = generator
        self.pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=POOL)
        self.block_outputs: list[Tensor] = []
        block = generator.synthesis.layers[LAYERS - 1]
        block.register_forward_hook(lambda _block, _inputs, output: self.block_outputs.append(output))
        last = -(-first_step // REUSE)
        for number in range(max(0, last - POOL), last):
            self._draw(number)

    def pick(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """The pair for a step: a new one every `REUSE` steps, otherwise one of the latest."""
        if step % REUSE == 0:
            self._draw(step // REUSE)
            return self.pairs[-1]
        chance = torch.Generator().manual_seed(step)
        return self.pairs[int(torch.randint(len(self.pairs), (1,), generator=chance))]

    @torch.no_grad()
    def _draw(self, number: int) -> None:
        self.block_outputs.clear()
        w, maps = pair(self.generator, number)
        target = self.generator.small(w, maps, MASK_WINDOW)
        self.pairs.append((self.block_outputs.pop(), w, target))


def distillation(head: PreviewHead, features: Tensor, w: Tensor, target: Tensor) -> Tensor:
    """The error of the head's two images and of their difference, against the generator's images."""
    error = trim(head(features, w), MASK_WINDOW) - target
    return error.abs().mean() + 4 * (error[1] - error[0]).abs().mean()


def main() -> int:
    """Parses the arguments, trains, and writes the weights in half precision."""
    parser = command(__doc__, name="preview", steps=STEPS)
    args = parser.parse_args()
    tune_allocator()
    device = choose_device(args.device)
    generator = cast(Generator, load_network("mobilestylegan").to(device))
    torch.manual_seed(0)
    head = PreviewHead().to(device)
    pool = Pool(generator, steps_done(args.checkpoint))
    train(
        head,
        lambda step: distillation(head, *pool.pick(step)),
        steps=args.steps,
        rate=RATE,
        checkpoint=args.checkpoint,
    )
    write_weights(args.output, head.state_dict())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Trains the makeup model: `python -m engines.training.makeup_clip [--steps N] [--checkpoint FILE] [-o FILE]`.

Contrastive learning (Radford et al. 2021) between generated faces with painted makeup and sentences about it.
Captions that say the same are all right; the others of a step, many more than images, are wrong, among them
the same colour elsewhere and another colour in the same place.  The sentence encoder is frozen, so that words
which were never painted lie where its language has them; its features are blurred by noise, so that the projection
learns what neighbouring words share.  A reader of looks, dropped afterwards, tells from any embedding, of an image
or of a sentence, the colour of each part: without it the tower takes far longer to see the first lips.

Faces go into a pool, of which a part is new each step, with the masks of their parts; makeup is painted on
them anew each time.  Pool, captions and looks follow from the number of the step: a run that was stopped
draws its pool again and goes on.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.load import load_network
from engines.makeup.palette import PALETTE
from engines.makeup.regions import REGIONS, locate, masks, view_of
from engines.makeup.text_image import Embedded
from engines.networks.landmarks import LandmarkNetwork
from engines.networks.makeup_clip import MakeupClip
from engines.networks.mobilestylegan import Generator
from engines.networks.preview import Preview, PreviewHead
from engines.networks.sentence import SentenceEncoder
from engines.runtime import choose_device, tune_allocator
from engines.training.augment import degraded
from engines.training.faces import sample_latents
from engines.training.loop import command, steps_done, train, write_weights
from engines.training.painter import paint
from engines.training.vocabulary import Caption, Look, caption, small_talk
from engines.training.words import EFFECTS
from engines.weights import load_shipped

STEPS, RATE, BATCH = 3600, 2e-3, 96
#: Captions that the run knows, and wrong ones a step beside those of the batch.
CAPTIONS, WRONG = 30_000, 928
#: Faces in the pool, at most and at the start, and steps for every new one.
POOL, POOL_START, REUSE = 2000, 800, 4
#: How far light and colour go against what the encoder sees: a lipstick's colour has to stay what it is called.
LIGHT = 0.4
#: Noise on the sentence encoder's features, in parts of their deviation, and the part of them that is left out.
NOISE, DROP = 1.0, 0.1
#: Steps, rate, weight decay and noise of the reader of regions.
_READER = (600, 2e-3, 1e-2, 0.7)
#: How far apart the reader of looks can pull unit embeddings.
_SHARP = 16.0
#: What a part of a face can wear: nothing, a colour, freckles.
_WORN = ("", *PALETTE, "freckles")


class Faces:
    """Generated faces without end: views (3, 128, 128) and masks (8, 128, 128), as bytes."""

    def __init__(self, device: torch.device) -> None:
        generator = cast(Generator, load_network("mobilestylegan").to(device))
        self.preview = Preview(generator, load_shipped("preview", PreviewHead()).to(device))
        self.landmarks = cast(LandmarkNetwork, load_network("landmarks-68").to(device))

    @torch.no_grad()
    def draw(self, count: int, seed: int) -> list[tuple[Tensor, Tensor]]:
        """`count` faces, the same for the same seed."""
        w = sample_latents(self.preview.generator, count, seed)
        image = self.preview.small(w).clamp(-1, 1) / 2 + 0.5
        points = locate(self.landmarks, image).cpu().numpy()
        parts = torch.stack([torch.from_numpy(masks(p)) for p in points])
        views, regions = view_of(image.cpu(), Embedded.side), view_of(parts, Embedded.side)
        return list(zip(_bytes(views), _bytes(regions), strict=True))


def _bytes(images: Tensor) -> Tensor:
    return (images * 255).round().byte()


class Pool:
    """The faces that batches are drawn from, newest last."""

    def __init__(self, faces: Faces, first_step: int) -> None:
        self.faces = faces
        self.known: deque[tuple[Tensor, Tensor]] = deque(maxlen=POOL)
        last = POOL_START - (-first_step // REUSE)
        for number in range(max(0, last - POOL), last):
            self.known.extend(faces.draw(1, number))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Views (N, 3, 128, 128) and masks (N, 8, 128, 128) in [0, 1]; a new face comes into the pool."""
        if step % REUSE == 0:
            self.known.extend(self.faces.draw(1, POOL_START + step // REUSE))
        picks = torch.randint(
            len(self.known), (BATCH,), generator=torch.Generator().manual_seed(step)
        ).tolist()
        views, regions = zip(*(self.known[i] for i in picks), strict=True)
        return torch.stack(views).float() / 255, torch.stack(regions).float() / 255


class Sentences:
    """Captions with the sentence encoder's features (N, 384), a number for what each says, and what each region
    wears (N, 8), as numbers in `_WORN`."""

    def __init__(self, model: MakeupClip, captions: list[Caption]) -> None:
        self.looks = [c.look for c in captions]
        numbers = {key: i for i, key in enumerate(dict.fromkeys(look.key for look in self.looks))}
        self.meaning = torch.tensor([numbers[look.key] for look in self.looks])
        texts = [c.text for c in captions]
        self.features = torch.cat([model.read(texts[i : i + 256]) for i in range(0, len(texts), 256)])
        self.worn = torch.tensor([worn(look) for look in self.looks])


def worn(look: Look) -> list[int]:
    """What each of `REGIONS` wears in a look, as numbers in `_WORN`."""
    colours = {EFFECTS[layer.effect].region: layer.colour for layer in look.layers}
    if look.freckles:
        colours["skin"] = "freckles"
    return [_WORN.index(colours.get(region, "")) for region in REGIONS]


def embed_texts(model: MakeupClip, features: Tensor) -> Tensor:
    """Unit embeddings (N, 256) of the sentence encoder's features (N, 384)."""
    return F.normalize(model.clip.text.proj(features), dim=1)


def contrast(seen: Tensor, said: Tensor, same: Tensor, scale: Tensor) -> Tensor:
    """InfoNCE between images (B, D) and sentences (K, D), K >= B; `same` (B, K) says which belong together.

    Where several are right, all are (Khosla et al. 2020, equation 2); sentences are compared with the
    images of the batch, so only the first B of them look for theirs.
    """
    logits = scale * seen @ said.T
    right = same / same.sum(dim=1, keepdim=True)
    image_loss = -(right * logits.log_softmax(dim=1)).sum(dim=1).mean()
    own = same[:, : len(seen)].T
    text_loss = (
        -(own / own.sum(dim=1, keepdim=True) * logits[:, : len(seen)].T.log_softmax(dim=1)).sum(dim=1).mean()
    )
    return (image_loss + text_loss) / 2


def loss_of(network: Trained, pool: Pool, sentences: Sentences, step: int) -> Tensor:
    """One step: paint, degrade, contrast; and teach the reader of looks."""
    chance = random.Random(step)
    picks = torch.tensor(chance.sample(range(len(sentences.looks)), BATCH + WRONG))
    views, regions = pool.batch(step)
    painted = paint(views, regions, [sentences.looks[i] for i in picks[:BATCH].tolist()], step)
    shown = degraded(painted * 2 - 1, step, light=LIGHT, gray_part=0.0) / 2 + 0.5
    seen = Embedded(network.model).images(shown.to(sentences.features))
    features, looks = sentences.features[picks], sentences.worn[picks].to(sentences.features.device)
    said = embed_texts(network.model, blurred(features, step))
    same = (sentences.meaning[picks[:BATCH], None] == sentences.meaning[picks]).to(seen)
    scale = network.logit_scale.exp().clamp(max=100)
    told = network.looks(_SHARP * torch.cat((seen, said))).unflatten(1, (len(REGIONS), len(_WORN)))
    wanted = torch.cat((looks[:BATCH], looks))
    per_look = (
        F.cross_entropy(told.flatten(0, 1), wanted.flatten(), reduction="none").view_as(wanted).sum(dim=1)
    )
    return contrast(seen, said, same, scale) + per_look[:BATCH].mean() + per_look[BATCH:].mean()


def fit_regions(model: MakeupClip, sentences: Sentences, chatter: Tensor) -> None:
    """Teaches the reader of regions: which of them a sentence's features speak of, none for `chatter` (K, 384).

    Captions and chatter count alike, however many they are.
    """
    steps, rate, decay, blur = _READER
    optimiser = torch.optim.AdamW(model.regions.parameters(), lr=rate, weight_decay=decay)
    features, named = sentences.features, (sentences.worn > 0).to(sentences.features)
    spread = features.std()
    model.regions.train()
    for step in range(steps):
        chance = torch.Generator().manual_seed(step)
        picks = torch.randint(len(features), (2048,), generator=chance)
        noise = blur * spread * torch.randn(len(picks), features.shape[1], generator=chance).to(features)
        loss = F.binary_cross_entropy_with_logits(model.regions(features[picks] + noise), named[picks])
        silence = model.regions(chatter)
        loss = loss + F.binary_cross_entropy_with_logits(silence, torch.zeros_like(silence))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.regions.eval()


def blurred(features: Tensor, step: int) -> Tensor:
    """Features (N, 384) with noise, and some of them left out."""
    chance = torch.Generator().manual_seed(step)
    noise = NOISE * features.std() * torch.randn(features.shape, generator=chance).to(features)
    kept = (torch.rand(features.shape, generator=chance) >= DROP).to(features)
    return (features + noise) * kept / (1 - DROP)


def fresh_model(device: torch.device) -> MakeupClip:
    """The untrained model with its sentence encoder."""
    torch.manual_seed(0)
    sentences = cast(SentenceEncoder, load_network("minilm"))
    return MakeupClip().adopt(sentences).to(device)


class Trained(nn.Module):
    """What is trained, without the sentence encoder: so that checkpoints are small."""

    def __init__(self, model: MakeupClip) -> None:
        super().__init__()
        self._whole = (model,)  # in a tuple, lest its sentence encoder counts as a part of this
        self.visual, self.proj = model.clip.visual, model.clip.text.proj
        self.logit_scale = model.clip.logit_scale
        self.looks = nn.Linear(model.width, len(REGIONS) * len(_WORN))

    @property
    def model(self) -> MakeupClip:
        """The model that is trained."""
        return self._whole[0]


def main() -> int:
    """Parse, train, write the weights in half precision."""
    args = command(__doc__, name="makeup_clip", steps=STEPS).parse_args()
    tune_allocator()
    device = choose_device(args.device)
    network = Trained(fresh_model(device)).to(device).train()
    chance = random.Random(0)
    sentences = Sentences(network.model, [caption(chance) for _ in range(CAPTIONS)])
    fit_regions(network.model, sentences, network.model.read(small_talk()))
    pool = Pool(Faces(device), steps_done(args.checkpoint))
    train(
        network,
        lambda step: loss_of(network, pool, sentences, step),
        steps=args.steps,
        rate=RATE,
        checkpoint=args.checkpoint,
    )
    write_weights(args.output, network.model.trained())
    return 0


if __name__ == "__main__":
    sys.exit(main())

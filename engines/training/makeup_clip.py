"""Trains the makeup model:

    python -m engines.training.makeup_clip [--steps N] [--checkpoint FILE] [-o FILE]

Contrastive learning (Radford et al. 2021) pairs generated faces with painted makeup and sentences about the
makeup. Captions with the same meaning are all right.  The other captions of a step are wrong, and there are
many more of them than images.  Among them are the same colour on another part and another colour on the same
part.

The sentence encoder is frozen, so words that were never painted keep their place in its language.  Noise
blurs its features, so that the projection learns the common meaning of neighbouring words.  A reader of looks
tells the colour of each part from the embedding of an image or a sentence.  Without it the tower takes far
longer to notice the first lips. The reader is dropped after the training.

Faces go into a pool with the masks of their parts, and every few steps a new one joins.  Each step paints
fresh makeup on them.  Pool, captions and looks follow from the number of the step, and a run that was stopped
draws its pool again before it goes on.
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
from engines.makeup.regions import locate, masks, view_of
from engines.makeup.text_image import Embedded
from engines.networks.frame import REGIONS
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
#: Number of captions of the run, and of wrong ones in each step beside those of the batch.
CAPTIONS, WRONG = 30_000, 928
#: Faces in the pool, at most and at the start, and the number of steps for each new face.
POOL, POOL_START, REUSE = 2000, 800, 4
#: Changes of light and colour, against 1 for the encoder: a lipstick's colour must stay true to its name.
LIGHT = 0.4
#: Noise on the sentence encoder's features, in units of their deviation, and the part of them that is
#: dropped.
NOISE, DROP = 1.0, 0.1
#: Steps, rate, weight decay and noise of the reader of regions.
_READER = (600, 2e-3, 1e-2, 0.7)
#: Factor on unit embeddings before the reader of looks.
_SHARP = 16.0
#: The states of a part of a face: nothing, a colour, or freckles.
_STATES = ("", *PALETTE, "freckles")


class GeneratedFaces:
    """Endless generated faces: views (3, 128, 128) and masks (8, 128, 128), as bytes."""

    def __init__(self, device: torch.device) -> None:
        generator = cast(Generator, load_network("mobilestylegan").to(device))
        self.preview = Preview(generator, load_shipped("preview", PreviewHead()).to(device))
        self.landmarks = cast(LandmarkNetwork, load_network("landmarks-68").to(device))

    @torch.no_grad()
    def draw(self, count: int, seed: int) -> list[tuple[Tensor, Tensor]]:
        """Draws `count` faces.  The same seed gives the same faces."""
        w = sample_latents(self.preview.generator, count, seed)
        image = self.preview.small(w).clamp(-1, 1) / 2 + 0.5
        points = locate(self.landmarks, image).cpu().numpy()
        parts = torch.stack([torch.from_numpy(masks(p)) for p in points])
        views, regions = view_of(image.cpu(), Embedded.side), view_of(parts, Embedded.side)
        return list(zip(_bytes(views), _bytes(regions), strict=True))


def _bytes(images: Tensor) -> Tensor:
    return (images * 255).round().byte()


class Pool:
    """The faces from which batches are drawn, newest last."""

    def __init__(self, source: GeneratedFaces, first_step: int) -> None:
        self.source = source
        self.faces: deque[tuple[Tensor, Tensor]] = deque(maxlen=POOL)
        last = POOL_START - (-first_step // REUSE)
        for number in range(max(0, last - POOL), last):
            self.faces.extend(source.draw(1, number))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Views (N, 3, 128, 128) and masks (N, 8, 128, 128) in [0, 1].

        Every `REUSE` steps a new face joins the pool.
        """
        if step % REUSE == 0:
            self.faces.extend(self.source.draw(1, POOL_START + step // REUSE))
        chance = torch.Generator().manual_seed(step)
        picks = torch.randint(len(self.faces), (BATCH,), generator=chance).tolist()
        views, regions = zip(*(self.faces[i] for i in picks), strict=True)
        return torch.stack(views).float() / 255, torch.stack(regions).float() / 255


class Sentences:
    """Captions with their features (N, 384) of the sentence encoder.

    `meaning` (N,) has the same number for captions with the same meaning.  `states` (N, 8) has the state of
    each region as an index into `_STATES`.
    """

    def __init__(self, model: MakeupClip, captions: list[Caption]) -> None:
        self.looks = [c.look for c in captions]
        numbers = {key: i for i, key in enumerate(dict.fromkeys(look.key for look in self.looks))}
        self.meaning = torch.tensor([numbers[look.key] for look in self.looks])
        texts = [c.text for c in captions]
        self.features = torch.cat([model.read(texts[i : i + 256]) for i in range(0, len(texts), 256)])
        self.states = torch.tensor([region_states(look) for look in self.looks])


def region_states(look: Look) -> list[int]:
    """The state of each of `REGIONS` in a look, as indices into `_STATES`."""
    colours = {EFFECTS[layer.effect].region: layer.colour for layer in look.layers}
    if look.freckles:
        colours["skin"] = "freckles"
    return [_STATES.index(colours.get(region, "")) for region in REGIONS]


def embed_texts(model: MakeupClip, features: Tensor) -> Tensor:
    """Unit embeddings (N, 256) of the sentence encoder's features (N, 384)."""
    return F.normalize(model.clip.text.proj(features), dim=1)


def contrast(images: Tensor, sentences: Tensor, same: Tensor, scale: Tensor) -> Tensor:
    """InfoNCE between embeddings of images (B, D) and of sentences (K, D), K >= B.

    `same` (B, K) marks the pairs with the same meaning.  All of them count as right (Khosla et al. 2020,
    equation 2). Only the first B sentences have an image in the batch, so only they are asked for theirs.
    """
    logits = scale * images @ sentences.T
    right = same / same.sum(dim=1, keepdim=True)
    image_loss = -(right * logits.log_softmax(dim=1)).sum(dim=1).mean()
    own = same[:, : len(images)].T
    own_logits = logits[:, : len(images)].T
    text_loss = -(own / own.sum(dim=1, keepdim=True) * own_logits.log_softmax(dim=1)).sum(dim=1).mean()
    return (image_loss + text_loss) / 2


def loss_of(network: TrainedPart, pool: Pool, sentences: Sentences, step: int) -> Tensor:
    """The loss of one step: paint, degrade and contrast; and the loss of the reader of looks."""
    chance = random.Random(step)
    picks = torch.tensor(chance.sample(range(len(sentences.looks)), BATCH + WRONG))
    views, regions = pool.batch(step)
    painted = paint(views, regions, [sentences.looks[i] for i in picks[:BATCH].tolist()], step)
    photos = degraded(painted * 2 - 1, step, light=LIGHT, gray_part=0.0) / 2 + 0.5
    images = Embedded(network.model).images(photos.to(sentences.features))
    features, states = sentences.features[picks], sentences.states[picks].to(sentences.features.device)
    texts = embed_texts(network.model, blurred(features, step))
    same = (sentences.meaning[picks[:BATCH], None] == sentences.meaning[picks]).to(images)
    scale = network.logit_scale.exp().clamp(max=100)
    logits = network.looks(_SHARP * torch.cat((images, texts))).unflatten(1, (len(REGIONS), len(_STATES)))
    targets = torch.cat((states[:BATCH], states))
    errors = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    per_look = errors.view_as(targets).sum(dim=1)
    return contrast(images, texts, same, scale) + per_look[:BATCH].mean() + per_look[BATCH:].mean()


def fit_regions(model: MakeupClip, sentences: Sentences, chatter: Tensor) -> None:
    """Trains the reader of regions on the captions' features, and on features of `chatter` (K, 384) without
    makeup.

    Captions and chatter have equal weight, whatever their numbers.
    """
    steps, rate, decay, blur = _READER
    optimiser = torch.optim.AdamW(model.regions.parameters(), lr=rate, weight_decay=decay)
    features, targets = sentences.features, (sentences.states > 0).to(sentences.features)
    spread = features.std()
    model.regions.train()
    for step in range(steps):
        chance = torch.Generator().manual_seed(step)
        picks = torch.randint(len(features), (2048,), generator=chance)
        noise = blur * spread * torch.randn(len(picks), features.shape[1], generator=chance).to(features)
        loss = F.binary_cross_entropy_with_logits(model.regions(features[picks] + noise), targets[picks])
        scores = model.regions(chatter)
        loss = loss + F.binary_cross_entropy_with_logits(scores, torch.zeros_like(scores))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.regions.eval()


def blurred(features: Tensor, step: int) -> Tensor:
    """Features (N, 384) with noise, and with some of them dropped."""
    chance = torch.Generator().manual_seed(step)
    noise = NOISE * features.std() * torch.randn(features.shape, generator=chance).to(features)
    mask = (torch.rand(features.shape, generator=chance) >= DROP).to(features)
    return (features + noise) * mask / (1 - DROP)


def fresh_model(device: torch.device) -> MakeupClip:
    """The untrained model with its sentence encoder."""
    torch.manual_seed(0)
    sentences = cast(SentenceEncoder, load_network("minilm"))
    return MakeupClip().adopt(sentences).to(device)


class TrainedPart(nn.Module):
    """The part of the model that is trained.  Without the sentence encoder, checkpoints are small."""

    def __init__(self, model: MakeupClip) -> None:
        super().__init__()
        self._whole = (
            model,
        )  # in a tuple, so that its sentence encoder does not count as a part of this module
        self.visual, self.proj = model.clip.visual, model.clip.text.proj
        self.logit_scale = model.clip.logit_scale
        self.looks = nn.Linear(model.width, len(REGIONS) * len(_STATES))

    @property
    def model(self) -> MakeupClip:
        """The whole model."""
        return self._whole[0]


def main() -> int:
    """Parses the arguments, trains, and writes the weights in half precision."""
    args = command(__doc__, name="makeup_clip", steps=STEPS).parse_args()
    tune_allocator()
    device = choose_device(args.device)
    network = TrainedPart(fresh_model(device)).to(device).train()
    chance = random.Random(0)
    sentences = Sentences(network.model, [caption(chance) for _ in range(CAPTIONS)])
    fit_regions(network.model, sentences, network.model.read(small_talk()))
    pool = Pool(GeneratedFaces(device), steps_done(args.checkpoint))
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

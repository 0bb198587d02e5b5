"""The catalogue of exports: one table of networks with their inputs, made from a stack.

A new network needs one entry.  Recognisers come from the stack, and shapes from the samples, so the same
table serves a stack of other networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from engines.backends.manifest import fingerprint
from engines.errors import ConfigError
from engines.face.recognise import Recogniser
from engines.makeup.text_image import Embedded, OpenClip
from engines.networks.encoder import VIEW_SIZE, encoder_view
from engines.networks.generator import W_DIM, StyleGenerator
from engines.networks.makeup_clip import CONTEXT
from engines.networks.preview import LAYERS, Preview
from engines.networks.reference.e4e import E4E, SIDE
from engines.stack import Stack
from export import samples
from export.wrappers import (
    ClipImage,
    ClipText,
    OpenClipText,
    SmallWindow,
    Synthesis,
    TrunkAndHead,
    require_open_clip,
)

#: The names that `--models` takes, beside `all`.
GROUPS = ("generator", "clip-image", "clip-text", "recognisers", "encoder", "detector", "landmarks")

Tensors = tuple[Tensor, ...]


@dataclass(frozen=True)
class Axis:
    """A size that may vary: its name, least, typical and largest value."""

    name: str
    least: int
    typical: int
    largest: int


@dataclass(frozen=True)
class Input:
    """An input and, by dimension, the sizes that may vary beside the batch (dimension 0)."""

    name: str
    axes: tuple[tuple[int, Axis], ...] = ()


@dataclass(frozen=True)
class Exportable:
    """A network in the form in which it is exported.  All its inputs and outputs have the batch first.

    `random` draws the inputs of a batch, and `real` takes them from a photo of a face.  Both lie on the CPU.
    `recogniser` is the one whose embeddings the network computes.  No name may be one of torch's operations:
    the exporter gives those to values inside.
    """

    name: str
    group: str
    network: nn.Module
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    random: Callable[[int, torch.Generator], Tensors]
    real: Callable[[], Tensors]
    recogniser: Recogniser | None = None

    @property
    def weights(self) -> str:
        """Fingerprint of the weights."""
        return fingerprint(self.network)


def exportables(stack: Stack, groups: Sequence[str] = GROUPS) -> list[Exportable]:
    """The networks of these groups; `all` is every group.  Raises ConfigError for an unknown group."""
    chosen = GROUPS if "all" in groups else tuple(dict.fromkeys(groups))
    unknown = [group for group in chosen if group not in GROUPS]
    if unknown:
        raise ConfigError(f"unknown model {unknown[0]!r}: choose from {', '.join(GROUPS)}, all")
    return [entry for group in chosen for entry in _MAKERS[group](stack)]


def _generator(stack: Stack) -> Iterator[Exportable]:
    generator, preview = stack.generator, stack.preview
    yield Exportable(
        "mapping",
        "generator",
        generator.mapping,
        (Input("latent_z"),),
        ("latent_w",),
        random=lambda n, g: (torch.randn(n, W_DIM, generator=g),),
        real=lambda: (torch.randn(4, W_DIM, generator=torch.Generator().manual_seed(0)),),
    )
    networks: list[tuple[str, nn.Module, int, str]] = [
        ("generator", Synthesis(generator), len(generator.synthesis.noise_maps()), "picture")
    ]
    if isinstance(preview, Preview):  # otherwise the generator draws the previews, too
        networks.append(("preview", SmallWindow(preview), 2 * LAYERS + 1, "small_picture"))
    for name, network, maps, image in networks:
        inputs = (Input("w_plus"), *(Input(f"noise_map_{i}") for i in range(maps)))
        yield Exportable(
            name,
            "generator",
            network,
            inputs,
            (image,),
            random=partial(_latents, generator, maps),
            real=partial(_encoded, stack, maps),
        )


def _latents(generator: StyleGenerator, maps: int, batch: int, chance: torch.Generator) -> Tensors:
    """W+ of generated faces, and noise maps near the published ones."""
    seed = int(torch.randint(2**31, (), generator=chance))
    w = generator.sample_w(seed, batch).cpu()
    noise = [m.cpu().expand(batch, -1, -1, -1) for m in generator.synthesis.noise_maps()[:maps]]
    return (w, *(m + 0.1 * torch.randn(m.shape, generator=chance) for m in noise))


@torch.no_grad()
def _encoded(stack: Stack, maps: int) -> Tensors:
    """W+ of a real face and the published noise maps."""
    generator = stack.generator
    w = generator.mean_latent + stack.encoder.offsets(samples.face_crop(stack).to(stack.device))
    return (w.cpu(), *(m.detach().cpu() for m in generator.synthesis.noise_maps()[:maps]))


def _clip_image(stack: Stack) -> Iterator[Exportable]:
    model = stack.prompter.model
    yield Exportable(
        "clip-image",
        "clip-image",
        ClipImage(model),
        (Input("face_view"),),
        ("unit_image",),
        random=lambda n, g: (torch.rand(n, 3, model.side, model.side, generator=g),),
        real=lambda: (samples.face_view(stack, model.side),),
    )


def _clip_text(stack: Stack) -> Iterator[Exportable]:
    model = stack.prompter.model
    if not isinstance(model, Embedded):
        yield _open_clip_text(require_open_clip(model))
        return
    makeup = model.model
    words = ((1, Axis("words", 3, 16, CONTEXT)),)

    def with_mask(tokens: Tensor) -> Tensors:
        return tokens.cpu(), (tokens != 0).long().cpu()

    yield Exportable(
        "clip-text",
        "clip-text",
        ClipText(makeup),
        (Input("token_ids", words), Input("word_mask", words)),
        ("unit_text", "region_scores"),
        random=lambda n, g: with_mask(torch.randint(1000, 30_000, (n, 12), generator=g)),
        real=lambda: with_mask(makeup.tokenize(samples.SENTENCES)),
    )


def _open_clip_text(model: OpenClip) -> Exportable:
    def tokens(batch: int, chance: torch.Generator) -> Tensors:
        """Sentences of ten words.  The token of the end is the largest: the model reads off there."""
        drawn = torch.zeros(batch, model.model.context_length, dtype=torch.long)
        drawn[:, 1:11] = torch.randint(1000, 40_000, (batch, 10), generator=chance)
        drawn[:, 0], drawn[:, 11] = model.model.vocab_size - 2, model.model.vocab_size - 1
        return (drawn,)

    return Exportable(
        "clip-text",
        "clip-text",
        OpenClipText(model),
        (Input("token_ids"),),
        ("unit_text",),
        random=tokens,
        real=lambda: (model.tokenizer(list(samples.SENTENCES)),),
    )


def _recognisers(stack: Stack) -> Iterator[Exportable]:
    for name, recogniser in stack.recognisers.items():
        shape = (3, recogniser.size, recogniser.size)
        yield Exportable(
            name,
            "recognisers",
            recogniser.network,
            (Input("aligned_face"),),
            ("features",),
            random=partial(_uniform, shape),
            real=partial(_in_tuple, samples.recogniser_crops, stack, recogniser),
            recogniser=recogniser,
        )


def _encoder(stack: Stack) -> Iterator[Exportable]:
    encoder = stack.encoder
    if isinstance(encoder, E4E):
        yield Exportable(
            "e4e",
            "encoder",
            encoder.network,
            (Input("face_view"),),
            ("w_plus",),
            random=partial(_uniform, (3, SIDE, SIDE)),
            real=lambda: (encoder.view(samples.face_crop(stack)),),
        )
        return
    yield Exportable(
        "encoder",
        "encoder",
        TrunkAndHead(encoder),
        (Input("face_view"),),
        ("w_offsets",),
        random=partial(_uniform, (3, *VIEW_SIZE)),
        real=lambda: (encoder_view(samples.face_crop(stack)),),
    )


def _detector(stack: Stack) -> Iterator[Exportable]:
    detector = stack.detector
    sides = tuple((2 + i, Axis(name, 12, 320, 640)) for i, name in enumerate(("columns", "rows")))
    yield Exportable(
        "pnet",
        "detector",
        detector.pnet,
        (Input("pyramid_level", sides),),
        ("face_map", "box_map"),
        random=partial(_uniform, (3, 61, 40)),
        real=partial(_in_tuple, samples.pyramid_level),
    )
    for name, network, side, outputs in (
        ("rnet", detector.rnet, 24, ("face_score", "box_offsets")),
        ("onet", detector.onet, 48, ("face_score", "box_offsets", "five_points")),
    ):
        yield Exportable(
            name,
            "detector",
            network,
            (Input("box_crops"),),
            outputs,
            random=partial(_uniform, (3, side, side)),
            real=partial(_in_tuple, samples.detector_crops, stack, side),
        )


def _landmarks(stack: Stack) -> Iterator[Exportable]:
    yield Exportable(
        "landmarks-68",
        "landmarks",
        stack.prompter.landmarks,
        (Input("gray_face"),),
        ("landmark_points",),
        random=lambda n, g: (torch.rand(n, 1, 64, 64, generator=g),),
        real=lambda: (samples.gray_face(stack),),
    )


def _in_tuple(make: Callable[..., Tensor], *arguments: object) -> Tensors:
    return (make(*arguments),)


def _uniform(shape: tuple[int, ...], batch: int, chance: torch.Generator) -> Tensors:
    return (torch.rand(batch, *shape, generator=chance) * 2 - 1,)


_MAKERS: dict[str, Callable[[Stack], Iterator[Exportable]]] = {
    "generator": _generator,
    "clip-image": _clip_image,
    "clip-text": _clip_text,
    "recognisers": _recognisers,
    "encoder": _encoder,
    "detector": _detector,
    "landmarks": _landmarks,
}

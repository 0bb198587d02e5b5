"""The networks in the form in which they are exported: traceable modules with tensors in and tensors out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.errors import ConfigError
from engines.makeup.text_image import Embedded, OpenClip, TextImageModel
from engines.networks.encoder import Encoder, trunk_features
from engines.networks.frame import MASK_WINDOW, trim
from engines.networks.generator import StyleGenerator
from engines.networks.makeup_clip import MakeupClip
from engines.networks.preview import LAYERS, Preview


class Synthesis(nn.Module):
    """W+ and all noise maps -> image (N, 3, 1024, 1024)."""

    def __init__(self, generator: StyleGenerator) -> None:
        super().__init__()
        self.synthesis = generator.synthesis

    def forward(self, w: Tensor, *noise: Tensor) -> Tensor:
        return self.synthesis(w, noise)


class SmallWindow(nn.Module):
    """W+ and the first layers' noise maps -> the mask's window of the image at a quarter of its size."""

    def __init__(self, preview: Preview) -> None:
        super().__init__()
        self.synthesis, self.head = preview.generator.synthesis, preview.head

    def forward(self, w: Tensor, *noise: Tensor) -> Tensor:
        features = self.synthesis.features(w, noise, MASK_WINDOW, LAYERS)
        return trim(self.head(features, w), MASK_WINDOW)


class TrunkAndHead(nn.Module):
    """View (N, 3, 128, 112) -> offsets from the mean latent (N, 23, 512)."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.trunk, self.head = encoder.trunk, encoder.head

    def forward(self, face: Tensor) -> Tensor:
        return self.head(trunk_features(self.trunk, face))


class ClipImage(nn.Module):
    """Views (N, 3, side, side) in [0, 1] -> unit embeddings (N, D)."""

    def __init__(self, model: TextImageModel) -> None:
        super().__init__()
        self.tower = (
            model.model.clip.visual if isinstance(model, Embedded) else require_open_clip(model).model.visual
        )
        self._images = model.images

    def forward(self, face: Tensor) -> Tensor:
        return self._images(face)


class ClipText(nn.Module):
    """Tokens (N, L) and the mask of words (N, L) -> unit embeddings (N, D), scores of the regions (N, R)."""

    def __init__(self, makeup: MakeupClip) -> None:
        super().__init__()
        self.text, self.regions = makeup.clip.text, makeup.regions

    def forward(self, tokens: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        words = self.text.transformer(input_ids=tokens, attention_mask=attended)
        pooled = self.text.pooler(words, attended)
        return F.normalize(self.text.proj(pooled), dim=1), self.regions(pooled)


class OpenClipText(nn.Module):
    """Tokens (N, L) of a model of open_clip -> unit embeddings (N, D)."""

    def __init__(self, model: OpenClip) -> None:
        super().__init__()
        self.clip = model.model

    def forward(self, tokens: Tensor) -> Tensor:
        return F.normalize(self.clip.encode_text(tokens), dim=1)


def require_open_clip(model: TextImageModel) -> OpenClip:
    """A model of open_clip.  Raises ConfigError for a model of another class."""
    if not isinstance(model, OpenClip):
        raise ConfigError(f"a text model of class {type(model).__name__} cannot be exported")
    return model


@contextmanager
def on_device(network: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """The network on a device, in evaluation mode.  It belongs to a stack and goes back after the block."""
    before = next((weight.device for weight in network.parameters()), device)
    network.to(device).eval()
    try:
        yield network
    finally:
        network.to(before)

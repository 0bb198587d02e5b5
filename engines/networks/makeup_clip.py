"""The embedded text-image model: an open_clip model (weights/makeup_clip.json) that knows makeup.

open_clip builds both towers (Radford et al. 2021).  The vision tower is `makeup_tower`.  The text tower is
the frozen sentence encoder under a trained projection.  A second reader of the sentence encoder's features
tells which regions of a face a sentence names.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from engines.networks.frame import REGIONS
from engines.networks.sentence import CONFIG, WIDTH, SentenceEncoder

#: Tokens of a prompt that the model reads.  The rest is cut off.
CONTEXT = 64
#: Width of the reader of regions.
_READER = 320
#: Mean and deviation by which views in [0, 1] are normalised.
MEAN, DEVIATION = 0.5, 0.25


class MakeupClip(nn.Module):
    """`clip` is the open_clip model.  `regions` scores (N, 8) which of `REGIONS` features (N, 384) name."""

    def __init__(self) -> None:
        super().__init__()
        from open_clip import CustomTextCLIP

        import engines.networks.makeup_tower  # noqa: F401  (open_clip finds the tower by its name)

        config: dict[str, Any] = json.loads((CONFIG.parent / "makeup_clip.json").read_text("utf-8"))
        config["text_cfg"]["hf_model_name"] = str(
            CONFIG.parent / Path(config["text_cfg"]["hf_model_name"]).name
        )
        #: Width of the embeddings.
        self.width: int = config["embed_dim"]
        self.clip = CustomTextCLIP(**config)
        self.regions = nn.Sequential(
            nn.Linear(WIDTH, _READER), nn.GELU(), nn.Dropout(0.2), nn.Linear(_READER, len(REGIONS))
        )
        self._tokenizer: Tensor | None = None

    def adopt(self, sentences: SentenceEncoder) -> MakeupClip:
        """Takes the sentence encoder as the text transformer, frozen."""
        self.clip.text.transformer = sentences.transformer.requires_grad_(False)
        self._tokenizer = sentences.tokenizer
        return self

    def trained(self) -> dict[str, Tensor]:
        """The trained weights, which ship: all but the sentence encoder."""
        return {key: tensor for key, tensor in self.state_dict().items() if "text.transformer" not in key}

    @torch.no_grad()
    def read(self, sentences: Sequence[str]) -> Tensor:
        """Features (N, 384) of sentences: the mean over their words."""
        text, tokens = self.clip.text, self.tokenize(sentences)
        attended = (tokens != text.config.pad_token_id).long()
        return text.pooler(text.transformer(input_ids=tokens, attention_mask=attended), attended)

    def tokenize(self, sentences: Sequence[str]) -> Tensor:
        """Token numbers (N, L), filled up with 0.  L is `CONTEXT` at most."""
        ids = [encoding.ids for encoding in self._words.encode_batch(list(sentences))]
        return torch.tensor(ids, device=self.clip.logit_scale.device)

    @cached_property
    def _words(self) -> Tokenizer:
        if self._tokenizer is None:
            raise RuntimeError("the model has no sentence encoder yet: call adopt")
        tokenizer = Tokenizer.from_buffer(self._tokenizer.cpu().numpy().tobytes())
        tokenizer.enable_truncation(CONTEXT)
        tokenizer.enable_padding()
        return tokenizer

"""MiniLM-L6, the sentence encoder of the embedded makeup model: a BERT of six layers (Wang et al. 2020)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

#: The network's shape in the form of `transformers`: a folder with a config.json.
CONFIG = Path(__file__).parents[1] / "weights" / "minilm"
WIDTH = 384
#: Size of the tokenizer's file in bytes.  The file travels with the weights.
_TOKENIZER_BYTES = 466_247


class SentenceEncoder(nn.Module):
    """The transformer, and its tokenizer.json as bytes, so that one cached file holds both."""

    tokenizer: Tensor

    def __init__(self) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModel

        self.transformer = AutoModel.from_config(AutoConfig.from_pretrained(CONFIG), add_pooling_layer=False)
        self.register_buffer("tokenizer", torch.zeros(_TOKENIZER_BYTES, dtype=torch.uint8))

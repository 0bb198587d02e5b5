"""Checkpoints as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.support.published import Named


def tensors_of(name: str, checkpoint: dict[str, Any]) -> Named:
    """The part of a checkpoint that holds the tensors."""
    part = {"stylegan2": "g_ema", "e4e": "state_dict"}.get(name)
    return checkpoint[part] if part else checkpoint


def written(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path

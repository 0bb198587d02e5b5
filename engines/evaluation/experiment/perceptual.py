"""LPIPS, where its weights are at hand: no package brings AlexNet's."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

#: The file by which torchvision knows the weights of AlexNet, in torch's own cache.
ALEXNET = "alexnet-owt-7be5be79.pth"
#: Longest side in px of the pictures that are compared: the measure was made for small ones.
_SIDE = 256


def why_no_lpips() -> str | None:
    """The part that LPIPS lacks, and how to get it; None where LPIPS can be measured."""
    if importlib.util.find_spec("lpips") is None:
        return "LPIPS was not measured: `pip install lpips` is needed, and AlexNet's weights"
    if not _weights().is_file():
        return (
            f"LPIPS was not measured: the weights of AlexNet, {ALEXNET}, are not in torch's cache;"
            " torchvision fetches them on a machine with a network"
        )
    return None


def lpips(a: np.ndarray, b: np.ndarray) -> float | None:
    """Perceptual distance (Zhang et al. 2018, version 0.1, AlexNet) of two pictures (H, W, 3) uint8.

    None where it cannot be measured: this function fetches nothing.
    """
    if why_no_lpips() is not None:
        return None
    first, second = (_prepared(x) for x in (a, b))
    with torch.no_grad():
        return float(_network()(first, second))


def _weights() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET


@lru_cache(1)
def _network() -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    import lpips

    return lpips.LPIPS(net="alex", verbose=False).eval().requires_grad_(False)


def _prepared(pixels: np.ndarray) -> torch.Tensor:
    image = Image.fromarray(pixels)
    shrink = min(1.0, _SIDE / max(image.size))
    size = tuple(max(1, round(shrink * n)) for n in image.size)
    small = np.array(image.resize((size[0], size[1]), Image.Resampling.LANCZOS))
    return torch.from_numpy(small).permute(2, 0, 1)[None].float() / 127.5 - 1

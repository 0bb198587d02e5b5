"""The networks are equal to the published ones, as `make_parity.py` froze them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.load import load_network
from engines.models.registry import SPECS
from engines.stack import Stack
from tests.support.tensors import off

PARITY = dict(np.load(Path(__file__).parents[2] / "fixtures" / "parity.npz"))


IMAGE_STRIDE = 13  # as in make_parity


DETECTOR = {"pnet": ("face", "box"), "rnet": ("face", "box"), "onet": ("face", "box", "points")}


def shown(name: str) -> Tensor:
    """Pictures of the fixture as (N, 3, H, W), 0..255."""
    return torch.from_numpy(PARITY[name]).permute(0, 3, 1, 2).float()


@pytest.mark.models
@torch.no_grad()
def test_mapping_is_the_published_one(stack: Stack) -> None:
    assert off(stack.generator.mapping(torch.from_numpy(PARITY["mapping_in"])), PARITY["mapping_out"]) < 1e-4


@pytest.mark.models
@torch.no_grad()
def test_synthesis_is_the_published_one_with_another_style_in_every_row(stack: Stack) -> None:
    w = torch.from_numpy(PARITY["mapping_out"])
    image = stack.generator((0.5 * w + 0.5 * w.mean(dim=0))[None])
    assert off(image[0, :, ::IMAGE_STRIDE, ::IMAGE_STRIDE], PARITY["synthesis_out"]) < 1e-4


@pytest.mark.models
@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("mobilefacenet-512", "mobilefacenet_in"),
        ("mobilefacenet-192", "mobilefacenet_in"),
        ("dlib-resnet29", "dlib-resnet29_in"),
    ],
)
@torch.no_grad()
def test_recognisers_are_the_published_ones(stack: Stack, name: str, pictures: str) -> None:
    recogniser = stack.recognisers[name]
    spec = SPECS[name].preprocessing
    x = (shown(pictures) - torch.tensor(spec.mean)[:, None, None]) / spec.scale
    expected = torch.from_numpy(PARITY[f"{name}_out"])
    assert off(recogniser.network(x), expected) < 1e-4
    # The same through `Recogniser`, which cuts, normalises and, for cosines, brings to length 1.
    identity = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    if recogniser.threshold.metric == "cosine":
        expected = expected / expected.norm(dim=1, keepdim=True)
    assert off(recogniser.embed(shown(pictures) / 255, identity), expected) < 1e-4


@pytest.mark.models
@pytest.mark.parametrize("name", DETECTOR)
@torch.no_grad()
def test_detector_is_the_published_one(stack: Stack, name: str) -> None:
    outputs = getattr(stack.detector, name)((shown(f"{name}_in") - 127.5) / 128)
    assert len(outputs) == len(DETECTOR[name])
    for part, output in zip(DETECTOR[name], outputs, strict=True):
        expected = PARITY[f"{name}_{part}"]
        expected = np.moveaxis(expected, -1, 1) if expected.ndim == 4 else expected
        assert off(output, expected[:, 1] if part == "face" else expected) < 1e-4, part


@pytest.mark.models
@torch.no_grad()
def test_landmarks_are_the_published_ones() -> None:
    gray = torch.from_numpy(PARITY["landmarks-68_in"]).float().mean(dim=3)[:, None] / 256
    points = load_network("landmarks-68")(gray)
    assert off(points.flatten(1), PARITY["landmarks-68_out"]) < 1e-4

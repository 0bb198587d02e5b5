"""A portrait, its face, and the generator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from engines.face.crop import AlignedFace
from engines.face.detect import Face, detect
from engines.latent.invert import invert
from engines.latent.target import generated_face
from engines.networks.mobilestylegan import Generator
from engines.runtime import tune_allocator
from engines.stack import Stack
from tests.support.photos import picture
from tests.support.published import LAYOUTS, drawer
from tests.support.transforms import CPU


@pytest.fixture(scope="session")
def generator(stack: Stack) -> Generator:
    return stack.generator


@pytest.fixture(scope="session")
def portrait(stack: Stack) -> np.ndarray:
    """A photo (400, 400, 3) of nobody, whose face is turned by 8 degrees."""
    turned = Image.fromarray(generated_face(stack.generator, 1)).rotate(
        8, Image.Resampling.BICUBIC, fillcolor=(90, 90, 90)
    )
    return picture(np.asarray(turned), 400)


@pytest.fixture(scope="session")
def face(stack: Stack, portrait: np.ndarray) -> Face:
    (found,) = detect(stack.detector, portrait)
    return found


@pytest.fixture(scope="session")
def aligned(portrait: np.ndarray, face: Face) -> AlignedFace:
    return AlignedFace.cut(portrait, face, CPU)


@pytest.fixture(scope="session")
def pivot(stack: Stack, aligned: AlignedFace) -> Tensor:
    return invert(stack.preview, aligned.crop, encoder=None, steps=6)


@pytest.fixture
def unchanged(generator: Generator) -> Iterator[None]:
    """After the test the generator must be what it was, bit by bit, and frozen."""
    before = {key: tensor.clone() for key, tensor in generator.state_dict().items()}
    yield
    assert all(torch.equal(tensor, before[key]) for key, tensor in generator.state_dict().items())
    assert not any(p.requires_grad for p in generator.parameters())
    assert all(p.grad is None for p in generator.mapping.parameters())


@pytest.fixture(scope="module")
def checkpoint() -> dict[str, Any]:
    tune_allocator()
    return LAYOUTS["stylegan2"](drawer())

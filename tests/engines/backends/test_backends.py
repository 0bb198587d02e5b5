"""Backends say whether they give gradients, and the search refuses those that give none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engines.backends import require_gradients
from engines.backends.attach import Served
from engines.backends.loading import Torch, load_exported
from engines.backends.manifest import read_manifest
from engines.errors import GradientError
from engines.face.recognise import Recogniser
from engines.latent import search
from engines.models.registry import get_spec
from engines.stack import Stack

CPU = torch.device("cpu")


def test_backends_say_whether_they_give_gradients(stack: Stack, engines_folder: Path) -> None:
    (engine,) = [e for e in read_manifest(engines_folder) if e.network == "mobilefacenet-192"]
    forward_only, network = (
        load_exported(engines_folder, engine, CPU),
        stack.recognisers["mobilefacenet-192"].network,
    )
    with_gradients = Torch(network)
    face = torch.rand(2, 3, 112, 112, requires_grad=True)
    assert with_gradients.differentiable and with_gradients(face)[0].requires_grad
    assert not forward_only.differentiable and not forward_only(face)[0].requires_grad
    assert torch.allclose(with_gradients(face)[0], forward_only(face)[0], atol=1e-4)
    require_gradients(with_gradients, "the search")
    require_gradients(network, "the search")
    with pytest.raises(
        GradientError, match=r"the search needs gradients, and onnxruntime .* cpu fp32 gives none"
    ):
        require_gradients(forward_only, "the search")


def test_the_search_refuses_a_surrogate_without_gradients(stack: Stack, engines_folder: Path) -> None:
    (engine,) = [e for e in read_manifest(engines_folder) if e.network == "mobilefacenet-192"]
    network: Any = load_exported(engines_folder, engine, CPU)
    surrogate = Recogniser(get_spec("mobilefacenet-192"), network)
    with pytest.raises(GradientError, match="the search by mobilefacenet-192 needs gradients"):
        search.search(SimpleNamespace(), [surrogate])  # type: ignore[arg-type]


def test_the_search_never_sees_an_engine(fast: Stack) -> None:
    for recogniser in fast.recognisers.values():
        require_gradients(recogniser.network, "the search")
        assert isinstance(recogniser.exported, Served)
        face = torch.rand(1, 3, 256, 256, requires_grad=True)
        transform = np.array([[1.0, 0, 0], [0, 1.0, 0]])
        assert recogniser.embed(face, transform).requires_grad
        assert not recogniser.embed(face, transform, forward_only=True).requires_grad

"""Networks are loaded strictly, and frozen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engines.errors import FormatError
from engines.load import load_network
from engines.models import store
from engines.models.convert import build_network
from engines.networks.mtcnn import MTCNN
from tests.support.tensors import off


@pytest.mark.parametrize("flaw", ["missing", "left over", "misshapen"])
def test_cached_weights_load_strictly(flaw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state = MTCNN().state_dict()
    if flaw == "missing":
        del state["rnet.box.bias"]
    elif flaw == "left over":
        state["rnet.box.more"] = torch.zeros(1)
    else:
        state["rnet.box.bias"] = torch.zeros(3)
    monkeypatch.setattr(store, "load", lambda name: state)
    with pytest.raises(FormatError, match=r"(?s)mtcnn.*rnet\.box") as caught:
        load_network("mtcnn")
    assert "\n" not in str(caught.value)  # the rule of engines.errors


def test_a_loaded_network_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "load", lambda name: MTCNN().state_dict())
    network = load_network("mtcnn")
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


@pytest.mark.models
@torch.no_grad()
def test_weights_that_only_slow_a_cpu_are_gone_and_nobody_sees_it() -> None:
    published = build_network("mobilefacenet-512")
    published.load_state_dict(store.load("mobilefacenet-512"))
    loaded = load_network("mobilefacenet-512")

    def negligible(network: nn.Module) -> int:
        return sum(int(((p != 0) & (p.abs() < 1e-20)).sum()) for p in network.parameters())

    assert negligible(published) > 100_000
    assert negligible(loaded) == 0
    crops = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert off(loaded(crops), published.eval()(crops)) < 1e-7

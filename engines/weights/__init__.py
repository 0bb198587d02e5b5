"""Networks that this project trained itself and ships.  Each has its model card beside it."""

from __future__ import annotations

from importlib.resources import files
from typing import TypeVar

import safetensors.torch
from torch import nn

_Network = TypeVar("_Network", bound=nn.Module)


def load_shipped(name: str, network: _Network, apart: str | None = None) -> _Network:
    """`network` with the shipped weights of this name, in single precision, frozen, on the CPU.

    Tensors whose names begin with `apart` come from elsewhere and stay as they are.
    """
    state = safetensors.torch.load(files(__name__).joinpath(f"{name}.safetensors").read_bytes())
    weights = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
    if apart is not None:
        weights |= {key: tensor for key, tensor in network.state_dict().items() if key.startswith(apart)}
    network.load_state_dict(weights, strict=True)
    return network.eval().requires_grad_(False)

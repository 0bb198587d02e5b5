"""What runs a network: torch, ONNX Runtime or TensorRT, behind one protocol.

A job that needs gradients takes torch alone.  A forward-only job may take an exported engine: one that `clip2protect
export` made and `clip2protect export verify` compared with torch (see `serve`).
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from engines.errors import GradientError


class Backend(Protocol):
    """One network, ready to run."""

    @property
    def name(self) -> str:
        """What runs it, as the report says it: `onnxruntime 1.31.1 cpu fp32`."""
        ...

    @property
    def differentiable(self) -> bool:
        """Whether gradients flow from its outputs to its inputs."""
        ...

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Outputs, batch first, in the order of the manifest, of inputs in that order; on the inputs' device.

        Raises EngineError where the runtime fails.
        """
        ...


def require_gradients(network: object, job: str) -> None:
    """Raises GradientError if a network says of itself that it gives no gradients; a torch module gives them."""
    if not getattr(network, "differentiable", True):
        name = getattr(network, "name", type(network).__name__)
        raise GradientError(f"{job} needs gradients, and {name} gives none: use the torch network for it")

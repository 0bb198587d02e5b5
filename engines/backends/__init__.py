"""What runs a network: torch, ONNX Runtime or TensorRT, behind one protocol.

A job that needs gradients always runs in torch.  A forward-only job may run an exported network.
`clip2protect export` makes those, and `clip2protect export verify` compares them with torch (see `attach`).
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from engines.errors import GradientError


class Backend(Protocol):
    """One network, ready to run."""

    @property
    def name(self) -> str:
        """The runtime, as it stands in the report: `onnxruntime 1.31.1 cpu fp32`."""
        ...

    @property
    def differentiable(self) -> bool:
        """Whether gradients flow from its outputs to its inputs."""
        ...

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Inputs -> outputs, both batch first and in the order of the manifest.

        Outputs lie on the device of the inputs.  Raises EngineError where the runtime fails.
        """
        ...


def require_gradients(network: object, job: str) -> None:
    """Raises GradientError if a network declares that it gives no gradients.  A torch module gives them."""
    if not getattr(network, "differentiable", True):
        name = getattr(network, "name", type(network).__name__)
        raise GradientError(f"{job} needs gradients, and {name} gives none: use the torch network for it")

"""A torch network's place that an exported network takes for forward-only jobs."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from engines.backends import Backend
from engines.errors import EngineError


class Served(nn.Module):
    """An exported network in a torch network's place.

    If it fails, torch takes over for good, and `failures` tells why.
    """

    differentiable = False

    def __init__(
        self,
        name: str,
        module: Callable[..., Tensor | tuple[Tensor, ...]],
        exported: Backend,
        failures: list[str],
    ) -> None:
        """`module` is the torch network, or a function that calls it with the exported network's inputs."""
        super().__init__()
        self.name, self.module, self.failures = name, module, failures
        self.exported: Backend | None = exported

    @property
    def backend(self) -> str:
        """Name of the runtime that runs the network now."""
        return "torch" if self.exported is None else self.exported.name

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The torch network's outputs."""
        if self.exported is not None:
            try:
                outputs = self.exported(*inputs)
                return outputs[0] if len(outputs) == 1 else outputs
            except EngineError as error:
                self.exported = None
                self.failures.append(f"{self.name} runs in torch: {error}")
        return self.module(*inputs)

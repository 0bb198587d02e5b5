"""A network for which an exported network does the forward-only jobs."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from engines.backends import Backend
from engines.errors import EngineError


class Served(nn.Module):
    """An exported network in a torch network's place.  Torch takes over for good if it fails; `failures` says why."""

    differentiable = False

    def __init__(
        self,
        name: str,
        module: Callable[..., Tensor | tuple[Tensor, ...]],
        engine: Backend,
        failures: list[str],
    ) -> None:
        """`module` is the torch network, or calls it with the exported network's inputs."""
        super().__init__()
        self.name, self.module, self.failures = name, module, failures
        self.engine: Backend | None = engine

    @property
    def backend(self) -> str:
        """Name of the runtime that runs it now."""
        return "torch" if self.engine is None else self.engine.name

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The torch network's outputs."""
        if self.engine is not None:
            try:
                outputs = self.engine(*inputs)
                return outputs[0] if len(outputs) == 1 else outputs
            except EngineError as error:
                self.engine = None
                self.failures.append(f"{self.name} runs in torch: {error}")
        return self.module(*inputs)

"""The networks, loaded when the first photo needs them and not before."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from server.cli.console import Bar

if TYPE_CHECKING:
    from engines.stack import Stack


class Session:
    """One command's networks: a run over nothing but broken files loads none."""

    def __init__(self, device: str = "auto") -> None:
        self._device = device

    @cached_property
    def stack(self) -> Stack:
        """Raises ConfigError (no such device) or ModelError (a network cannot be had)."""
        from engines.runtime import tune_allocator
        from engines.stack import Stack

        tune_allocator()
        with Bar() as bar:
            return Stack.embedded(self._device, progress=bar.fetching)

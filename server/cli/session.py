"""The networks, loaded when the first photo needs them and not before."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from server.cli.console import Bar, complain

if TYPE_CHECKING:
    from engines.stack import Stack


class Session:
    """One command's networks: a run over nothing but broken files loads none."""

    def __init__(
        self,
        device: str = "auto",
        *,
        text_model: str = "embedded",
        text_checkpoint: str | None = None,
        reference: Path | None = None,
        engines: bool = True,
    ) -> None:
        """As `embedded_stack`, or with a folder as `reference_stack`."""
        self._device, self._text_model, self._text_checkpoint = device, text_model, text_checkpoint
        self._reference, self._engines, self._announced = reference, engines, 0

    @cached_property
    def stack(self) -> Stack:
        """Raises ConfigError (no such device) or ModelError (a network cannot be had)."""
        from engines.load import embedded_stack, reference_stack
        from engines.runtime import tune_allocator

        tune_allocator()
        load = embedded_stack if self._reference is None else partial(reference_stack, self._reference)
        with Bar() as bar:
            stack = load(
                self._device,
                bar.fetching,
                text_model=self._text_model,
                text_checkpoint=self._text_checkpoint,
                engines=self._engines,
            )
        self._announce(stack)
        return stack

    def announce(self) -> None:
        """Says of every engine that could not be used why, once."""
        self._announce(self.stack)

    def _announce(self, stack: Stack) -> None:
        lines = stack.unused + stack.failures
        for line in lines[self._announced :]:
            complain(line)
        self._announced = len(lines)

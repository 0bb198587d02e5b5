"""Things that all tests of a folder share.

pytest has no such scope.  Things of a session outlive the folder's tests.  Playwright's loop runs in the
tests' own thread, and would then keep other folders' tests from running a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest


class Folder:
    """Makes each thing for the first test that asks, and ends all after the folder's last test."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._things: dict[str, Any] = {}

    def share(self, name: str, make: Callable[[], AbstractContextManager[Any]]) -> Any:
        """The thing of this name."""
        if name not in self._things:
            self._things[name] = self._stack.enter_context(make())
        return self._things[name]

    def after(self, following: pytest.Item | None) -> None:
        """A test is over; `following` is the next one."""
        if following is None or self._path not in following.path.parents:
            self.close()

    def close(self) -> None:
        """End all things."""
        self._things.clear()
        self._stack.close()

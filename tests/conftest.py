"""Fixtures that several test files share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # torch takes seconds to import, and many tests need none of it
    from engines.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The embedded networks on the CPU, fetched on first use."""
    from engines.runtime import tune_allocator
    from engines.stack import Stack

    tune_allocator()
    return Stack.embedded("cpu")

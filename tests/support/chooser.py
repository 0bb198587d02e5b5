"""Choosing files through the browser's own chooser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page


@contextmanager
def file_chooser(page: Page) -> Iterator[Any]:
    """The chooser that the keys or clicks inside open, as `value` afterwards.

    Playwright does not wait until the browser knows that a chooser is expected.  A key can be quicker (7 of
    60 times on a busy machine), and then the chooser is never reported.
    An answer of the page comes after that.
    """
    with page.expect_file_chooser() as chooser:
        page.evaluate("0")
        yield chooser

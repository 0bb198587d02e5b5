"""These tests themselves: what they need, and that they notice what they are to notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from extension.scripts import browser

from . import conftest
from .conftest import Tab


def test_without_a_browser_they_fail_and_say_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browser, "USUAL", tmp_path / "none")
    with pytest.raises(pytest.fail.Exception, match="^no Chromium: `apt-get install chromium`.*$"):
        conftest.find_chromium()


def test_they_notice_what_the_content_security_policy_forbids(tab: Tab) -> None:
    tab.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">')")
    tab.forgive("Content Security Policy")

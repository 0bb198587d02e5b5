"""`clip2protect prompts`."""

from __future__ import annotations

import pytest

from engines.makeup.presets import PRESETS
from server.cli.main import main

pytestmark = pytest.mark.usefixtures("folder")


def test_prompts_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out and prompt in out for name, prompt in PRESETS.items())

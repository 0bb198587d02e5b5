"""What is said on the console."""

from __future__ import annotations

import pytest

from server.cli import console


def test_every_line_of_an_error_is_joined(capsys: pytest.CaptureFixture[str]) -> None:
    console.complain("one\n  two\tthree")
    assert capsys.readouterr().err == "clip2protect: one two three\n"

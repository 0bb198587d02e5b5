"""`clip2protect bench`."""

from __future__ import annotations

import json

import pytest

from server.cli.main import main
from tests.support.command import Method

pytestmark = pytest.mark.usefixtures("folder")


def test_bench(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    method.bench = {"seconds": {"inversion": 12.345, "search": 30}, "peak_memory_mb": 2000}
    assert main(["bench", "--json", "--runs", "2", "--faces", "8"]) == 0
    assert json.loads(capsys.readouterr().out) == method.bench | {"runs": 2, "faces": 8}
    assert main(["bench"]) == 0
    rows = [line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == [
        ["seconds inversion", "12.35"],
        ["seconds search", "30"],
        ["peak memory mb", "2000"],
        ["runs", "3"],
        ["faces", "1"],
    ]

"""`clip2protect demo`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.photo.decode import load_photo
from server.cli.main import main
from tests.support.command import Method, files

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("fooled", [True, False])
def test_demo(fooled: bool, method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    method.fooled = fooled
    assert main(["demo", "-o", "out"]) == (0 if fooled else 1)
    names = ["astronaut-compared.png", "astronaut-protected.jpg", "astronaut-report.json", "astronaut.jpg"]
    assert files() == [f"out/{name}" for name in names]
    assert json.loads(Path("out/astronaut-report.json").read_text())["seconds"] == 61
    assert load_photo("out/astronaut.jpg").pixels.shape == (512, 512, 3)
    out, err = capsys.readouterr()
    (row,) = [line for line in out.splitlines() if "dlib-resnet29" in line]
    for cell in ("held out", "distance 0.250", "distance 0.750", "below 0.500"):
        assert cell in row
    assert row.endswith("no longer matched" if fooled else "still matched")
    assert bool(err) != fooled

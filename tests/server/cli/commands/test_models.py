"""`clip2protect models`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.models.registry import SPECS
from server.cli.main import main

pytestmark = pytest.mark.usefixtures("folder")


def test_models_list_and_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[:3] for row in rows] == [[spec.name, spec.role, "no"] for spec in SPECS.values()]
    assert main(["models", "path"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'home'}\n"
    assert main(["models", "path", "mtcnn", "dlib-resnet29"]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.parent for path in paths] == [tmp_path / "home" / "models"] * 2
    assert [path.name.rpartition("-")[0] for path in paths] == ["mtcnn", "dlib-resnet29"]


def test_models_verify(capsys: pytest.CaptureFixture[str]) -> None:
    from engines.models import store

    assert main(["models", "verify"]) == 0
    assert "models pull" in capsys.readouterr().out
    assert main(["models", "verify", "mtcnn"]) == 1
    assert "not in the cache" in capsys.readouterr().err
    path = store.path("mtcnn")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other bytes")
    manifest = {"name": "mtcnn", "size": 11, "sha256": "0" * 64, "source": "", "members": {}}
    path.with_suffix(".json").write_text(json.dumps(manifest))
    assert main(["models", "verify"]) == 1
    assert "models pull --force mtcnn" in capsys.readouterr().err

"""`clip2protect doctor`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from engines.models.registry import SPECS
from server.cli.commands import doctor
from server.cli.main import main

pytestmark = pytest.mark.usefixtures("folder")


def test_doctor_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report) == {"versions", "system", "devices", "cache", "models", "clients", "missing"}
    assert report["versions"]["python"] == sys.version.split()[0]
    assert report["versions"]["torch"][0].isdigit()
    assert {"onnxruntime", "tensorrt", "clip2protect"} <= set(report["versions"])
    assert report["devices"][0]["name"] == "cpu"
    assert report["devices"][0]["threads"] >= 1
    assert report["cache"]["folder"] == str(tmp_path / "home")
    assert report["cache"]["writable"]
    assert report["cache"]["free_mb"] == pytest.approx(shutil.disk_usage(tmp_path).free / 1e6, rel=0.1)
    assert [(model["name"], model["cached"]) for model in report["models"]] == [
        (name, False) for name in SPECS
    ]
    assert any("clip2protect models pull" in entry["remedy"] for entry in report["missing"])
    assert not (tmp_path / "home").exists()  # it looks and touches nothing


def test_doctor_without_npm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("  ! npm: install Node.js") for line in lines)
    assert lines[-1] == "Photos cannot be protected without the parts marked with !."


def test_doctor_without_a_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    version = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "tflite" else version(name))
    assert main(["doctor"]) == 1
    assert "  ! the Python package tflite: pip install tflite" in capsys.readouterr().out.splitlines()

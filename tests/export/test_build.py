"""An export is whole or not there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engines.backends.manifest import ExportedNetwork, read_manifest
from engines.errors import EngineError
from export import build
from export.catalogue import Exportable
from tests.support.exports import exported, names


def test_an_interrupted_export_leaves_whole_files_only(
    unloaded: Any, tmp_path: Path, two_tiny: list[Exportable], monkeypatch: pytest.MonkeyPatch
) -> None:
    slim = build.onnx.packages()["onnxslim"].slim
    calls: list[int] = []

    def interrupted(model: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return slim(model)

    monkeypatch.setattr("onnxslim.slim", interrupted)
    with pytest.raises(KeyboardInterrupt):
        exported(unloaded, tmp_path)
    assert names(tmp_path) == {"first.fp32.onnx", "manifest.json"}
    (engine,) = read_manifest(tmp_path)
    engine.checked_file(tmp_path)


def test_a_file_without_its_entry_is_no_engine(
    unloaded: Any, tmp_path: Path, two_tiny: list[Exportable], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path, engine: ExportedNetwork) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "record", killed)
    with pytest.raises(KeyboardInterrupt):
        exported(unloaded, tmp_path)
    assert names(tmp_path) == {"first.fp32.onnx"}
    assert read_manifest(tmp_path) == []


def test_a_second_export_takes_the_place_of_the_first(
    unloaded: Any, tmp_path: Path, two_tiny: list[Exportable]
) -> None:
    exported(unloaded, tmp_path)
    exported(unloaded, tmp_path)
    assert [e.network for e in read_manifest(tmp_path)] == ["first", "second"]


@pytest.mark.models
def test_ctrl_c_ends_the_command_with_nothing_half_written(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "server.cli",
        "export",
        "--models",
        "detector",
        "-o",
        str(tmp_path / "engines"),
    ]
    process = subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Shells have what they start in the background ignore Ctrl-C, and that is passed on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=120)
    assert line.startswith("pnet: ")
    assert process.returncode == 130
    assert "every file written so far is whole" in complaint
    engines = read_manifest(tmp_path / "engines")
    assert names(tmp_path / "engines") == {e.file for e in engines} | {"manifest.json"}
    for engine in engines:
        engine.checked_file(tmp_path / "engines")


@pytest.mark.parametrize("package", ["onnxscript", "onnxslim"])
def test_a_missing_package_is_named_with_its_remedy(
    package: str, unloaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineError, match=rf"the package {package}: pip install 'clip2protect\[export\]'"):
        exported(unloaded, tmp_path / "engines")
    assert not (tmp_path / "engines").exists()


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"format": 99, "engines": []}', '{"format": 1, "engines": [{"network": "x"}]}']
)
def test_a_foreign_manifest_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(EngineError, match="export"):
        read_manifest(tmp_path)


def test_an_entry_cannot_point_out_of_its_folder(
    unloaded: Any, tmp_path: Path, two_tiny: list[Exportable]
) -> None:
    exported(unloaded, tmp_path)
    content = json.loads((tmp_path / "manifest.json").read_text())
    content["engines"][0]["file"] = "../first.fp32.onnx"
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(EngineError, match="another version"):
        read_manifest(tmp_path)

"""`clip2protect export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from engines.backends.manifest import read_manifest
from engines.errors import ConfigError
from export import build
from export.catalogue import Exportable
from server.cli.main import main


@pytest.mark.parametrize(("text", "batch"), [("1:4:16", (1, 4, 16)), ("8", (8, 8, 8)), ("2:2:2", (2, 2, 2))])
def test_batches(text: str, batch: tuple[int, int, int]) -> None:
    assert build.parse_batch(text) == batch


@pytest.mark.parametrize("text", ["", "0", "4:1:16", "1:4", "a", "1:4:16:64", "-1", "1:4:100000"])
def test_unusable_batches(text: str) -> None:
    with pytest.raises(ConfigError, match="--batch"):
        build.parse_batch(text)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--models", "stylegan"], "--models stylegan: choose from generator, clip-image"),
        (["--models", ","], "--models ,: choose from"),
        (["--batch", "9:1:1"], "in rising order"),
        (["--time-limit", "0"], "--time-limit must be more than 0"),
    ],
)
def test_wrong_usage(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "-o", str(tmp_path / "engines"), *arguments]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "engines").exists()


@pytest.fixture
def session(two_tiny: list[Exportable], unloaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.cli.commands.export._stack", lambda device: unloaded)


def test_export_then_verify(session: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--models", "all", "--batch", "1:2:4", "-o", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said] == ["first", "second", "next"]
    assert main(["export", "verify", str(tmp_path), "--seed", "5"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [(row.split()[0], row.split()[-1]) for row in rows] == [
        ("first.fp32.onnx", "passed"),
        ("second.fp32.onnx", "passed"),
    ]
    assert [e.verified.seed for e in read_manifest(tmp_path) if e.verified] == [5, 5]
    assert [e.batch for e in read_manifest(tmp_path)] == [(1, 2, 4)] * 2


def test_verify_fails_where_one_does(
    session: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "-o", str(tmp_path)]) == 0
    (tmp_path / "first.fp32.onnx").unlink()
    assert main(["export", "verify", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "cannot be run" in told.out
    assert "first.fp32.onnx: No such file or directory; export it again" in told.err


def test_verify_of_an_empty_folder(session: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "verify", str(tmp_path)]) == 1
    assert "holds no exported network: run `clip2protect export -o" in capsys.readouterr().err


def test_without_onnx_runtime_verify_says_so(
    session: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["export", "-o", str(tmp_path)]) == 0
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["export", "verify", str(tmp_path)]) == 1
    assert "pip install 'clip2protect[cpu]', or [gpu]" in capsys.readouterr().err


def test_a_provider_that_is_not_here_is_refused(
    session: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    assert main(["export", "-o", str(tmp_path)]) == 0
    assert main(["export", "verify", str(tmp_path), "--provider", "cuda"]) == 1
    assert "no CUDAExecutionProvider: pip install 'clip2protect[gpu]'" in capsys.readouterr().err
    assert np.all([e.verified is None for e in read_manifest(tmp_path)])

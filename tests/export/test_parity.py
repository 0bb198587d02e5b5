"""The comparison finds what is wrong."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from engines.backends import manifest
from engines.backends.loading import load_exported
from engines.backends.manifest import fingerprint, read_manifest
from engines.errors import EngineError
from export import parity
from export.catalogue import Exportable
from tests.support.exports import CPU, exported


def test_an_engine_that_is_off_does_not_pass(
    unloaded: Any, tmp_path: Path, two_tiny: list[Exportable]
) -> None:
    first, _ = exported(unloaded, tmp_path)
    model = onnx.load(tmp_path / first.file)
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0])
    model.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(weight * 1.001, model.graph.initializer[0].name)
    )
    data = model.SerializeToString()
    (tmp_path / first.file).write_bytes(data)
    manifest.record(tmp_path, dataclasses.replace(first, sha256=hashlib.sha256(data).hexdigest()))
    judged = {p.exported.network: p for p in parity.verify(unloaded, tmp_path)}
    assert not judged["first"].passed and judged["second"].passed
    assert "values_out is off by 1.0e-03" in str(judged["first"].cause)
    assert {e.network: e.verified is not None for e in read_manifest(tmp_path)} == {
        "first": False,
        "second": True,
    }


def test_a_changed_file_is_refused(unloaded: Any, tmp_path: Path, two_tiny: list[Exportable]) -> None:
    first, _ = exported(unloaded, tmp_path)
    with (tmp_path / first.file).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(EngineError, match="is not the file that was exported: export it again"):
        load_exported(tmp_path, first, CPU)


def test_other_weights_are_refused(
    unloaded: Any, tmp_path: Path, two_tiny: list[Exportable], monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(unloaded, tmp_path)
    with torch.no_grad():
        two_tiny[0].network.weight += 1
    judged = list(parity.verify(unloaded, tmp_path))
    assert [p.passed for p in judged] == [False, True]
    assert "holds other weights than the network here: export it again" in str(judged[0].cause)


def test_what_is_not_finite_is_infinitely_wrong() -> None:
    value = torch.ones(3)
    assert parity.relative_error(value, torch.tensor([1.0, 1.0, float("nan")])) == float("inf")
    assert parity.relative_error(value, torch.ones(4)) == float("inf")
    assert parity.relative_error(value, torch.tensor([1.0, 1.0, 4.0])) == pytest.approx(3**0.5)


def test_a_fingerprint_is_that_of_the_weights_alone() -> None:
    a, b = nn.Linear(3, 2), nn.Linear(3, 2)
    assert fingerprint(nn.Sequential(a, b)) == fingerprint(b, a) != fingerprint(a)
    before = fingerprint(a)
    with torch.no_grad():
        a.weight[0, 0] += 1
    assert fingerprint(a) != before

"""Exported networks: equal to torch, open in what may vary, whole or not there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from engines.backends import manifest
from engines.backends.loading import load_exported
from engines.backends.manifest import ExportedNetwork, fingerprint, read_manifest
from engines.errors import ConfigError, EngineError, OutputError
from engines.stack import Stack
from export import build, limits, parity
from export.catalogue import GROUPS, Exportable, Input, exportables
from export.limits import MAX_BYTES, Deadline, check_size
from export.onnx import to_onnx
from server.cli.main import main

NETWORKS = (
    "mapping",
    "generator",
    "preview",
    "clip-image",
    "clip-text",
    "mobilefacenet-512",
    "mobilefacenet-192",
    "dlib-resnet29",
    "encoder",
    "pnet",
    "rnet",
    "onet",
    "landmarks-68",
)
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def entries(stack: Stack) -> dict[str, Exportable]:
    return {entry.name: entry for entry in exportables(stack)}


@pytest.fixture(scope="session")
def engines(engines_folder: Path) -> dict[str, ExportedNetwork]:
    return {engine.network: engine for engine in read_manifest(engines_folder)}


class Doubled(nn.Module):
    """The smallest network: quick to export."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((4,), 2.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def tiny(name: str = "tiny", network: nn.Module | None = None) -> Exportable:
    return Exportable(
        name,
        "encoder",
        network or Doubled(),
        (Input("values_in"),),
        ("values_out",),
        random=lambda n, g: (torch.rand(n, 4, generator=g) + 1,),
        real=lambda: (torch.ones(1, 4),),
    )


@pytest.fixture
def two_tiny(monkeypatch: pytest.MonkeyPatch) -> list[Exportable]:
    """Two small networks in place of all."""
    made = [tiny("first"), tiny("second")]
    for module in (build, parity):
        monkeypatch.setattr(module, "exportables", lambda stack, groups=GROUPS: made)
    return made


@pytest.fixture
def unloaded() -> Any:
    """What stands for a stack where its networks are replaced."""
    return SimpleNamespace(device=CPU)


def exported(unloaded: Any, folder: Path, **options: Any) -> list[ExportedNetwork]:
    return list(build.export(unloaded, folder, **options))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


# --- parity ----------------------------------------------------------------------------------------


@pytest.mark.models
def test_every_network_is_in_the_table(entries: dict[str, Exportable]) -> None:
    assert tuple(entries) == NETWORKS


@pytest.mark.models
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_runtime_gives_what_torch_gives(
    name: str, entries: dict[str, Exportable], engines: dict[str, ExportedNetwork]
) -> None:
    """On random inputs that are others in every run, one and two of them, and on a real one: see `engines_folder`."""
    verdict = engines[name].verified
    assert verdict is not None
    assert set(verdict.errors) == set(entries[name].outputs)
    assert max(verdict.errors.values()) < 1e-4
    if entries[name].recogniser is not None:
        assert verdict.similarity is not None and verdict.similarity < 1e-4


@pytest.mark.models
@pytest.mark.parametrize("name", NETWORKS)
def test_the_manifest_says_what_the_file_is(
    name: str, entries: dict[str, Exportable], engines: dict[str, ExportedNetwork], engines_folder: Path
) -> None:
    engine = engines[name]
    session = onnxruntime.InferenceSession(engine.checked_file(engines_folder), providers=["CPUExecutionProvider"])
    assert [v.name for v in engine.inputs] == [i.name for i in session.get_inputs()]
    assert (
        [v.name for v in engine.outputs]
        == [o.name for o in session.get_outputs()]
        == [*entries[name].outputs]
    )
    assert all(isinstance(v.shape[0], str) for v in (*engine.inputs, *engine.outputs))
    assert engine.weights == entries[name].weights
    assert engine.bytes == (engines_folder / engine.file).stat().st_size
    assert engine.verified is not None


@pytest.mark.models
@torch.no_grad()
@pytest.mark.parametrize("size", [(12, 12), (13, 40), (640, 427)])
def test_the_first_detector_runs_at_any_size(
    size: tuple[int, int], stack: Stack, engines: dict[str, ExportedNetwork], engines_folder: Path
) -> None:
    image = torch.rand(1, 3, *size) * 2 - 1
    got = load_exported(engines_folder, engines["pnet"], CPU)(image)
    for a, b in zip(stack.detector.pnet(image), got, strict=True):
        assert parity.relative_error(a, b) < 1e-4


@pytest.mark.models
def test_the_generator_takes_w_plus_and_every_noise_map(
    stack: Stack, entries: dict[str, Exportable], engines: dict[str, ExportedNetwork], engines_folder: Path
) -> None:
    backend = load_exported(engines_folder, engines["generator"], CPU)
    inputs = list(entries["generator"].random(1, torch.Generator().manual_seed(3)))
    assert len(inputs) == 1 + len(stack.generator.synthesis.noise_maps())
    (first,) = backend(*inputs)
    for changed in (0, 1, len(inputs) - 1):
        (other,) = backend(*(x + 0.3 if i == changed else x for i, x in enumerate(inputs)))
        assert parity.relative_error(first, other) > 1e-3


# --- the comparison finds what is wrong -----------------------------------------------------------------


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
    assert {e.network: e.verified is not None for e in read_manifest(tmp_path)} == {"first": False, "second": True}


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


# --- whole or not there ---------------------------------------------------------------------------------


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


# --- limits, refusals -----------------------------------------------------------------------------------


def test_an_export_that_takes_too_long_is_ended(
    unloaded: Any, tmp_path: Path, two_tiny: list[Exportable]
) -> None:
    with pytest.raises(EngineError, match="first was not ready after 1e-09 s: raise --time-limit"):
        exported(unloaded, tmp_path, time_limit=1e-9)
    assert names(tmp_path) == set()


def test_the_deadline_ends_what_runs() -> None:
    def forever() -> None:
        with Deadline("loop", 0.05).enforced():
            while True:
                pass

    with pytest.raises(EngineError, match="loop was not ready"):
        forever()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_files_that_are_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="an ONNX file holds 2147483647: export it in --precision fp16"):
        check_size("big", MAX_BYTES + 1, tmp_path)
    monkeypatch.setattr(limits.shutil, "disk_usage", lambda path: SimpleNamespace(free=200 << 20))
    check_size("small", 50 << 20, tmp_path / "not" / "there")
    with pytest.raises(OutputError, match="needs 150 MiB"):
        check_size("big", 150 << 20, tmp_path)


class Fixed(nn.Module):
    """A network with the batch of its sample built in."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.arange(len(x.tolist()))[:, None]


def test_a_batch_that_became_a_constant_is_refused() -> None:
    with pytest.raises(EngineError, match="fixed cannot be exported"):
        to_onnx(tiny("fixed", Fixed()), Deadline("fixed"))


@pytest.mark.parametrize("package", ["onnxscript", "onnxslim"])
def test_a_missing_package_is_named_with_its_remedy(
    package: str, unloaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineError, match=rf"the package {package}: pip install 'clip2protect\[export\]'"):
        exported(unloaded, tmp_path / "engines")
    assert not (tmp_path / "engines").exists()


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


# --- the command ----------------------------------------------------------------------------------------


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

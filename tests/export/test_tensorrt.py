"""TensorRT: names and refusals anywhere, builds where TensorRT for RTX is installed, runs on a GPU."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from onnx import load as load_model

from engines.backends import trt
from engines.backends.loading import load_exported
from engines.backends.manifest import ExportedNetwork, Value, read_manifest
from engines.errors import EngineError
from engines.stack import Stack
from export import onnx, parity, tensorrt
from export.build import export
from export.catalogue import Axis, Exportable, Input, exportables
from export.limits import Deadline
from export.precision import lower, lower_safely
from export.tensorrt import Target, profile_shapes

GPU = "NVIDIA RTX A6000 sm86"


def engine_for(version: str | None, gpu: str | None) -> ExportedNetwork:
    value = Value("x", "float32", ("batch", 4))
    return ExportedNetwork(
        network="tiny",
        runtime="tensorrt",
        precision="fp16",
        file="tiny.engine",
        sha256="",
        bytes=0,
        weights="",
        inputs=(value,),
        outputs=(value,),
        batch=(1, 4, 16),
        opset=20,
        made_with={},
        version=version,
        gpu=gpu,
    )


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).relu().mean(dim=(2, 3))


@pytest.fixture
def entry() -> Exportable:
    torch.manual_seed(0)
    sides = ((2, Axis("rows", 8, 16, 32)), (3, Axis("columns", 8, 16, 32)))
    return Exportable(
        "small",
        "encoder",
        Small().eval(),
        (Input("pixels_in", sides),),
        ("values_out",),
        random=lambda n, g: (torch.rand(n, 3, 11, 9, generator=g),),
        real=lambda: (torch.ones(1, 3, 8, 8),),
    )


@pytest.fixture
def rtx() -> Target:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (extra `rtx`)")
    return tensorrt.target("tensorrt_rtx")


# --- anywhere ----------------------------------------------------------------------------------------


def test_no_two_targets_share_a_file() -> None:
    targets = [
        Target(runtime, version, gpu)
        for runtime in ("tensorrt", "tensorrt_rtx")
        for version in ("10.13.0", "11.4.0")
        for gpu in (GPU, "NVIDIA RTX A6000 sm90", None)
    ]
    names = [
        target.file_name(net, p) for target in targets for p in ("fp32", "fp16") for net in ("pnet", "rnet")
    ]
    names += [target.cache_name for target in targets]
    assert len(set(names)) == len(names)
    assert all(
        set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        for name in names
    )


@pytest.mark.parametrize(
    ("version", "gpu", "here", "complaint"),
    [
        (
            "10.0",
            GPU,
            GPU,
            "built by tensorrt 10.0, here is 11.4: build it here by `clip2protect export --format tens",
        ),
        (
            "11.4",
            GPU,
            "NVIDIA H100 sm90",
            "built for NVIDIA RTX A6000 sm86, here is NVIDIA H100 sm90: build it here",
        ),
        ("11.4", GPU, None, "needs an NVIDIA GPU and torch sees none: use --format onnx"),
    ],
)
def test_an_engine_of_elsewhere_is_refused_with_the_remedy(
    version: str, gpu: str, here: str | None, complaint: str
) -> None:
    with pytest.raises(EngineError, match=complaint):
        trt.require_built_for_here(engine_for(version, gpu), "11.4", here)


@pytest.mark.parametrize("gpu", [GPU, None])
def test_an_engine_of_here_is_taken(gpu: str | None) -> None:
    trt.require_built_for_here(engine_for("11.4", gpu), "11.4", GPU)


@pytest.mark.parametrize(
    ("runtime", "remedy"),
    [("tensorrt", r"pip install 'clip2protect\[gpu\]'"), ("tensorrt_rtx", r"clip2protect\[rtx\]")],
)
def test_a_missing_package_is_named_with_its_remedy(
    runtime: Any, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, runtime, None)
    with pytest.raises(EngineError, match=remedy):
        list(export(object(), tmp_path / "engines", kind=runtime))  # type: ignore[arg-type]
    assert not (tmp_path / "engines").exists()


def test_tensorrt_without_a_gpu_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", type(sys)("tensorrt"))
    monkeypatch.setattr("tensorrt.__version__", "11.4", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineError, match="torch sees none: use --format onnx here"):
        tensorrt.target("tensorrt")


def test_profiles_leave_open_what_may_vary(entry: Exportable) -> None:
    assert profile_shapes(entry, 0, (-1, 3, -1, -1), (1, 4, 16)) == [
        (1, 3, 8, 8),
        (4, 3, 16, 16),
        (16, 3, 32, 32),
    ]


@pytest.mark.parametrize(("count", "calls"), [(1, [1]), (4, [4]), (5, [4, 1]), (9, [4, 4, 1])])
def test_more_than_the_largest_batch_is_run_in_parts(count: int, calls: list[int]) -> None:
    seen = []

    def run(inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        seen.append(len(inputs[0]))
        return (inputs[0] + inputs[1],)

    a, b = torch.arange(count), torch.arange(count) * 10
    (result,) = trt.in_parts(run, (a, b), 4)
    assert torch.equal(result, a + b)
    assert seen == calls


# --- where TensorRT for RTX is installed: it builds without a GPU --------------------------------------


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_an_engine_is_built(rtx: Target, entry: Exportable, precision: Any, tmp_path: Path) -> None:
    model = onnx.to_onnx(entry, Deadline("small"), onnx.OPSET[precision])
    if precision != "fp32":
        model, _ = lower_safely(model, entry, precision, Deadline("small"))
    told: list[str] = []
    plan = tensorrt.build(
        model.SerializeToString(),
        entry,
        rtx,
        (1, 4, 16),
        tmp_path,
        Deadline("small"),
        lambda message, done, total: told.append(message),
    )
    assert len(plan) > 1000
    assert told and all(message.startswith("small: ") for message in told)


@pytest.mark.models
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_every_network_can_be_built(
    rtx: Target, precision: Any, stack: Stack, engines_folder: Path, tmp_path: Path
) -> None:
    files = {engine.network: engines_folder / engine.file for engine in read_manifest(engines_folder)}
    for network in exportables(stack):
        model = load_model(files[network.name])
        if precision == "fp16":
            model = lower(model, frozenset(), "fp16")
        data = model.SerializeToString()
        plan = tensorrt.build(
            data, network, rtx, (1, 4, 16), tmp_path, Deadline(network.name), lambda *_: None
        )
        assert len(plan) > 1000


def test_an_interrupted_build_leaves_nothing(
    rtx: Target, entry: Exportable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(message: str, done: int | None, total: int | None) -> None:
        if done == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("export.build.exportables", lambda stack, groups: [entry])
    with pytest.raises(KeyboardInterrupt):
        list(export(object(), tmp_path, kind="tensorrt_rtx", progress=interrupt))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_build_ends_at_its_deadline(rtx: Target, entry: Exportable, tmp_path: Path) -> None:
    model = onnx.to_onnx(entry, Deadline("small")).SerializeToString()
    with pytest.raises(EngineError, match="small was not ready after 0 s: raise --time-limit"):
        tensorrt.build(model, entry, rtx, (1, 4, 16), tmp_path, Deadline("small", 0), lambda *_: None)


def test_a_model_that_cannot_be_read_is_refused(rtx: Target, entry: Exportable, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="tensorrt_rtx cannot read the model"):
        tensorrt.build(b"no model", entry, rtx, (1, 1, 1), tmp_path, Deadline("small"), lambda *_: None)


def test_what_was_built_is_refused_where_there_is_no_gpu(
    rtx: Target, entry: Exportable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.build.exportables", lambda stack, groups: [entry])
    (engine,) = export(object(), tmp_path, kind="tensorrt_rtx")  # type: ignore[arg-type]
    assert (engine.runtime, engine.version, engine.gpu) == ("tensorrt_rtx", rtx.version, None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineError, match="needs an NVIDIA GPU and torch sees none"):
        load_exported(tmp_path, engine, torch.device("cpu"))


# --- on a GPU -----------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@pytest.mark.parametrize("runtime", ["tensorrt", "tensorrt_rtx"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_an_engine_gives_what_torch_gives(
    runtime: Any, precision: Any, entry: Exportable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(runtime)
    monkeypatch.setattr("export.build.exportables", lambda stack, groups: [entry])
    (engine,) = export(object(), tmp_path, kind=runtime, precision=precision)  # type: ignore[arg-type]
    device = torch.device("cuda")
    backend = load_exported(tmp_path, engine, device)
    verdict = parity.compare(entry, engine, backend, device, "cuda", seed=3)
    assert max(verdict.errors.values()) < parity.TOLERANCE[precision]

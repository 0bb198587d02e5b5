"""Which backend runs a job: the fastest that was verified, torch otherwise, and always said."""

from __future__ import annotations

import dataclasses
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor, nn

from engines.backends import manifest, require_gradients
from engines.backends.attach import JOBS, Served, backends
from engines.backends.loading import Torch, load_exported
from engines.backends.manifest import ExportedNetwork, exports_dir, read_manifest
from engines.config import Settings
from engines.errors import EngineError, GradientError
from engines.face.detect import detect
from engines.face.recognise import Recogniser, embed_face
from engines.latent import search
from engines.latent.target import generated_face
from engines.load import embedded_stack
from engines.models.registry import get_spec
from engines.photo.decode import Photo, decode
from engines.pipeline import protect
from engines.stack import Stack

pytestmark = pytest.mark.models
RECOGNISERS = ("mobilefacenet-512", "mobilefacenet-192", "dlib-resnet29")
SERVED = {"pnet", "rnet", "onet", "encoder", *RECOGNISERS, "preview", "generator"}
CPU = torch.device("cpu")


def changed(source: Path, folder: Path, change: Callable[[ExportedNetwork], ExportedNetwork]) -> Path:
    """The same engines with other entries in the manifest."""
    folder.mkdir()
    for engine in read_manifest(source):
        new = change(engine)
        (folder / new.file).symlink_to(source / engine.file)
        manifest.record(folder, new)
    return folder


def timed(engine: ExportedNetwork, seconds: float) -> ExportedNetwork:
    """As if a call had taken so long, and torch a second."""
    assert engine.verified is not None
    return dataclasses.replace(
        engine, verified=dataclasses.replace(engine.verified, seconds=seconds, torch_seconds=1.0)
    )


def stack_with(folder: Path | str, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("CLIP2PROTECT_ENGINES", str(folder))
    return embedded_stack("cpu")


@pytest.fixture
def fast(engines_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack with an engine wherever one may stand."""
    return stack_with(changed(engines_folder, tmp_path / "fast", lambda e: timed(e, 0.5)), monkeypatch)


def astronaut() -> Photo:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()[:256, 100:356]).save(buffer, "PNG")
    return decode(buffer.getvalue())


# --- gradients -----------------------------------------------------------------------------------------


def test_backends_say_whether_they_give_gradients(stack: Stack, engines_folder: Path) -> None:
    (engine,) = [e for e in read_manifest(engines_folder) if e.network == "mobilefacenet-192"]
    forward_only, network = load_exported(engines_folder, engine, CPU), stack.recognisers["mobilefacenet-192"].network
    with_gradients = Torch(network)
    face = torch.rand(2, 3, 112, 112, requires_grad=True)
    assert with_gradients.differentiable and with_gradients(face)[0].requires_grad
    assert not forward_only.differentiable and not forward_only(face)[0].requires_grad
    assert torch.allclose(with_gradients(face)[0], forward_only(face)[0], atol=1e-4)
    require_gradients(with_gradients, "the search")
    require_gradients(network, "the search")
    with pytest.raises(
        GradientError, match=r"the search needs gradients, and onnxruntime .* cpu fp32 gives none"
    ):
        require_gradients(forward_only, "the search")


def test_the_search_refuses_a_surrogate_without_gradients(stack: Stack, engines_folder: Path) -> None:
    (engine,) = [e for e in read_manifest(engines_folder) if e.network == "mobilefacenet-192"]
    network: Any = load_exported(engines_folder, engine, CPU)
    surrogate = Recogniser(get_spec("mobilefacenet-192"), network)
    with pytest.raises(GradientError, match="the search by mobilefacenet-192 needs gradients"):
        search.search(SimpleNamespace(), [surrogate])  # type: ignore[arg-type]


def test_the_search_never_sees_an_engine(fast: Stack) -> None:
    for recogniser in fast.recognisers.values():
        require_gradients(recogniser.network, "the search")
        assert isinstance(recogniser.exported, Served)
        face = torch.rand(1, 3, 256, 256, requires_grad=True)
        transform = np.array([[1.0, 0, 0], [0, 1.0, 0]])
        assert recogniser.embed(face, transform).requires_grad
        assert not recogniser.embed(face, transform, forward_only=True).requires_grad


# --- the choice ----------------------------------------------------------------------------------------


def test_the_fastest_engine_that_beats_torch_is_used(fast: Stack) -> None:
    assert set(fast.served) == SERVED
    assert fast.unused == []
    said = backends(fast)
    assert tuple(said) == JOBS
    assert all(name.startswith("onnxruntime ") and name.endswith(" cpu fp32") for name in said.values())


def test_of_two_engines_the_faster_one_is_used(
    engines_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = changed(engines_folder, tmp_path / "two", lambda e: timed(e, 0.5))
    (known,) = [e for e in read_manifest(folder) if e.network == "encoder"]
    for precision, seconds in (("fp16", 0.2), ("bf16", 0.7)):
        again = dataclasses.replace(
            timed(known, seconds), precision=precision, file=f"encoder.{precision}.onnx"
        )
        (folder / again.file).symlink_to(engines_folder / known.file)
        manifest.record(folder, again)
    assert backends(stack_with(folder, monkeypatch))["encoding"].endswith("cpu fp16")


def test_a_slower_engine_is_not_used(
    engines_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = changed(engines_folder, tmp_path / "slow", lambda e: timed(e, 2.0 if e.network == "rnet" else 0.5))
    stack = stack_with(slow, monkeypatch)
    assert set(stack.served) == SERVED - {"rnet"}
    assert backends(stack)["detection"].endswith("(pnet, onet), torch (rnet)")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            {"verified": None},
            "was not compared with torch, or did not pass: run `clip2protect export verify`",
        ),
        ({"weights": "0"}, "holds other weights than the network here: export it again"),
        ({"sha256": "0"}, "is not the file that was exported: export it again"),
        ({"runtime": "tensorrt"}, "pip install 'clip2protect[gpu]'"),
    ],
)
def test_what_cannot_be_used_is_announced(
    change: dict[str, Any],
    complaint: str,
    engines_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)

    def worse(engine: ExportedNetwork) -> ExportedNetwork:
        engine = timed(engine, 0.5)
        return dataclasses.replace(engine, **change) if engine.network == "encoder" else engine

    stack = stack_with(changed(engines_folder, tmp_path / "worse", worse), monkeypatch)
    assert set(stack.served) == SERVED - {"encoder"}
    (note,) = stack.unused
    assert note.startswith("encoder does not use its exported file: ") and complaint in note
    assert backends(stack)["encoding"] == "torch"


def test_another_version_of_the_runtime_has_to_be_compared_anew(
    engines_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def older(engine: ExportedNetwork) -> ExportedNetwork:
        assert engine.verified is not None
        return dataclasses.replace(
            engine, verified=dataclasses.replace(engine.verified, runtime="onnxruntime 1.0")
        )

    stack = stack_with(changed(engines_folder, tmp_path / "older", older), monkeypatch)
    assert stack.served == {}
    assert len(stack.unused) == len(SERVED)
    assert "was compared on onnxruntime 1.0, here is onnxruntime" in stack.unused[0]


def test_an_unreadable_manifest_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "manifest.json").write_text("{")
    stack = stack_with(tmp_path, monkeypatch)
    assert set(backends(stack).values()) == {"torch"}
    assert "all networks run in torch: cannot read" in stack.unused[0]


def test_no_folder_no_engine_no_word(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backends(stack) == dict.fromkeys(JOBS, "torch")
    bare = stack_with(tmp_path, monkeypatch)
    assert (bare.served, bare.unused) == ({}, [])
    monkeypatch.setenv("CLIP2PROTECT_ENGINES", "none")
    assert exports_dir() is None
    monkeypatch.delenv("CLIP2PROTECT_ENGINES")
    monkeypatch.setenv("CLIP2PROTECT_HOME", str(tmp_path))
    assert exports_dir() == tmp_path / "engines"


def test_an_engine_that_fails_hands_over_to_torch_and_says_so() -> None:
    class Failing:
        name, differentiable, calls = "onnxruntime 1.0 cpu fp32", False, 0

        def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
            self.calls += 1
            raise EngineError("ONNX Runtime failed on double: no memory")

    notes: list[str] = []
    failing, network = Failing(), nn.Linear(3, 2)
    served = Served("double", network, failing, notes)
    x = torch.rand(4, 3)
    for _ in range(2):
        assert torch.equal(served(x), network(x))
    assert failing.calls == 1
    assert served.backend == "torch"
    assert notes == ["double runs in torch: ONNX Runtime failed on double: no memory"]


# --- the jobs ------------------------------------------------------------------------------------------


def test_jobs_come_out_as_in_torch(stack: Stack, fast: Stack) -> None:
    pixels = skimage.data.astronaut()
    (a,), (b,) = detect(stack.detector, pixels), detect(fast.detector, pixels)
    assert np.allclose(a.points, b.points, atol=1e-2)
    for name, recogniser in stack.recognisers.items():
        wanted = embed_face(recogniser, pixels, a)
        got = embed_face(fast.recognisers[name], pixels, a)
        assert torch.allclose(wanted, got, atol=1e-4)
    view = torch.rand(2, 3, 128, 112) * 2 - 1
    assert torch.allclose(stack.encoder(view), fast.encoder(view), atol=1e-3)
    w, noise = stack.generator.sample_w(5, 2), stack.generator.synthesis.noise_maps()
    assert torch.allclose(stack.preview.final(w, noise), fast.preview.final(w, noise), atol=1e-3)
    faces = generated_face(stack.generator, 4).astype(int), generated_face(fast.generator, 4).astype(int)
    assert np.abs(faces[0] - faces[1]).max() <= 1


def test_protection_with_engines_is_that_of_torch(stack: Stack, fast: Stack) -> None:
    settings = Settings(steps=2, prompt="none")
    wanted, got = protect(astronaut(), stack, settings), protect(astronaut(), fast, settings)
    assert wanted.report["backends"] == dict.fromkeys(JOBS, "torch")
    assert got.report["backends"] == backends(fast)
    assert got.report["fallbacks"] == []
    (a,), (b,) = wanted.report["faces"], got.report["faces"]
    assert a["psnr"] == pytest.approx(b["psnr"], abs=0.5)
    for name, result in a["recognisers"].items():
        assert result["before"] == pytest.approx(b["recognisers"][name]["before"], abs=2e-3)
        assert result["after"] == pytest.approx(b["recognisers"][name]["after"], abs=0.05)


def test_a_tuned_generator_is_rendered_by_torch(fast: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*inputs: Tensor) -> Tensor:
        raise AssertionError("an engine knows nothing of the tuning")

    fast.preview.exported = never
    report = protect(astronaut(), fast, Settings(steps=1, prompt="none", tuning_steps=1)).report
    assert report["backends"]["render"] == "torch"

"""Which exported network takes a job, and that the job comes out as in torch."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from engines.backends import manifest
from engines.backends.attach import JOBS, backends
from engines.backends.manifest import ExportedNetwork, exports_dir, read_manifest
from engines.config import Settings
from engines.face.detect import detect
from engines.face.recognise import embed_face
from engines.latent.target import generated_face
from engines.photo.decode import Photo, decode
from engines.pipeline import protect
from engines.stack import Stack
from tests.support.exported import SERVED, changed, stack_with, timed

CPU = torch.device("cpu")


def astronaut() -> Photo:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()[:256, 100:356]).save(buffer, "PNG")
    return decode(buffer.getvalue())


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


def test_protection_with_engines_is_that_of_torch(stack: Stack, fast: Stack, quick: None) -> None:
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


def test_a_tuned_generator_is_rendered_by_torch(
    fast: Stack, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*inputs: Tensor) -> Tensor:
        raise AssertionError("an engine knows nothing of the tuning")

    fast.preview.exported = never
    report = protect(astronaut(), fast, Settings(steps=1, prompt="none", tuning_steps=1)).report
    assert report["backends"]["render"] == "torch"

"""Options become settings."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.config import AUTO_SEEDS, TUNING_STEPS, Target
from engines.errors import ConfigError
from engines.makeup.presets import PRESETS
from engines.models import reference
from server.cli.main import main
from tests.support.command import Method, place

pytestmark = pytest.mark.usefixtures("folder")


def test_a_missing_device_is_wrong_usage(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    def missing() -> None:
        raise ConfigError("no CUDA device is usable here: choose --device cpu")

    method.on_load = missing
    place("a.jpg", "b.jpg")
    assert main(["protect", "a.jpg", "b.jpg", "--device", "cuda"]) == 2
    assert method.devices == ["cuda"]
    assert capsys.readouterr().err == "clip2protect: no CUDA device is usable here: choose --device cpu\n"


@pytest.mark.parametrize(
    ("words", "prompt", "target"),
    [
        (["--prompt", " Red   lipstick"], "Red lipstick", None),
        (["--prompt", "smoky"], PRESETS["smoky"], None),
        (["--prompt", "AUTO"], "auto", None),
        (["--prompt", "auto", "--mode", "impersonate"], "auto", Target(seeds=AUTO_SEEDS)),
        (
            ["--prompt", "auto", "--mode", "impersonate", "--target", "synthetic:3"],
            "auto",
            Target(seeds=(3,)),
        ),
        ([], PRESETS["natural"], None),
        (["--mode", "impersonate"], PRESETS["natural"], Target()),
        (["--prompt", "None"], "none", None),
    ],
)
def test_prompts_become_settings(method: Method, words: list[str], prompt: str, target: object) -> None:
    place("a.jpg")
    assert main(["protect", "a.jpg", *words]) == 0
    (settings,) = method.calls
    assert (settings.prompt, settings.target, settings.source_text) == (prompt, target, "no makeup")


def test_options_become_settings(method: Method) -> None:
    place("a.jpg", "target.png")
    options = (
        "--mode impersonate --target target.png --level strong --faces largest --surrogates dlib-resnet29"
    )
    assert (
        main(
            ["protect", "a.jpg", *options.split(), *["--render", "generator", "--steps", "7", "--seed", "3"]]
        )
        == 0
    )
    (settings,) = method.calls
    assert (settings.mode, settings.level, settings.faces) == ("impersonate", "strong", "largest")
    assert (settings.surrogates, settings.render) == (("dlib-resnet29",), "generator")
    assert (settings.steps, settings.seed) == (7, 3)
    assert settings.target == Target(photo=Path("target.png").read_bytes())


def test_missing_reference_networks_are_listed_before_any_work(
    bring: Callable[[str], Path], method: Method, capsys: pytest.CaptureFixture[str]
) -> None:
    place("a.jpg")
    where = bring("networks")
    gone = [reference.NETWORKS[name] for name in ("e4e", "facenet", "clip")]
    for spec in gone:
        (where / spec.file).unlink()
    assert main(["protect", "a.jpg", "--profile", "reference", "--reference-models", "networks"]) == 1
    out, err = capsys.readouterr()
    *listed, last = err.splitlines()
    assert out == ""
    assert listed == [f"clip2protect: missing {spec}" for spec in gone]
    for spec, line in zip(gone, listed, strict=True):
        assert spec.file in line and "https://" in line and f"licence: {spec.licence}" in line
    assert re.search(rf"{where} lacks 3 of .*--reference-models DIR or CLIP2PROTECT_REFERENCE", last)
    assert method.devices == [] and not Path("a-protected.jpg").exists()
    assert (
        main(
            [
                "protect",
                "a.jpg",
                "--profile",
                "reference",
                "--reference-models",
                "networks",
                "--text-model",
                "embedded",
            ]
        )
        == 1
    )
    assert len(capsys.readouterr().err.splitlines()) == 3  # CLIP is not asked for


def test_without_a_folder_all_of_them_are_listed(
    method: Method, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(reference.FOLDER, raising=False)
    place("a.jpg")
    assert main(["protect", "a.jpg", "--profile", "reference"]) == 1
    err = capsys.readouterr().err
    assert all(f"missing {spec.file}: " in err for spec in reference.NETWORKS.values())
    assert str(Path("home", "reference")) in err


def test_the_reference_profile_has_the_papers_settings(
    bring: Callable[[str], Path], method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    place("a.jpg")
    where = bring("networks")
    monkeypatch.setenv(reference.FOLDER, "networks")
    assert main(["protect", "a.jpg", "--profile", "reference"]) == 0
    other = "protect a.jpg --profile reference --render residual --steps 3 --surrogates mobileface"
    assert main(other.split()) == 0
    assert [path for path, _ in method.papers] == [where, where]
    assert method.papers[0][1] == {"text_model": "reference", "text_checkpoint": None, "engines": True}
    paper, other = method.calls
    assert (paper.render, paper.steps, paper.tuning) == ("generator", 50, TUNING_STEPS)
    assert paper.surrogates == ("ir152", "irse50", "facenet")
    assert (other.render, other.steps, other.surrogates) == ("residual", 3, ("mobileface",))


@pytest.mark.parametrize(("text", "seed"), [("synthetic", 0), ("synthetic:12", 12)])
def test_a_synthetic_target_is_a_seed(text: str, seed: int, method: Method) -> None:
    place("a.jpg")
    assert main(["protect", "a.jpg", "--mode", "impersonate", "--target", text]) == 0
    assert method.calls[0].target == Target(seeds=(seed,))

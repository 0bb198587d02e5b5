"""The command line: what it accepts, where results go, what it says and with which code it ends.

Most tests put a stand-in in the place of the method, which takes minutes; parsing, planning,
decoding, encoding, writing and formatting are the real ones.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from engines.config import AUTO_SEEDS, TUNING_STEPS, Settings, Target
from engines.errors import ConfigError, DownloadError, NoFaceError
from engines.makeup.presets import PRESETS
from engines.models import reference
from engines.models.registry import SPECS
from engines.photo.decode import decode, load_photo
from engines.photo.encode import encode
from engines.report import FaceReport, RecogniserReport, Report
from server.cli import console, plan
from server.cli.commands import doctor
from server.cli.main import build_parser, main
from server.cli.plan import make_plan
from server.common.compare import AMPLIFY, MAX_WIDTH, comparison

ROOT = Path(__file__).parents[3]
OUTSIDE = {name: value for name, value in os.environ.items() if name.startswith("CLIP2PROTECT_")}
BOX = (20.0, 10.0, 60.0, 50.0)
RECOGNISERS = [name for name, spec in SPECS.items() if spec.role == "recogniser"]


def picture(kind: str = "JPEG", size: tuple[int, int] = (96, 64), seed: int = 0) -> bytes:
    rough = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rough).resize(size).save(buffer, kind)
    return buffer.getvalue()


class Loaded(str):
    """Stands in for the networks; `failures` say which exported networks failed."""

    unused: ClassVar[list[str]] = []
    failures: ClassVar[list[str]] = []


class Method:
    """Stands in for the networks and the search, and notes with what it was called."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.devices: list[str] = []
        self.papers: list[tuple[Path, dict[str, str | None]]] = []
        self.on_call: Callable[[int], None] = lambda count: None
        self.on_load: Callable[[], None] = lambda: None
        self.fooled = True
        self.bench: dict[str, Any] = {}
        self.comparisons: list[Any] = []

    def stack(self, device: str, progress: Any = None, **text: str | None) -> str:
        self.devices.append(device)
        self.on_load()
        progress("mtcnn: fetching", 1_000_000, None)
        return Loaded("the stack")

    def paper(self, where: Path, device: str, progress: Any = None, **text: str | None) -> str:
        self.papers.append((where, text))
        return self.stack(device, progress, **text)

    def protect(self, photo: Any, stack: str, settings: Any, progress: Any = None, owner: Any = None) -> Any:
        assert stack == "the stack"
        self.calls.append(settings)
        progress(SimpleNamespace(stage="search", face=1, faces=2, done=1, total=2, similarity=0.5))
        self.on_call(len(self.calls))
        pixels = photo.pixels.copy()
        pixels[10:50, 20:60] //= 2
        data = encode(photo, pixels)
        return SimpleNamespace(
            data=data, photo=photo, pixels=decode(data).pixels, report=self.report(settings)
        )

    def report(self, settings: Settings) -> Report:
        recognisers: dict[str, RecogniserReport] = {
            name: {
                "surrogate": name in settings.surrogates,
                "metric": SPECS[name].threshold.metric,
                "threshold": 0.5,
                "before": 0.25,
                "after": 0.75,
                "matched_before": True,
                "matched_after": not self.fooled and name == "dlib-resnet29",
            }
            for name in RECOGNISERS
        }
        face: FaceReport = {
            "box": list(BOX),
            "psnr": 33.25,
            "ssim": 0.97,
            "steps": 1,
            "seed": settings.seed,
            "prompt": settings.prompt,
            "target": None,
            "seconds": {},
            "found_after": True,
            "recognisers": recognisers,
        }
        return {
            "photo": {"width": 96, "height": 64, "format": "JPEG", "psnr": 40.0, "ssim": 0.99},
            "faces": [face],
            "settings": settings.as_options(),
            "stages": {},
            "seconds": 61.0,
            "backends": {},
            "fallbacks": [],
        }

    def compare(self, stack: str, a: Any, b: Any) -> list[Any]:
        self.on_call(0)
        return self.comparisons


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> Method:
    stand_in = Method()

    def bench(stack: str, runs: int, faces: int) -> dict[str, Any]:
        return stand_in.bench | {"runs": runs, "faces": faces}

    monkeypatch.setattr("engines.load.embedded_stack", stand_in.stack)
    monkeypatch.setattr("engines.load.reference_stack", stand_in.paper)
    monkeypatch.setattr("engines.pipeline.protect", stand_in.protect)
    monkeypatch.setattr("engines.verify.compare", stand_in.compare)
    monkeypatch.setattr("engines.evaluation.bench.bench", bench)
    return stand_in


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an empty cache elsewhere."""
    monkeypatch.setenv("CLIP2PROTECT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLIP2PROTECT_MODELS", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def place(*names: str) -> None:
    for seed, name in enumerate(names):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            picture({".png": "PNG", ".webp": "WEBP"}.get(path.suffix.lower(), "JPEG"), seed=seed)
        )


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def in_a_process(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "server.cli", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


# --- usage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["", "protect", "verify", "demo", "prompts", "models", "models pull", "bench", "doctor"]
)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*command.split(), "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: clip2protect {command}".rstrip())


def test_help_waits_for_nothing_heavy() -> None:
    script = "import sys; from server.cli.main import build_parser; build_parser(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "engines" in loaded
    assert not loaded & {"torch", "numpy", "PIL", "onnx", "onnxruntime", "skimage", "safetensors", "tqdm"}


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "protectt a.jpg",
        "protect",
        "protect a.jpg --mode hide",
        "protect a.jpg --level 11",
        "protect a.jpg --steps many",
        "protect a.jpg --device tpu",
        "protect a.jpg --unheard-of",
        "verify a.jpg",
        "models",
        "models delete",
        "bench --runs x",
    ],
)
def test_wrong_usage_is_refused_by_the_parser(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments.split())
    assert end.value.code == 2
    assert "clip2protect" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("protect a.jpg --steps 0", "steps must be 1 or more"),
        ("protect a.jpg --surrogates mobilefacenet-512,nobody", "'nobody'.*dlib-resnet29"),
        ("protect a.jpg --surrogates ,", "at least one surrogate"),
        ("protect a.jpg --target synthetic:3", "--mode impersonate"),
        ("protect a.jpg --mode impersonate --target synthetic:x", "whole number"),
        ("protect a.jpg --mode impersonate --target nobody.jpg", "nobody.jpg: no such file"),
        ("protect a.jpg --mode impersonate --target notes.txt", "notes.txt.*JPEG, PNG or WebP"),
        ("protect a.jpg -o a.jpg", "would overwrite a.jpg"),
        ("protect a.jpg -o sub/../a.jpg", "would overwrite a.jpg"),
        ("protect a.jpg -o symlink.jpg", "would overwrite a.jpg"),
        ("protect a.jpg -o hardlink.jpg", "would overwrite a.jpg"),
        ("protect a.jpg b.png -o notes.txt", "is a file: name a folder"),
        ("protect sub -o notes.txt", "is a file: name a folder"),
        ("protect a.jpg sub/a.jpg -o out", "would overwrite out/a-protected.jpg"),
        ("protect a.jpg a-protected.jpg", "would overwrite a-protected.jpg"),
        ("protect a.jpg -o b.webp", "JPEG photo stays a JPEG"),
        ("protect a.jpg --report a.jpg", "would overwrite a.jpg"),
        ("protect a.jpg --report a-protected.jpg", "would overwrite a-protected.jpg"),
        ("protect a.jpg --compare c.jpg", "PNG"),
        ("protect b.png --compare b.png", "would overwrite b.png"),
        ("protect a.jpg b.png --compare c.png", "name a folder"),
        ("protect a.jpg --prompt ?!", "has no words"),
        ("protect a.jpg --prompt red --source-text ?!", "has no words"),
        ("protect a.jpg --text-checkpoint c.pt", "needs --text-model"),
        (
            "protect a.jpg --profile reference --text-model embedded --text-checkpoint c.pt",
            "needs --text-model",
        ),
        ("protect a.jpg --profile reference --surrogates ir152,dlib-resnet29", "'dlib-resnet29'.*mobileface"),
        ("protect a.jpg --surrogates ir152", "'ir152'.*dlib-resnet29"),
        ("protect a.jpg --reference-models sub", "needs --profile reference"),
        ("bench --runs 0", "1 or more"),
        ("bench --faces 0", "1 or more"),
        ("models pull nobody", "'nobody'.*mtcnn"),
        ("models path nobody", "'nobody'.*mtcnn"),
    ],
)
def test_wrong_values_are_refused_before_any_work(
    arguments: str, words: str, method: Method, capsys: pytest.CaptureFixture[str]
) -> None:
    place("a.jpg", "b.png", "sub/a.jpg", "a-protected.jpg")
    Path("notes.txt").write_text("no photo")
    Path("symlink.jpg").symlink_to("a.jpg")
    Path("hardlink.jpg").hardlink_to("a.jpg")
    before = {name: Path(name).read_bytes() for name in files()}
    assert main(arguments.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("clip2protect: ")
    assert re.search(words, err), err
    assert {name: Path(name).read_bytes() for name in files()} == before
    assert method.calls == method.devices == []


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


def test_prompts_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out and prompt in out for name, prompt in PRESETS.items())


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


# --- the paper's networks -------------------------------------------------------------------------


@pytest.fixture
def bring(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts empty files in the place of the reference networks' into a folder."""
    monkeypatch.delenv(reference.FOLDER, raising=False)

    def fill(name: str) -> Path:
        Path(name).mkdir()
        for spec in reference.NETWORKS.values():
            Path(name, spec.file).touch()
        return Path(name).absolute()

    return fill


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


# --- where results go -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "arguments", "made"),
    [
        (["a.jpg"], "a.jpg", ["a-protected.jpg"]),
        (["sub/a.b.PNG"], "sub/a.b.PNG", ["sub/a.b-protected.PNG"]),
        (["a.jpg"], "a.jpg -o b.jpeg", ["b.jpeg"]),
        (["a.jpg"], "a.jpg -o out/", ["out/a-protected.jpg"]),
        (["a.jpg"], "a.jpg -o new/out", ["new/out/a-protected.jpg"]),
        (["a.jpg"], "a.jpg -o new/b.jpg", ["new/b.jpg"]),
        (["a.jpg", "in.d/x.txt"], "a.jpg -o in.d", ["in.d/a-protected.jpg"]),
        (["a.jpg", "b.webp"], "a.jpg b.webp", ["a-protected.jpg", "b-protected.webp"]),
        (["a.jpg", "a.png"], "a.jpg a.png -o o", ["o/a-protected.jpg", "o/a-protected.png"]),
        (["a.jpg"], "a.jpg ./a.jpg", ["a-protected.jpg"]),
        (
            ["in/a.jpg", "in/s/b.png"],
            "in",
            ["in-protected/a-protected.jpg", "in-protected/s/b-protected.png"],
        ),
        (["in/a.jpg"], "in/ -o out", ["out/a-protected.jpg"]),
        (["in/a.jpg"], "in -o in", ["in/a-protected.jpg"]),
        (["in/a.jpg", "in/out/old.jpg"], "in -o in/out", ["in/out/a-protected.jpg"]),
        (["x/in/a.jpg", "y/in2/a.jpg"], "x/in y/in2 -o o", ["o/in/a-protected.jpg", "o/in2/a-protected.jpg"]),
        (
            ["in/a.jpg", "in/a-protected.jpg", "in/.h.jpg", "in/.d/c.jpg"],
            "in",
            ["in-protected/a-protected.jpg"],
        ),
        (["a-protected.jpg"], "a-protected.jpg", ["a-protected-protected.jpg"]),
    ],
)
def test_where_results_go(given: list[str], arguments: str, made: list[str], method: Method) -> None:
    place(*given)
    before = {name: Path(name).read_bytes() for name in given}
    assert main(["protect", *arguments.split()]) == 0
    assert files() == sorted([*given, *made])
    assert {name: Path(name).read_bytes() for name in given} == before


def test_a_dot_is_named_after_the_folder(folder: Path, method: Method) -> None:
    place("a.jpg")
    assert main(["protect", "."]) == 0
    assert (folder.parent / "work-protected" / "a-protected.jpg").is_file()
    assert files() == ["a.jpg"]


def test_the_result_keeps_format_and_size_whatever_the_name_says(method: Method) -> None:
    Path("really.jpg").write_bytes(picture("PNG"))
    assert main(["protect", "really.jpg"]) == 0
    with Image.open("really-protected.jpg") as image:
        assert (image.format, image.size) == ("PNG", (96, 64))


def test_an_earlier_result_is_replaced(method: Method) -> None:
    place("a.jpg")
    Path("a-protected.jpg").write_bytes(b"old")
    assert main(["protect", "a.jpg"]) == 0
    assert load_photo("a-protected.jpg").pixels.shape == (64, 96, 3)


def test_a_folder_that_is_walked_twice_is_protected_once() -> None:
    place("in/a.jpg", "in/s/b.jpg")
    jobs = make_plan(["in", "in/s/b.jpg"], output="out").jobs
    assert [str(job.source) for job in jobs] == ["in/a.jpg", "in/s/b.jpg"]


# --- what is said and written ---------------------------------------------------------------------


def test_one_photo_is_one_line_and_nothing_on_stderr(
    method: Method, capsys: pytest.CaptureFixture[str]
) -> None:
    place("a.jpg")
    assert main(["protect", "a.jpg"]) == 0
    line = "a.jpg -> a-protected.jpg: 1 face in 61 s, face PSNR 33.2 dB, matched by no recogniser here\n"
    assert capsys.readouterr() == (line, "")


def test_a_recogniser_that_still_matches_is_named(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    method.fooled = False
    place("a.jpg")
    assert main(["protect", "a.jpg"]) == 0
    assert capsys.readouterr().out.endswith("still matched by dlib-resnet29 (held out)\n")


def test_skipped_files_are_counted(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    place("in/a.jpg", "in/b-protected.jpg", "in/c.heic", "in/d.HEIC", "in/notes")
    assert main(["protect", "in"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "1 protected, 0 failed, skipped: 2 .heic, 1 protected, 1 without suffix"


@pytest.mark.parametrize(
    ("out", "err", "shown"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
)
def test_a_bar_needs_somebody_who_watches(
    out: bool, err: bool, shown: bool, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = {}
    for name, terminal in (("stdout", out), ("stderr", err)):
        streams[name] = io.StringIO()
        monkeypatch.setattr(streams[name], "isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr(sys, name, streams[name])
    place("a.jpg")
    assert main(["protect", "a.jpg"]) == 0
    text = streams["stderr"].getvalue()
    assert bool(text) == shown
    if shown:
        assert "a.jpg: search, face 1 of 2" in text
        assert "similarity 0.500" in text
        assert "mtcnn: fetching 1.0 MB" in text
        assert text.endswith("\r")  # nothing of it stays on the screen
    assert len(streams["stdout"].getvalue().splitlines()) == 1


def test_names_cannot_move_the_cursor(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    place("a\x1b[2J\n.jpg")
    assert main(["protect", "a\x1b[2J\n.jpg", "gone\x1b[2J.jpg"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("a?[2J?.jpg -> a?[2J?-protected.jpg: ")
    assert err == "clip2protect: gone?[2J.jpg: no such file\n"


def test_report_of_one_photo(method: Method) -> None:
    place("a.jpg")
    assert main(["protect", "a.jpg", "--report", "r.json", "--seed", "5"]) == 0
    report = json.loads(Path("r.json").read_text())
    assert (report["input"], report["output"]) == ("a.jpg", "a-protected.jpg")
    assert report["settings"]["seed"] == 5
    assert list(report["faces"][0]["recognisers"]) == RECOGNISERS


def test_report_of_several_holds_the_failed_ones(method: Method) -> None:
    place("in/a.jpg", "in/c.jpg")
    Path("in/b.jpg").write_bytes(b"")
    assert main(["protect", "in", "--report", "r.json"]) == 1
    reports = json.loads(Path("r.json").read_text())
    assert [report["input"] for report in reports] == ["in/a.jpg", "in/b.jpg", "in/c.jpg"]
    assert ["error" in report for report in reports] == [False, True, False]
    assert "empty" in reports[1]["error"]


def test_comparisons_of_several_photos_go_to_a_folder(method: Method) -> None:
    place("in/a.jpg", "in/s/a.jpg")
    assert main(["protect", "in", "--compare", "seen"]) == 0
    assert [name for name in files() if name.startswith("seen")] == [
        "seen/a-compared.png",
        "seen/s/a-compared.png",
    ]


@pytest.mark.parametrize("size", [(96, 64), (5000, 300), (300, 5000), (40, 40)])
def test_the_comparison_shows_before_after_and_change(size: tuple[int, int]) -> None:
    before = np.full((size[1], size[0], 3), 100, np.uint8)
    after = before + np.uint8(5)
    face = {"box": (size[0] * 0.2, size[1] * 0.2, size[0] * 0.6, size[1] * 0.6)}
    unchanged = {"box": (-9.0, -9.0, size[0] * 0.1, size[1] * 0.1)}
    after[: size[1] // 5, : size[0] // 5] = 100
    protected = SimpleNamespace(
        photo=SimpleNamespace(pixels=before), pixels=after, report={"faces": [face, unchanged]}
    )
    with Image.open(io.BytesIO(comparison(protected))) as image:
        assert image.format == "PNG"
        assert image.width <= MAX_WIDTH
        values = set(np.unique(np.asarray(image.convert("RGB"))[..., 0]).tolist())
    assert {100, 105, 128 + 5 * AMPLIFY, 128} <= values


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"some text that is no photo", "JPEG, PNG or WebP"),
        (picture()[:-300], "damaged or cut short"),
        (picture("PNG")[:-30], "cut short"),
        (picture("GIF"), "GIF"),
        (None, "no such file"),
    ],
)
def test_a_bad_file_is_one_line_and_the_others_are_done(
    data: bytes | None, words: str, method: Method, capsys: pytest.CaptureFixture[str]
) -> None:
    place("a.jpg", "z.jpg")
    if data is not None:
        Path("bad.jpg").write_bytes(data)
    given = files()
    assert main(["protect", "a.jpg", "bad.jpg", "z.jpg"]) == 1
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 1
    assert err.startswith("clip2protect: bad.jpg: ")
    assert err.count("bad.jpg") == 1
    assert words in err
    assert out.splitlines()[-1] == "2 protected, 1 failed"
    assert files() == sorted([*given, "a-protected.jpg", "z-protected.jpg"])


def test_nothing_is_loaded_for_files_that_are_all_bad(
    method: Method, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["protect", "gone.jpg", "-o", "out/"]) == 1
    assert method.devices == []
    assert files() == []
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoFaceError("no face was found"), "no face was found"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "not enough memory"),
        (ZeroDivisionError("a\nb"), "unexpected ZeroDivisionError: a (--debug shows where)"),
    ],
)
def test_a_photo_that_fails_in_the_method_does_not_stop_the_rest(
    error: Exception, words: str, method: Method, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(count: int) -> None:
        if count == 1:
            raise error

    method.on_call = fail
    place("a.jpg", "b.jpg")
    assert main(["protect", "a.jpg", "b.jpg"]) == 1
    assert capsys.readouterr().err == f"clip2protect: a.jpg: {words}" + (
        ": close other programs or make the photo smaller\n" if "memory" in words else "\n"
    )
    assert files() == ["a.jpg", "b-protected.jpg", "b.jpg"]


def test_debug_shows_where(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(count: int) -> None:
        raise ZeroDivisionError

    method.on_call = fail
    place("a.jpg")
    assert main(["protect", "a.jpg", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_networks_that_cannot_be_had_end_the_run(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise DownloadError("mtcnn: cannot fetch it: check the network")

    method.on_load = fail
    place("a.jpg", "b.jpg")
    assert main(["protect", "a.jpg", "b.jpg"]) == 1
    assert capsys.readouterr().err == "clip2protect: mtcnn: cannot fetch it: check the network\n"
    assert len(method.devices) == 1


@pytest.mark.parametrize("option", ["-o", "--report", "--compare"])
def test_an_output_that_cannot_be_written_is_known_before_the_search(
    option: str, method: Method, capsys: pytest.CaptureFixture[str]
) -> None:
    place("a.jpg")
    Path("file").write_bytes(b"")
    name = {"-o": "file/b.jpg", "--report": "file/r.json", "--compare": "file/c.png"}[option]
    assert main(["protect", "a.jpg", option, name]) == 1
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "a part of the path is a file" in err
    assert method.calls == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    place("sub/a.jpg")
    Path("sub").chmod(0o500)
    assert main(["protect", "sub/a.jpg"]) == 1
    assert "no permission" in capsys.readouterr().err
    assert method.calls == []


def test_a_full_disk_is_known_before_the_search(
    method: Method, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    place("a.jpg")
    assert main(["protect", "a.jpg"]) == 1
    assert "no space left on the disk" in capsys.readouterr().err
    assert method.calls == []


def test_a_folder_without_photos(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    place("in/a.txt")
    assert main(["protect", "in"]) == 1
    assert capsys.readouterr().err == "clip2protect: in: the folder holds no JPEG, PNG or WebP photo\n"


def test_ctrl_c_in_the_search(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(count: int) -> None:
        if count == 2:
            raise KeyboardInterrupt

    method.on_call = interrupt
    place("a.jpg", "b.jpg", "c.jpg")
    assert main(["protect", "a.jpg", "b.jpg", "c.jpg", "--report", "r.json"]) == 130
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert files() == ["a-protected.jpg", "a.jpg", "b.jpg", "c.jpg", "r.json"]
    assert [report["input"] for report in json.loads(Path("r.json").read_text())] == ["a.jpg"]


@pytest.mark.skipif(os.name != "posix", reason="signals and named pipes")
def test_ctrl_c_in_a_process_of_its_own() -> None:
    os.mkfifo("slow.jpg")
    # A shell's background job ignores Ctrl-C, and a child inherits that: the terminal's own is meant here.
    process = in_a_process(
        "protect", "slow.jpg", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )
    writer = os.open("slow.jpg", os.O_WRONLY)  # returns once the program waits for the photo
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    os.close(writer)
    assert (process.returncode, out) == (130, "")
    assert err.startswith("clip2protect: stopped")
    assert len(err.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_reader_that_leaves_early() -> None:
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "server.cli", "models", "path"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(write)
    assert (process.returncode, process.stderr) == (1, "")


# --- the other commands ---------------------------------------------------------------------------


def test_verify_says_on_which_side_of_the_threshold(
    method: Method, capsys: pytest.CaptureFixture[str]
) -> None:
    place("a.jpg", "b.jpg")
    method.comparisons = [
        SimpleNamespace(recogniser="one", metric="cosine", similarity=0.71, threshold=0.2, same=True),
        SimpleNamespace(recogniser="another", metric="euclidean", similarity=0.8, threshold=0.67, same=False),
    ]
    assert main(["verify", "a.jpg", "b.jpg"]) == 0
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    rows = [[cell.strip() for cell in line if cell] for line in lines]
    assert rows[0] == ["recogniser", "measured", "same person if", "verdict"]
    assert rows[2] == ["one", "similarity 0.710", "above 0.200", "same person"]
    assert rows[3] == ["another", "distance 0.800", "below 0.670", "different people"]
    assert rows[4] == ["1 of 2 recognisers take them for the same person."]


def test_verify_without_a_face(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(count: int) -> None:
        raise NoFaceError("no face was found")

    method.on_call = fail
    place("a.jpg", "b.jpg")
    assert main(["verify", "a.jpg", "b.jpg"]) == 1
    assert capsys.readouterr().err == "clip2protect: a.jpg, b.jpg: no face was found\n"


def test_verify_of_a_missing_photo(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    place("a.jpg")
    assert main(["verify", "a.jpg", "gone.jpg"]) == 1
    assert capsys.readouterr().err == "clip2protect: gone.jpg: no such file\n"
    assert method.devices == []


@pytest.mark.parametrize("fooled", [True, False])
def test_demo(fooled: bool, method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    method.fooled = fooled
    assert main(["demo", "-o", "out"]) == (0 if fooled else 1)
    names = ["astronaut-compared.png", "astronaut-protected.jpg", "astronaut-report.json", "astronaut.jpg"]
    assert files() == [f"out/{name}" for name in names]
    assert json.loads(Path("out/astronaut-report.json").read_text())["seconds"] == 61
    assert load_photo("out/astronaut.jpg").pixels.shape == (512, 512, 3)
    out, err = capsys.readouterr()
    (row,) = [line for line in out.splitlines() if "dlib-resnet29" in line]
    for cell in ("held out", "distance 0.250", "distance 0.750", "below 0.500"):
        assert cell in row
    assert row.endswith("no longer matched" if fooled else "still matched")
    assert bool(err) != fooled


def test_bench(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    method.bench = {"seconds": {"inversion": 12.345, "search": 30}, "peak_memory_mb": 2000}
    assert main(["bench", "--json", "--runs", "2", "--faces", "8"]) == 0
    assert json.loads(capsys.readouterr().out) == method.bench | {"runs": 2, "faces": 8}
    assert main(["bench"]) == 0
    rows = [line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == [
        ["seconds inversion", "12.35"],
        ["seconds search", "30"],
        ["peak memory mb", "2000"],
        ["runs", "3"],
        ["faces", "1"],
    ]


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


def test_every_line_of_an_error_is_joined(capsys: pytest.CaptureFixture[str]) -> None:
    console.complain("one\n  two\tthree")
    assert capsys.readouterr().err == "clip2protect: one two three\n"


def test_every_command_can_be_debugged() -> None:
    for command in ("protect a.jpg", "verify a b", "demo", "models list", "models pull", "bench", "doctor"):
        args = build_parser().parse_args([*command.split(), "--debug"])
        assert args.debug
        assert callable(args.run)


# --- with the real networks -----------------------------------------------------------------------


@pytest.fixture
def real_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of whoever runs the tests, so that nothing is fetched twice."""
    monkeypatch.delenv("CLIP2PROTECT_HOME")
    for name, value in OUTSIDE.items():
        monkeypatch.setenv(name, value)


@pytest.mark.models
@pytest.mark.usefixtures("real_cache")
def test_a_photo_shows_the_same_person_as_itself(capsys: pytest.CaptureFixture[str]) -> None:
    from skimage.data import astronaut

    Image.fromarray(astronaut()).save("a.png")
    assert main(["verify", "a.png", "a.png"]) == 0
    count = len(RECOGNISERS)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"{count} of {count} recognisers take them for the same person."


@pytest.mark.models
@pytest.mark.usefixtures("real_cache")
def test_a_photo_without_a_face(capsys: pytest.CaptureFixture[str]) -> None:
    place("a.jpg")
    assert main(["protect", "a.jpg"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("clip2protect: a.jpg: ")
    assert "face" in err
    assert files() == ["a.jpg"]

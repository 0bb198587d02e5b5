"""Usage: help, and what is refused before any work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from server.cli.main import build_parser, main
from tests.support.command import ROOT, Method, files, place

pytestmark = pytest.mark.usefixtures("folder")


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


def test_every_command_can_be_debugged() -> None:
    for command in ("protect a.jpg", "verify a b", "demo", "models list", "models pull", "bench", "doctor"):
        args = build_parser().parse_args([*command.split(), "--debug"])
        assert args.debug
        assert callable(args.run)

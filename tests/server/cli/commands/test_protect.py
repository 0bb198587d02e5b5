"""`clip2protect protect`: what it says and writes, and what may go wrong.

Most tests put a stand-in in the place of the method, which takes minutes; parsing, planning,
decoding, encoding, writing and formatting are the real ones.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from engines.errors import DownloadError, NoFaceError
from server.cli import plan
from server.cli.main import main
from server.common.compare import AMPLIFY, MAX_WIDTH, comparison
from tests.support.command import RECOGNISERS, ROOT, Method, files, in_a_process, picture, place

pytestmark = pytest.mark.usefixtures("folder")


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


# --- with the real networks -----------------------------------------------------------------------


@pytest.mark.models
@pytest.mark.usefixtures("real_cache")
def test_a_photo_without_a_face(capsys: pytest.CaptureFixture[str]) -> None:
    place("a.jpg")
    assert main(["protect", "a.jpg"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("clip2protect: a.jpg: ")
    assert "face" in err
    assert files() == ["a.jpg"]

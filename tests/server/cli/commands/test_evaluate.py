"""`clip2protect evaluate` from end to end on generated people: planted fakes, a kill, two processes, Ray."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from server.cli.main import main

if TYPE_CHECKING:
    from engines.stack import Stack

pytestmark = [pytest.mark.models, pytest.mark.slow]
METHODS, JUDGES = "clean,grey,blur,pgd", ("mobilefacenet-512", "dlib-resnet29")
OPTIONS = [
    "--methods",
    METHODS,
    "--mode",
    "dodge,impersonate",
    "--impersonating",
    "pgd",
    "--closely",
    "pgd",
    "--held-out",
    ",".join(JUDGES),
    "--transforms",
    "jpeg-50,second-detector",
    "--distractors",
    "20",
    "--look-alikes",
    "3",
]
PEOPLE = 4


@pytest.fixture(scope="module")
def people(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four generated people with two photos, one with a single photo, and a photo of nobody."""
    import torch

    folder = tmp_path_factory.mktemp("people")
    for number in range(PEOPLE + 1):
        w, light = (stack.generator.sample_w(seed, 1) for seed in (100 + number, 200 + number))
        other = torch.cat((w[:, :8], light[:, 8:]), dim=1)
        for name, code in (("1", w), ("2", other))[: 1 if number == PEOPLE else 2]:
            with torch.no_grad():
                image = stack.generator.small(code)[0]
            pixels = ((image.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
            (folder / f"p{number}").mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / f"p{number}" / f"{name}.png")
    Image.fromarray(np.full((80, 80, 3), 90, np.uint8)).save(folder / "p0" / "wall.png")
    (folder / "groups.csv").write_text("person,side\np0,left\np1,left\np2,right\np3,right\n")
    return folder


def command(people: Path, report: Path, *options: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "server.cli",
        "evaluate",
        str(people),
        "-o",
        str(report),
        *OPTIONS,
        *options,
    ]


def started(people: Path, report: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(people, report, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(people: Path, report: Path, *options: str) -> dict[str, Any]:
    done = subprocess.run(command(people, report, *options), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return figures(report)


def figures(report: Path) -> dict[str, Any]:
    """All of a report but what the clock says."""
    read = json.loads((report / "report.json").read_text())
    del read["timing"]
    return read


@pytest.fixture(scope="module")
def report(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Done in one process."""
    folder = tmp_path_factory.mktemp("one") / "report"
    finished(people, folder, "--processes", "1")
    return folder


@pytest.fixture(scope="module")
def row(report: Path) -> Callable[..., dict[str, Any]]:
    def of(method: str, held_out: str = "all", mode: str = "dodge") -> dict[str, Any]:
        wanted = method, held_out, mode
        (found,) = (r for r in figures(report)["rows"] if (r["method"], r["held_out"], r["mode"]) == wanted)
        return found

    return of


def test_a_fake_that_changes_nothing_protects_nothing(row: Callable[..., dict[str, Any]]) -> None:
    clean = row("clean")
    assert clean["verification"]["own"]["value"] == 1
    assert clean["protected"]["own"]["value"] == 0
    assert clean["identification"]["clean"]["rank1"]["value"] >= 0.75
    assert clean["naturalness"]["psnr"] == {"median": 100.0, "worst": 100.0}
    assert clean["naturalness"]["usable"] == 1
    assert clean["adaptive"]["detector_auc"]["value"] == 0.5


def test_a_grey_face_is_matched_by_nothing_and_is_no_protection(row: Callable[..., dict[str, Any]]) -> None:
    grey = row("grey")
    assert grey["verification"]["own"]["value"] == 0
    assert grey["naturalness"]["found"] == grey["naturalness"]["usable"] == 0
    assert grey["protected"]["own"]["value"] == 0
    assert grey["naturalness"]["psnr"]["median"] < 20
    assert grey["identification"]["clean"]["rank5"]["value"] == 0


def test_blur_is_not_natural_and_a_detector_of_protected_photos_sees_it(
    row: Callable[..., dict[str, Any]],
) -> None:
    blur, clean = row("blur"), row("clean")
    assert blur["verification"]["own"]["value"] < clean["verification"]["own"]["value"]
    assert blur["naturalness"]["usable"] == blur["protected"]["own"]["value"] == 0
    assert blur["naturalness"]["kid"]["value"] > clean["naturalness"]["kid"]["value"]
    assert blur["adaptive"]["detector_auc"]["value"] > 0.9


def test_every_figure_counts_the_trials_that_there_are(row: Callable[..., dict[str, Any]]) -> None:
    both, one = row("pgd"), row("pgd", "dlib-resnet29")
    assert (both["photos"], both["pairs"], both["verification"]["own"]["people"]) == (
        2 * PEOPLE,
        2 * PEOPLE,
        PEOPLE,
    )
    assert (one["photos"], one["pairs"]) == (PEOPLE, PEOPLE)
    assert set(one["verification"]) == {"own", "0.1", "0.01", "0.001"}
    assert set(one["identification"]) == {"clean", "mixed", "protected", "protected, probe clean"}
    assert set(one["transforms"]) == {"jpeg-50", "second-detector"}
    assert {label: rate["n"] for label, rate in one["groups"]["side"].items()} == {"left": 2, "right": 2}
    assert one["any"]["value"] >= max(t["matched"]["value"] for t in one["transforms"].values())
    assert one["adaptive"]["head"]["n"] == PEOPLE
    assert (row("clean")["photos"], row("clean")["adaptive"]["head"]) == (2 * PEOPLE, None)


def test_the_rows_over_all_judges_are_the_sum_of_theirs(row: Callable[..., dict[str, Any]]) -> None:
    parts = [row("pgd", name) for name in JUDGES]
    for path in (("verification", "own"), ("protected", "0.01"), ("mean",), ("any",)):
        rates = []
        for one in [row("pgd"), *parts]:
            for name in path:
                one = one[name]
            rates.append(one)
        assert rates[0]["n"] == sum(r["n"] for r in rates[1:])
        assert rates[0]["value"] == pytest.approx(sum(r["value"] * r["n"] for r in rates[1:]) / rates[0]["n"])


def test_impersonation_says_whether_the_owner_still_matches(row: Callable[..., dict[str, Any]]) -> None:
    towards, away = row("pgd", mode="impersonate"), row("pgd")
    assert towards["target"]["own"]["n"] == towards["verification"]["own"]["n"] == 2 * PEOPLE
    assert away["target"] is None
    assert {"rank1", "rank5", "target_rank1", "target_rank5"} == set(towards["identification"]["clean"])


def test_what_was_left_out_is_said(report: Path, people: Path) -> None:
    said = figures(report)
    assert said["dataset"]["left_out"] == [{"photo": "p0/wall.png", "why": "no face was found"}]
    assert (said["dataset"]["people"], said["dataset"]["compared"]) == (PEOPLE + 1, PEOPLE)
    assert said["thresholds"]["dlib-resnet29"]["far"]["0.001"]["source"].startswith(
        "180 pairs of a real photo and"
    )
    assert "too few" in said["thresholds"]["dlib-resnet29"]["far"]["0.001"]["source"]
    assert any("LPIPS" in note for note in said["notes"]) == (said["rows"][0]["naturalness"]["lpips"] is None)


def test_the_page_is_one_file_that_asks_for_nothing(report: Path) -> None:
    page = (report / "report.html").read_text()
    assert "data:image/jpeg;base64," in page and "data:image/png;base64," in page
    assert 'src="http' not in page and "<script" not in page and "url(http" not in page
    assert "PGD" in page and "wall.png" in page


def test_a_run_that_was_killed_goes_on_in_two_processes_to_the_same_report(
    people: Path, report: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    process = started(people, again, "--processes", "2")
    wanted = len(list((report / "work").glob("*.npz"))) // 2
    while len(list((again / "work").glob("*.npz"))) < wanted:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (again / "report.json").exists()
    kept = {path.name: path.stat().st_mtime_ns for path in (again / "work").glob("*.npz")}
    assert wanted <= len(kept) < 2 * wanted
    assert finished(people, again, "--processes", "2", "--resume") == figures(report)
    assert all((again / "work" / name).stat().st_mtime_ns == then for name, then in kept.items())


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_ray_on_this_machine_comes_to_the_same_report(people: Path, report: Path, tmp_path: Path) -> None:
    assert finished(people, tmp_path / "ray", "--ray", "local", "--processes", "2") == figures(report)


def test_a_finished_run_that_is_asked_again_does_nothing_anew_and_adds_what_is_new(
    people: Path, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = figures(report), {path.name: path.stat().st_mtime_ns for path in (report / "work").glob("*.npz")}
    assert main(command(people, report, "--resume", "--processes", "1")[3:]) == 0
    after = figures(report), {path.name: path.stat().st_mtime_ns for path in (report / "work").glob("*.npz")}
    assert after == before
    assert "report.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--methods", "magic"], "unknown method 'magic': choose from clean, grey"),
        (["--methods", "pgd@magic"], "unknown recogniser 'magic': choose from mobilefacenet-512"),
        (["--held-out", "magic"], "unknown recogniser 'magic'"),
        (["--transforms", "magic"], "unknown transform 'magic'"),
        (["--mode", "hide"], "unknown mode 'hide': choose from dodge, impersonate"),
        (["--tasks", "guess"], "unknown task 'guess'"),
        (["--methods", ","], "name at least one method"),
        (["--per-person", "0"], "must be 1 or more"),
        (["--processes", "0"], "--processes must be 1 or more"),
    ],
)
def test_wrong_usage_is_refused_before_any_work(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["evaluate", str(people), "-o", str(tmp_path / "report"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.npz"))


def test_a_report_is_never_written_over(
    people: Path, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (report / "report.json").read_bytes()
    assert main(["evaluate", str(people), "-o", str(report)]) == 2
    assert "--resume" in capsys.readouterr().err
    assert (report / "report.json").read_bytes() == before


def test_people_with_one_photo_each_cannot_be_compared(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone" / "p"
    alone.mkdir(parents=True)
    (alone / "1.png").write_bytes((people / "p1" / "1.png").read_bytes())
    assert main(["evaluate", str(alone.parent), "-o", str(tmp_path / "r"), "--methods", "clean"]) == 2
    assert "two or more of at least one person" in capsys.readouterr().err

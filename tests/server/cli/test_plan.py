"""Where results go."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from engines.photo.decode import load_photo
from server.cli.main import main
from server.cli.plan import make_plan
from tests.support.command import Method, files, picture, place

pytestmark = pytest.mark.usefixtures("folder")


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

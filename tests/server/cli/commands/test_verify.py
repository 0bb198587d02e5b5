"""`clip2protect verify`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from PIL import Image

from engines.errors import NoFaceError
from server.cli.main import main
from tests.support.command import RECOGNISERS, Method, place

pytestmark = pytest.mark.usefixtures("folder")


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


@pytest.mark.models
@pytest.mark.usefixtures("real_cache")
def test_a_photo_shows_the_same_person_as_itself(capsys: pytest.CaptureFixture[str]) -> None:
    from skimage.data import astronaut

    Image.fromarray(astronaut()).save("a.png")
    assert main(["verify", "a.png", "a.png"]) == 0
    count = len(RECOGNISERS)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"{count} of {count} recognisers take them for the same person."

"""A file is whole or not there, whatever happens while it is written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.errors import OutputError
from engines.files import write_atomic

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("data", [b"", b"whole", [b"in ", b"", b"parts"]])
def test_writes_and_replaces(tmp_path: Path, data: bytes | list[bytes]) -> None:
    target = tmp_path / "photo.jpg"
    target.write_bytes(b"old")
    write_atomic(target, data)
    assert target.read_bytes() == (data if isinstance(data, bytes) else b"".join(data))
    assert os.listdir(tmp_path) == ["photo.jpg"]


@pytest.mark.skipif(os.name != "posix", reason="umask and links")
def test_has_the_rights_of_an_ordinary_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_atomic(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(os.name != "posix", reason="umask and links")
def test_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomic(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"x"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interruption_leaves_the_old_file_alone(tmp_path: Path, error: type[BaseException]) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"new"
        raise error

    target = tmp_path / "photo.jpg"
    target.write_bytes(b"old")
    with pytest.raises(error):
        write_atomic(target, chunks())
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["photo.jpg"]


@pytest.mark.parametrize(
    ("place", "remedy"),
    [
        ("folder", "name a file in it"),
        ("absent/photo.jpg", "make it first"),
        ("file/photo.jpg", "choose another path"),
        ("n" * 300, "choose a shorter one"),
    ],
)
def test_a_refusal_names_the_remedy_in_one_line(tmp_path: Path, place: str, remedy: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=remedy) as caught:
        write_atomic(tmp_path / place, b"x")
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


@pytest.mark.skipif(os.name != "posix", reason="resource limits")
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """The limit on a file's size stops the write halfway, as a full disk does."""
    code = (
        "import resource, sys; from engines.files import write_atomic\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "write_atomic(sys.argv[1], bytes(10000))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "photo.jpg")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OutputError: cannot write" in result.stderr
    assert os.listdir(tmp_path) == []

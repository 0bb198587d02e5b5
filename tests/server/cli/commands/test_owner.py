"""`clip2protect owner` and `--faces mine` from the command line."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from server.cli.main import main


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a user who has never enrolled."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "clip2protect"


@pytest.mark.models
def test_enrol_protect_mine_list_and_forget(
    data: Path,
    tmp_path: Path,
    two_faces: tuple[bytes, bytes],
    quick: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    me, both = tmp_path / "me.png", tmp_path / "both.png"
    me.write_bytes(two_faces[0])
    both.write_bytes(two_faces[1])
    protect = ["protect", str(both), "--faces", "mine", "--steps", "1", "--prompt", "none"]
    assert main(protect) == 2
    assert "owner add" in capsys.readouterr().err
    (tmp_path / "no.png").write_bytes(b"nothing")
    assert main(["owner", "add", str(me), str(tmp_path / "no.png")]) == 1
    number = capsys.readouterr().out.split()[-1]
    assert stat.S_IMODE((data / "owner.json").stat().st_mode) == 0o600
    assert main(protect) == 0
    assert "1 face in" in capsys.readouterr().out
    assert main(["owner", "list"]) == 0
    assert number in capsys.readouterr().out
    assert main(["owner", "remove", number]) == 0
    assert main(["owner", "remove", number]) == 1
    assert main(["owner", "list"]) == 0
    assert "nobody is enrolled" in capsys.readouterr().out

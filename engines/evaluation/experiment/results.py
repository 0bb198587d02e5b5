"""Results of tasks in a folder: a task with a result is not done again, so that a stopped run can go on."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from engines.errors import ConfigError
from engines.evaluation.experiment.tasks import UNFORESEEN, Result, Task, key
from engines.files import explained, write_atomic

#: The folder of results within a report's folder.
WORK = "work"
_VALUES = "values.json"

#: Does tasks in any order and gives the result of each: `pools.run` with its options.
Runner = Callable[[Sequence[Task]], Iterator[tuple[Task, Result]]]


class Store:
    """A folder of results, each in a file of its own, which is whole or missing."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if it is missing.  Raises OutputError."""
        self._folder = folder / WORK
        with explained(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)

    def get(self, task: Task) -> Result | None:
        """The result of a task; None where it is missing or cannot be read."""
        try:
            with np.load(self._path(task), allow_pickle=False) as file:
                arrays = dict(file)
        except (FileNotFoundError, ValueError, EOFError, zipfile.BadZipFile):
            return None
        content = json.loads(bytes(arrays.pop(_VALUES)).decode())
        return Result(content["values"], arrays, content["failed"])

    def put(self, task: Task, result: Result) -> None:
        """Keep a result.  Raises OutputError."""
        content = json.dumps({"values": result.values, "failed": result.failed}).encode()
        buffer = BytesIO()
        np.savez(buffer, **{_VALUES: np.frombuffer(content, np.uint8)}, **result.arrays)  # type: ignore[arg-type]
        write_atomic(self._path(task), buffer.getvalue())

    def ask(
        self, tasks: Iterable[Task], runner: Runner, progress: Callable[[int, int], None]
    ) -> list[Result]:
        """The results of tasks, in their order; missing ones are made first.

        `progress` gets the number of results so far and the number of all.
        """
        named = [(key(task), task) for task in tasks]
        results = {name: self.get(task) for name, task in dict(named).items()}
        missing = {name: task for name, task in named if results[name] is None}
        progress(len(results) - len(missing), len(results))
        done = runner(list(missing.values())) if missing else ()
        for number, (task, result) in enumerate(done, len(results) - len(missing) + 1):
            if result.failed is None or not result.failed.startswith(UNFORESEEN):
                self.put(task, result)
            results[key(task)] = result
            progress(number, len(results))
        return [_known(results[name]) for name, _ in named]

    def _path(self, task: Task) -> Path:
        return self._folder / f"{key(task)}.npz"


def claim(folder: Path, fingerprint: Mapping[str, str], *, resume: bool) -> None:
    """Make a folder that of one evaluation, which its `fingerprint` identifies.

    Raises:
        ConfigError: it holds another evaluation, or this one and `resume` was not asked for, or other files.
        OutputError: it cannot be written.
    """
    mark = folder / WORK / "evaluation.json"
    if mark.is_file():
        if not resume:
            raise ConfigError(
                f"{folder} holds an evaluation already: go on with it by --resume, or name another folder"
            )
        if json.loads(mark.read_text("utf-8")) != fingerprint:
            raise ConfigError(
                f"{folder} holds the evaluation of other photos or networks: name another folder"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not an empty folder: name another one for the report")
    with explained(mark):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # faces are in it
        mark.parent.mkdir(exist_ok=True)
    write_atomic(mark, json.dumps(fingerprint, indent=1).encode())


def _known(result: Result | None) -> Result:
    if result is None:
        raise ConfigError("a task was left undone: run again with --resume")
    return result

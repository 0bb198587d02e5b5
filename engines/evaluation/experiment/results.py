"""Results of tasks in a folder: what is there is not done again, so that a run goes on where it was stopped."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from engines.errors import ConfigError
from engines.evaluation.experiment.tasks import UNFORESEEN, Result, Task, key
from engines.files import explained, write_atomic

#: Where results lie in a report's folder.
WORK = "work"
_VALUES = "values.json"

#: Does tasks in any order and says what came of each: `pools.run` with its options.
Runner = Callable[[Sequence[Task]], Iterator[tuple[Task, Result]]]


class Store:
    """A folder of results, each in a file of its own, whole or not there."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder where it is missing.  Raises OutputError."""
        self._folder = folder / WORK
        with explained(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)

    def get(self, task: Task) -> Result | None:
        """The result of a task, None if there is none that can be read."""
        try:
            with np.load(self._path(task), allow_pickle=False) as file:
                arrays = dict(file)
        except (FileNotFoundError, ValueError, EOFError, zipfile.BadZipFile):
            return None
        said = json.loads(bytes(arrays.pop(_VALUES)).decode())
        return Result(said["values"], arrays, said["failed"])

    def put(self, task: Task, result: Result) -> None:
        """Keep a result.  Raises OutputError."""
        said = json.dumps({"values": result.values, "failed": result.failed}).encode()
        buffer = BytesIO()
        np.savez(buffer, **{_VALUES: np.frombuffer(said, np.uint8)}, **result.arrays)  # type: ignore[arg-type]
        write_atomic(self._path(task), buffer.getvalue())

    def ask(
        self, tasks: Iterable[Task], runner: Runner, progress: Callable[[int, int], None]
    ) -> list[Result]:
        """The results of tasks, in their order; those that are not there are done first.

        `progress` gets how many are there and how many there are.
        """
        named = [(key(task), task) for task in tasks]
        found = {name: self.get(task) for name, task in dict(named).items()}
        missing = {name: task for name, task in named if found[name] is None}
        progress(len(found) - len(missing), len(found))
        done = runner(list(missing.values())) if missing else ()
        for number, (task, result) in enumerate(done, len(found) - len(missing) + 1):
            if result.failed is None or not result.failed.startswith(UNFORESEEN):
                self.put(task, result)
            found[key(task)] = result
            progress(number, len(found))
        return [_known(found[name]) for name, _ in named]

    def _path(self, task: Task) -> Path:
        return self._folder / f"{key(task)}.npz"


def claim(folder: Path, about: dict[str, Any], *, resume: bool) -> None:
    """Make a folder that of one evaluation, by what it is `about`.

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
        if json.loads(mark.read_text("utf-8")) != about:
            raise ConfigError(
                f"{folder} holds the evaluation of other photos or networks: name another folder"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not an empty folder: name another one for the report")
    with explained(mark):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # faces are in it
        mark.parent.mkdir(exist_ok=True)
    write_atomic(mark, json.dumps(about, indent=1).encode())


def _known(result: Result | None) -> Result:
    if result is None:
        raise ConfigError("a task was left undone: run again with --resume")
    return result

"""Tasks have the same results wherever they are done, and no worker is left behind."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.errors import Clip2ProtectError, ConfigError, NoFaceError
from engines.evaluation.experiment.pools import run

ROOT = Path(__file__).parents[4]
#: Seconds that a busy machine may take to start workers, or to end them.
PATIENCE = 120.0
needs_ray = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
]
PROCESSES, RAY = {"processes": 2}, {"ray": "local", "processes": 2}
ELSEWHERE = pytest.mark.parametrize(
    "where", [PROCESSES, pytest.param(RAY, marks=needs_ray)], ids=["processes", "ray"]
)


@dataclass(frozen=True)
class Sum:
    """Floats to be added: `size` of them."""

    seed: int
    size: int = 300_000


def add(task: Sum) -> dict[str, Any]:
    """What depends on the number of threads."""
    numbers = torch.randn(task.size, generator=torch.Generator().manual_seed(task.seed))
    norm = torch.nn.functional.normalize(numbers.view(100, -1)) @ numbers.view(-1, 100)
    return {
        "sum": numbers.sum().item(),
        "product": norm.sum(dim=0).numpy(),
        "threads": torch.get_num_threads(),
        "setting": os.environ.get("CLIP2PROTECT_HOME"),
    }


def process_of(task: float) -> int:
    time.sleep(task)
    return os.getpid()


def meet(task: tuple[Path, int]) -> int:
    """Wait until two processes are at work."""
    folder, _ = task
    (folder / str(os.getpid())).touch()
    wait_until(lambda: len(list(folder.iterdir())) >= 2)
    return os.getpid()


def wait_for(gate: Path | None) -> bool:
    """Wait until a file exists, if there is one to wait for."""
    wait_until(lambda: gate is None or gate.exists())
    return gate is not None


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def fail(task: int) -> int:
    if task == 3:
        raise NoFaceError(f"task {task} shows no face")
    return task


def die(task: int) -> int:
    if task == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def children() -> set[str]:
    """Workers of this process.  Browsers of other tests have children of their own."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    family = {str(os.getpid())}
    for _ in rows:
        family |= {pid for pid, parent, *_ in rows if parent in family}
    marks = ("spawn_main", "program.py", "ray::", "raylet", "gcs_server")
    return {
        f"{row[0]} {row[2]}" for row in rows if row[0] in family and any(mark in row[-1] for mark in marks)
    }


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    before = children()
    yield
    wait_until(lambda: children() <= before)


@ELSEWHERE
def test_results_do_not_depend_on_where_they_are_made(where: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP2PROTECT_HOME", "/somewhere/else")
    tasks = [Sum(seed) for seed in range(9)]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        here = dict(run(tasks, add))
        assert torch.get_num_threads() == 2, "what was set before is set again"
    finally:
        torch.set_num_threads(before)
    assert list(here) == tasks
    there = dict(run(tasks, add, **where))
    assert there.keys() == here.keys()
    for task in tasks:
        assert there[task]["sum"] == here[task]["sum"]
        assert np.array_equal(there[task]["product"], here[task]["product"])
        assert there[task]["threads"] == here[task]["threads"] == 1
        assert there[task]["setting"] == "/somewhere/else"


@ELSEWHERE
def test_other_processes_do_the_work_and_stay(where: Any, tmp_path: Path) -> None:
    pids = [pid for _, pid in run([(tmp_path, number) for number in range(12)], meet, **where)]
    assert len(pids) == 12 and os.getpid() not in pids
    assert len(set(pids)) == 2


def test_the_first_result_comes_first(tmp_path: Path) -> None:
    """The first task cannot end before the result of the second one has come."""
    gate = tmp_path / "gate"
    results = run([gate, None], wait_for, processes=2)
    assert next(results) == (None, False)
    gate.touch()
    assert list(results) == [(gate, True)]


def test_one_process_is_this_one_and_does_nothing_ahead() -> None:
    results = run([0.0, 60.0], process_of)
    assert next(results) == (0.0, os.getpid())


@pytest.mark.parametrize(
    "where", [{}, PROCESSES, pytest.param(RAY, marks=needs_ray)], ids=["here", "processes", "ray"]
)
def test_an_error_of_a_task_ends_the_run(where: Any) -> None:
    done = []

    def consume() -> None:
        for task, result in run(range(1000), fail, **where):
            assert task == result
            done.append(task)

    with pytest.raises(NoFaceError, match="^task 3 shows no face$"):
        consume()
    assert len(done) < 100


@ELSEWHERE
def test_a_killed_worker_gives_one_line(where: Any) -> None:
    with pytest.raises(
        Clip2ProtectError, match=r"^a worker process ended \(out of memory\?\): run again with --resume"
    ):
        list(run(range(4), die, **where))


@ELSEWHERE
def test_a_closed_iterator_leaves_no_worker(where: Any) -> None:
    results = run([0.0, 600.0, 600.0, 600.0], process_of, **where)
    begun = time.monotonic()
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begun < PATIENCE
    assert list(results) == []


@pytest.mark.parametrize("options", [{"processes": 0}, {"threads": 0}])
def test_numbers_from_one(options: Any) -> None:
    with pytest.raises(ConfigError, match="from 1"):
        run([], fail, **options)


def test_no_tasks_no_results() -> None:
    assert list(run([], fail, processes=2)) == []


# --- Ctrl-C, and worse --------------------------------------------------------------------------------------

PROGRAM = """
    import os, sys, time
    from engines.evaluation.experiment.pools import run

    def work(task):
        print("at work", os.getpid(), flush=True)
        open(task[1], "w").close()
        time.sleep(600)

    if __name__ == "__main__":
        print("begun", flush=True)
        try:
            list(run([(n, sys.argv[2]) for n in range(3)], work, **eval(sys.argv[1])))
        except KeyboardInterrupt:
            print("stopped", flush=True)
            sys.exit(130)
"""


def started(tmp_path: Path, where: Any) -> subprocess.Popen[str]:
    """The program above, at the head of a group of processes, as a terminal starts it."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    pipe, here = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(program), repr(where), str(tmp_path / "at work")]
    return subprocess.Popen(
        command,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
        env=here,
        preexec_fn=_hears_ctrl_c,
    )


def _hears_ctrl_c() -> None:
    """A shell that starts these tests in the background has its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("begin", ["begun", "at work"])
def test_ctrl_c_ends_all_of_them_without_a_word(begin: str, tmp_path: Path) -> None:
    process = started(tmp_path, PROCESSES)
    while begin not in process.stdout.readline():
        pass
    time.sleep(0.2 if begin == "begun" else 0)  # some processes are just about to begin
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)  # ends once nobody holds the other end of the pipes
    assert (process.returncode, out.splitlines()[-1:], err) == (130, ["stopped"], "")


@pytest.mark.slow
@needs_ray[1]
def test_ctrl_c_ends_ray(tmp_path: Path) -> None:
    process = started(tmp_path, RAY)
    assert process.stdout.readline() == "begun\n"
    wait_until((tmp_path / "at work").exists)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, "stopped\n", "")


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    process = started(tmp_path, PROCESSES)
    while "at work" not in process.stdout.readline():
        pass
    process.kill()
    process.communicate(timeout=PATIENCE)


# --- Ray -------------------------------------------------------------------------------------------


def listening() -> set[str]:
    """Addresses that anything on this machine listens on, as in /proc/net/tcp: hexadecimal."""
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {row[1] for row in rows if row[3] == "0A"}


@pytest.mark.slow
@needs_ray[1]
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/net")
def test_ray_on_this_machine_listens_to_this_machine_alone() -> None:
    before = listening()
    results = run([0.0, 0.0], process_of, **RAY)
    next(results)
    new = listening() - before
    results.close()  # type: ignore[attr-defined]
    loopback = ("0100007F:", "0000000000000000FFFF00000100007F:", "00000000000000000000000001000000:")
    assert new and [address for address in new if not address.startswith(loopback)] == []


@needs_ray[1]
@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere"])
def test_a_cluster_that_does_not_answer_is_told_soon(address: str) -> None:
    with pytest.raises(Clip2ProtectError, match=f"^no Ray cluster answers at {address}: "):
        list(run([1], fail, ray=address))


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"clip2protect\[cluster\]"):
        next(run([1], fail, ray="127.0.0.1:1"))

"""Many independent tasks: here one after the other, in several processes, or on a Ray cluster.

The last bits of a sum of floats depend on its order.  The order of torch's sums depends on the number of its
threads. A search that follows gradients for hundreds of steps turns a difference in the last bit into another
photo.  So each task has the same number of threads wherever it runs, and the figures do not depend on the
place.  (The matrix products of numpy have threads of their own: OMP_NUM_THREADS sets their number before
Python starts.)
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

import torch

from engines.errors import Clip2ProtectError, ConfigError

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
#: The address that starts Ray on this machine, for as long as the tasks take.
LOCAL = "local"
#: Tasks that wait beside those in work: enough that no worker waits, few enough that results do not pile up.
_AHEAD = 2
#: How often Ray may repeat a task whose worker died, as when a machine leaves the cluster.
_RETRIES = 2
#: Seconds that a cluster may take to answer a call.
_ANSWER = 10.0
_ENDED = "a worker process ended (out of memory?): run again with --resume and fewer --processes"
#: Without these, Ray listens on every network of the machine, to everyone, and reports its use to its makers.
_PRIVATE_RAY = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a node's address is the loopback's: there is no second node
    "AUTOSCALER_METRIC_PORT": "-1",  # a port that cannot be had: these figures know no loopback
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
}


def run(
    tasks: Sequence[T],
    work: Callable[[T], R],
    *,
    processes: int = 1,
    ray: str | None = None,
    threads: int = 1,
) -> Iterator[tuple[T, R]]:
    """Each task with its result, in the order in which they get done.

    `work` is a function of a module: other processes import it by name, and may keep there the networks that
    it loads at first use.  It returns failures of a task as values; an error that it raises ends the run and
    is raised here. Tasks and results travel between processes, so they hold plain data and arrays.

    `ray` is `local` for this machine (`processes` of its cores, all of them for 1), or the address of a
    cluster on whose machines this package is installed (one that wants a token: set RAY_AUTH_MODE=token, and
    Ray finds it). Without it, one process means this one.  `threads` are torch's, of each task.  Closing the
    iterator ends all work in progress, and so does Ctrl-C.

    Raises:
        ConfigError: there are no such processes, or no Ray.
        Clip2ProtectError: a worker died, or the cluster does not answer.
    """
    if processes < 1 or threads < 1:
        raise ConfigError("processes and threads are numbers from 1")
    if ray is not None:
        return _spread(tasks, _Ray(work, threads, ray, processes))
    if processes == 1:
        return ((task, _alone(work, task, threads)) for task in tasks)
    return _spread(tasks, _Processes(work, threads, min(processes, max(1, len(tasks)))))


def _alone(work: Callable[[T], R], task: T, threads: int) -> R:
    """One task, with this number of torch's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return work(task)
    finally:
        torch.set_num_threads(before)


class _Crew(Protocol[R_co]):
    """The workers; a handle stands for a task that was begun."""

    def start(self) -> None: ...
    def room(self) -> int:
        """How many tasks may be in progress at once."""

    def begin(self, task: Any) -> Any: ...
    def ended(self, handles: Collection[Any]) -> list[Any]:
        """Wait until at least one is over."""

    def result(self, handle: Any) -> R_co: ...
    def stop(self, unfinished: Collection[Any]) -> None: ...


def _spread(tasks: Sequence[T], crew: _Crew[R]) -> Iterator[tuple[T, R]]:
    rest = iter(tasks)
    waiting: dict[Hashable, T] = {}
    try:
        crew.start()
        while True:
            for task in islice(rest, max(0, crew.room() - len(waiting))):
                waiting[crew.begin(task)] = task
            if not waiting:
                return
            for handle in crew.ended(waiting.keys()):
                yield waiting.pop(handle), crew.result(handle)
    finally:
        crew.stop(waiting.keys())


class _Processes(Generic[T, R]):
    """Processes of this machine."""

    def __init__(self, work: Callable[[T], R], threads: int, count: int) -> None:
        self._work, self._threads, self._count = work, threads, count

    def start(self) -> None:
        # spawn: a fork would copy torch's locks in whatever state its threads have left them.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(self._count, mp_context=context, initializer=_begin)

    def room(self) -> int:
        return self._count + _AHEAD

    def begin(self, task: T) -> Future[R]:
        with _uninterrupted(), _explained():
            return self._pool.submit(_alone, self._work, task, self._threads)

    def ended(self, handles: Collection[Future[R]]) -> list[Future[R]]:
        done = wait(handles, return_when=FIRST_COMPLETED).done
        return sorted(
            done, key=lambda future: future.exception() is not None
        )  # results come before a failure

    def result(self, handle: Future[R]) -> R:
        with _explained():
            return handle.result()

    def stop(self, unfinished: Collection[Future[R]]) -> None:
        if unfinished:  # their results are of no use any more, and take minutes
            for process in list((self._pool._processes or {}).values()):
                process.kill()
        self._pool.shutdown(cancel_futures=True)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise Clip2ProtectError(_ENDED) from error


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes that start within never get Ctrl-C, even while Python starts: their parent ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """A worker leaves Ctrl-C to its parent, and ends with it, however the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _knock(address: str, own: str) -> None:
    """Raise OSError where no server listens; Ray would try for minutes, and takes the loopback for `own`."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        there = own if host in ("localhost", "127.0.0.1") else host
        socket.create_connection((there, int(port)), timeout=_ANSWER).close()


class _Ray(Generic[T, R]):
    """A Ray cluster, or Ray on this machine alone."""

    def __init__(self, work: Callable[[T], R], threads: int, address: str, processes: int) -> None:
        self._work, self._threads, self._address = work, threads, address
        self._cores = processes if processes > 1 else os.cpu_count() or 1
        self._folder = ""

    def start(self) -> None:
        if self._address == LOCAL:  # Ray reads some of them when it is imported
            os.environ.update(_PRIVATE_RAY)
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        try:
            import ray
        except ImportError:
            raise ConfigError("tasks on a cluster need Ray: pip install 'clip2protect[cluster]'") from None
        self._ray = ray
        try:
            _knock(self._address, ray.util.get_node_ip_address())
            ray.init(**self._options())
        except (OSError, RuntimeError, ValueError) as error:
            first = str(error).strip().partition("\n")[0]
            raise Clip2ProtectError(f"no Ray cluster answers at {self._address}: {first}") from error
        self._do: Any = ray.remote(num_cpus=1, max_retries=_RETRIES)(_alone)

    def _options(self) -> dict[str, Any]:
        options = {"address": self._address, "log_to_driver": False, "logging_level": "ERROR"}
        if self._address != LOCAL:
            return options
        # A folder of ours, for Ray's own is open to all users; a short name, for those of sockets are
        # limited.
        self._folder = tempfile.mkdtemp(prefix="c2p-", dir="/tmp" if os.name == "posix" else None)
        here = {"_node_ip_address": "127.0.0.1", "_temp_dir": self._folder, "include_dashboard": False}
        return options | here | {"num_cpus": self._cores}

    def room(self) -> int:
        return int(self._ray.cluster_resources().get("CPU", 1)) + _AHEAD  # clusters grow and shrink

    def begin(self, task: T) -> Any:
        return self._do.remote(self._work, task, self._threads)

    def ended(self, handles: Collection[Any]) -> list[Any]:
        return self._ray.wait(list(handles), num_returns=1)[0]

    def result(self, handle: Any) -> R:
        failures = self._ray.exceptions
        try:
            return self._ray.get(handle)
        except failures.RayTaskError as error:
            raise (error.cause or error) from error
        except (failures.RaySystemError, failures.WorkerCrashedError, failures.OutOfMemoryError) as error:
            raise Clip2ProtectError(_ENDED) from error

    def stop(self, unfinished: Collection[Any]) -> None:
        with suppress(Exception):  # the cluster may be gone
            for handle in unfinished:
                self._ray.cancel(handle, force=True)
        if hasattr(self, "_ray"):
            self._ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

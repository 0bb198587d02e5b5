"""Fixtures that several test files share, and what a run does with its processes, memory and slow tests."""

from __future__ import annotations

import gc
import os
import sys

# Two processes share two cores, and results must not depend on the machine: set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # torch takes seconds to import, and many tests need none of it
    from engines.stack import Stack


#: Files that share a fixture which takes a minute to make, and so one process.
SHARED = {
    "tests/engines/backends/test_attach.py": "exported networks",
    "tests/engines/backends/test_backends.py": "exported networks",
    "tests/export/test_onnx.py": "exported networks",
    "tests/export/test_tensorrt.py": "exported networks",
}


#: Tests here wait for browsers more than they compute.
WAITING = ("tests/browser/", "tests/extension/")
#: As many processes compute as a laptop has cores; further ones begin with tests that wait.
COMPUTING = ("gw0", "gw1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """The tests of a file stay in one process, and so do those of files that share an expensive fixture.

    Networks are loaded in two processes only, which bounds memory; the third one drives browsers meanwhile.
    """
    from xdist.scheduler import LoadFileScheduling
    from xdist.workermanage import WorkerController

    class ByFile(LoadFileScheduling):
        def _assign_work_unit(self, node: WorkerController) -> None:
            waits = node.gateway.id not in COMPUTING
            suited = (file for file in self.workqueue if file.startswith(WAITING) == waits)
            if (file := next(suited, None)) is not None:
                self.workqueue.move_to_end(file, last=False)
            super()._assign_work_unit(node)

        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return SHARED.get(file, file)

    return ByFile(config, log)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Counts the slow tests that the run leaves out; every process of a run leaves out the same ones."""
    config = items[0].config
    slow = sum(item.get_closest_marker("slow") is not None for item in items)
    config.stash[LEFT_OUT] = config.stash.get(LEFT_OUT, 0) + slow
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = config.stash[LEFT_OUT]


LEFT_OUT = pytest.StashKey[int]()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Takes over the number of slow tests from a process that has ended."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)  # type: ignore[attr-defined]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says what the run left out."""
    if count := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"slow tests left out: {count}; `make test-all` runs them too")


#: Bytes of a process above which a test hands its freed memory back, and the growth since the last time that
#: is worth it: to look for what is free takes a third of a second where much is loaded, most tests take less.
MUCH, MORE = 1_200_000_000, 150_000_000
HELD = pytest.StashKey[int]()


@pytest.fixture(autouse=True)
def memory_goes_back(request: pytest.FixtureRequest) -> Iterator[None]:
    """The networks and tensors of a test do not stay beside those of the next."""
    yield
    if "torch" not in sys.modules:
        return
    now, stash = resident(), request.config.stash
    held = min(stash.get(HELD, 0), now)
    if now > max(MUCH, held + MORE):
        from engines.runtime import release_memory

        gc.collect()
        release_memory()
        held = resident()
    stash[HELD] = held


def resident() -> int:
    """Resident bytes of this process; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The embedded networks on the CPU, fetched on first use."""
    from engines.load import embedded_stack
    from engines.runtime import tune_allocator

    tune_allocator()
    return embedded_stack("cpu", engines=False)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step of inversion instead of ten, for what does not depend on how near the pivot comes."""
    from engines.networks.encoder import Encoder

    monkeypatch.setattr(Encoder, "refinement", 1)


@pytest.fixture(scope="session")
def engines_folder(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every network as ONNX in float32, compared with torch."""
    from export import parity
    from export.build import export

    folder = tmp_path_factory.mktemp("engines")
    made = [engine.network for engine in export(stack, folder)]
    with pytest.MonkeyPatch.context() as patch:  # no test asks how fast they are
        patch.setattr(parity, "seconds", partial(parity.seconds, calls=1))
        judged = list(parity.verify(stack, folder))
    assert [one.exported.network for one in judged] == made
    return folder


@pytest.fixture(scope="session")
def two_faces(stack: Stack) -> tuple[bytes, bytes]:
    """PNG: a person in another light, and that person on the left with a generated face on the right."""
    from io import BytesIO

    import numpy as np
    from PIL import Image
    from skimage import data

    from engines.latent.target import generated_face

    def png(pixels: np.ndarray) -> bytes:
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    person = data.astronaut()
    stranger = np.asarray(Image.fromarray(generated_face(stack.generator, 3)).resize((512, 512)))
    darker = (person[:, ::-1] * 0.7).astype(np.uint8)  # and seen in a mirror
    return png(darker), png(np.concatenate([person, stranger], axis=1))

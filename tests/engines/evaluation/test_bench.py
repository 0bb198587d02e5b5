"""The benchmark of a protection, with the real method."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from engines.config import Settings
from engines.evaluation import bench

if TYPE_CHECKING:
    from engines.stack import Stack


def test_the_peak_of_memory_is_this_processes() -> None:
    before = bench.peak_memory()
    assert 10 < before <= bench.peak_memory()
    assert before == pytest.approx(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, rel=0.5)


@pytest.mark.models
@pytest.mark.slow
def test_every_stage_and_the_papers_schedule_are_timed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's schedule is cut short: its steps are the same."""
    monkeypatch.setattr(bench, "PAPER", Settings(render="generator", tuning_steps=1, steps=1))
    figures = bench.bench(stack, runs=1, faces=2)
    assert (figures["runs"], figures["faces"]) == (1, 2)
    seconds = figures["seconds"]
    assert seconds["a_face"] == seconds["total"] / 2
    stages = sum(value for name, value in seconds.items() if name not in ("total", "a_face"))
    assert 0 < stages <= seconds["total"] * 1.01
    assert figures["memory_mib"]["peak"] >= figures["memory_mib"]["networks_loaded"] > 0
    assert figures["times_faster_than_paper_schedule"] > 0

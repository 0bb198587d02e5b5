"""Time and memory of a protection, beside the paper's schedule in the same run."""

from __future__ import annotations

import platform
import resource
import statistics
import sys
from io import BytesIO
from typing import Any

import skimage.data
import torch
from PIL import Image

from engines import imaging
from engines.config import Settings
from engines.pipeline import protect
from engines.stack import Stack

#: The paper: 150 steps of pivotal tuning, 50 of search, the generator's own pixels (section 4).
PAPER = Settings(render="generator", tuning_steps=150, steps=50)


def bench(stack: Stack, runs: int) -> dict[str, Any]:
    """Median seconds of every stage over `runs` protections of one face, after one that only warms up.

    The paper's schedule runs once, with this project's generator, losses and window.  Its inversion
    is not counted: the paper has an encoder for that.  Memory is the process's, in MiB.
    """
    photo = _photo()
    loaded = peak_memory()
    protect(photo, stack, Settings(steps=2))
    reports = [protect(photo, stack, Settings()).report for _ in range(runs)]
    peak = peak_memory()
    paper = protect(photo, stack, PAPER).report["faces"][0]["seconds"]
    stages = {s: statistics.median(r["stages"][s] for r in reports) for s in reports[0]["stages"]}
    total = statistics.median(r["seconds"] for r in reports)
    paper_total = sum(seconds for stage, seconds in paper.items() if stage != "invert")
    return {
        "device": _device_name(stack.device),
        "threads": torch.get_num_threads(),
        "runs": runs,
        "seconds": {**stages, "total": total},
        "memory_mib": {"networks_loaded": loaded, "peak": peak},
        "paper_schedule_seconds": paper,
        "times_faster_than_paper_schedule": paper_total / total,
    }


def peak_memory() -> float:
    """Largest resident memory of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def _photo() -> imaging.Photo:
    buffer = BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(buffer, "PNG")
    return imaging.decode(buffer.getvalue())


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()

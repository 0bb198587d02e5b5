"""Time and memory of a protection, beside the paper's schedule in the same run."""

from __future__ import annotations

import platform
import resource
import statistics
import sys
from io import BytesIO
from typing import Any

import numpy as np
import skimage.data
import torch
from PIL import Image

from engines.config import Settings
from engines.photo.decode import Photo, decode
from engines.pipeline import protect
from engines.stack import Stack

#: The paper: 150 steps of pivotal tuning, 50 of search, the generator's own pixels (section 4).
PAPER = Settings(render="generator", tuning_steps=150, steps=50)


def bench(stack: Stack, runs: int, faces: int = 1) -> dict[str, Any]:
    """Median seconds of every stage over `runs` protections of a photo, after one that only warms up.

    The photo shows one face so many times.  The paper's schedule runs once, on one face, with this
    project's generator, losses and window, and without its inversion, for which the paper has an
    encoder; the ratio is a face's.  Memory is the process's, and on a GPU also what torch holds there,
    in MiB.
    """
    photo = _photo(faces)
    loaded = peak_memory()
    protect(photo, stack, Settings(steps=2))
    reports = [protect(photo, stack, Settings()).report for _ in range(runs)]
    memory = {"networks_loaded": loaded, "peak": peak_memory(), "above_networks": peak_memory() - loaded}
    if stack.device.type == "cuda":
        memory["gpu_peak"] = torch.cuda.max_memory_allocated(stack.device) / 2**20
    paper = protect(_photo(1), stack, PAPER).report["faces"][0]["seconds"]
    paper_total = sum(seconds for stage, seconds in paper.items() if stage != "invert")
    stages = {s: statistics.median(r["stages"][s] for r in reports) for s in reports[0]["stages"]}
    total = statistics.median(r["seconds"] for r in reports)
    return {
        "device": _device_name(stack.device),
        "threads": torch.get_num_threads(),
        "runs": runs,
        "faces": faces,
        "seconds": {**stages, "total": total, "a_face": total / faces},
        "memory_mib": memory,
        "paper_schedule_seconds": paper,
        "times_faster_than_paper_schedule": paper_total / (total / faces),
    }


def peak_memory() -> float:
    """Largest resident memory of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def _photo(faces: int) -> Photo:
    """The astronaut so many times, side by side."""
    buffer = BytesIO()
    Image.fromarray(np.tile(skimage.data.astronaut(), (1, faces, 1))).save(buffer, "PNG")
    return decode(buffer.getvalue())


def _device_name(device: torch.device) -> str:
    return (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor() or platform.machine()
    )

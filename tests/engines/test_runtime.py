"""The process: what the allocator keeps goes back when it is told to."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Frees 100 blocks of 4 MiB below one that stays: the top of the heap cannot shrink by itself.
_PROGRAM = """
import os
from pathlib import Path
import torch
from engines.runtime import release_memory, tune_allocator

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

tune_allocator()
blocks = [torch.ones(1 << 20) for _ in range(100)]
stays = torch.ones(1 << 20)
full = resident()
del blocks
kept = resident()
released = release_memory()
print(full, kept, resident(), released, float(stays.mean()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_what_the_allocator_keeps_goes_back_when_it_is_released() -> None:
    result = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    full, kept, after, released, mean = result.stdout.split()
    assert int(kept) > int(full) - 20  # the tuned allocator keeps it, for the next step
    assert int(after) < int(kept) - 350
    assert (released, mean) == ("True", "1.0")

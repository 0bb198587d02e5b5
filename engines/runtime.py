"""The process: memory allocator and device."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable

import torch

from engines.errors import ConfigError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc


def tune_allocator() -> bool:
    """Let glibc keep freed pages instead of handing them back to the kernel after every layer.

    A step of the search allocates and frees about a gigabyte.  With the default thresholds the kernel maps
    and clears each tensor again, which takes three quarters of the time.  `release_memory` gives kept pages
    back.  Returns whether the allocator accepted it; only glibc on Linux has something to tune.
    """
    mallopt = _glibc("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 1 << 30) and mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1))


def release_memory() -> bool:
    """Hand freed pages back to the kernel, after each photo, so that many photos hold no more than one.

    Returns whether there were any.
    """
    malloc_trim = _glibc("malloc_trim")
    return malloc_trim is not None and bool(malloc_trim(0))


def limit_memory(megabytes: int = 0) -> bool:
    """Limit the memory of this process from now on, in MiB; 0 for three quarters of the machine's.

    A job that needs more fails with an error instead of halting the machine.  Returns whether this system has
    such a limit: Linux has.
    """
    if not sys.platform.startswith("linux"):
        return False
    import resource

    size = megabytes << 20 or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    return True


def _glibc(function: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), function, None) if sys.platform.startswith("linux") else None


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda` to a device.  Raises ConfigError where it is unknown or missing."""
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"unknown device {name!r}: choose one of auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no CUDA device is usable here: choose --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")

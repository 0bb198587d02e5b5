"""Errors in one line, for people."""

from __future__ import annotations

from engines.errors import Clip2ProtectError


def reason(error: BaseException) -> str:
    """The cause of an error in one line; an unforeseen error is called so."""
    if isinstance(error, Clip2ProtectError):
        return str(error)
    if out_of_memory(error):
        return "not enough memory: close other programs or make the photo smaller"
    first = str(error).strip().partition("\n")[0]
    return f"unexpected {type(error).__name__}: {first} (--debug shows where)"


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: torch says so in words."""
    return isinstance(error, MemoryError) or ("alloc" in str(error) and "memory" in str(error))

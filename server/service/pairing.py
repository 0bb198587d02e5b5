"""Pairing by the one-time code on the console.

A browser does not send the code.  The server proves first that it knows it, then the browser does, and both
make the secret of their sessions from it.  A program may send the code and gets a token.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

from server.common.problems import Problem
from server.service.clients import Client, Clients
from server.service.proofs import ROUNDS, is_proven, key_of_code, make_nonce, prove, secret_of

#: A code has no letter that looks like another, and is valid for CODE_SECONDS.
_LETTERS, _LENGTH, CODE_SECONDS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789", 10, 600
#: A code is spent after so many wrong guesses, and the next one comes so many seconds later.
GUESSES, PAUSE_SECONDS = 100, 10.0
#: So many wrong guesses of an origin in `_WINDOW` seconds are told apart from too many.
_ATTEMPTS, _WINDOW = 5, 60.0
#: Challenges that may wait for their answer; the oldest goes first.
_WAITING = 64


class _Challenge(NamedTuple):
    theirs: str
    host: str
    key: bytes


class Pairing:
    """The code of the moment, and the challenges that were made with it."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._wrong: dict[str, list[float]] = {}
        #: Shows a code on the console.
        self.show: Callable[[str], None] = lambda code: None
        self.renew()

    def renew(self) -> None:
        """A new code; the old one and what was made with it are of no more use."""
        self.code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        self._ends = time.monotonic() + CODE_SECONDS
        self._salt = make_nonce()
        self._key: asyncio.Task[bytes] | None = None
        self._waiting: dict[str, _Challenge] = {}
        self._guesses = 0
        self.show(self.code)

    def by_code(self, code: str, *, name: str, origin: str = "") -> tuple[str, Client]:
        """A program's token.  Raises Problem: a wrong code, or too many of them."""
        given = code.strip().upper().replace("-", "").encode("utf-8", "replace")
        self._refresh()
        # The right code counts whatever was guessed before: nobody can lock its reader out by guessing.
        if not hmac.compare_digest(given, self.code.encode()):
            raise self._refused(origin)
        self.renew()
        return self._clients.add_program(name, origin)

    async def challenge(self, theirs: str, host: str) -> dict[str, object]:
        """The server's proof that it knows the code, for a browser that asks under this address."""
        self._refresh()
        if self._key is None:
            self._key = asyncio.create_task(asyncio.to_thread(key_of_code, self.code, self._salt))
        salt, waiting, ours = self._salt, self._waiting, make_nonce()
        key = await asyncio.shield(self._key)
        waiting[ours] = _Challenge(theirs, host, key)
        if len(waiting) > _WAITING:
            del waiting[next(iter(waiting))]
        proof = prove(key, "pair server", host, theirs, ours)
        return {"nonce": ours, "salt": salt, "rounds": ROUNDS, "proof": proof}

    def by_proof(self, ours: str, proof: str, *, host: str, name: str, origin: str) -> Client:
        """A browser that proves that it knows the code, too.  Raises Problem as `by_code` does."""
        self._refresh()
        made = self._waiting.pop(ours, None)
        if made is None or not is_proven(made.key, proof, "pair client", made.host, made.theirs, ours):
            raise self._refused(origin)
        if made.host != host:
            raise Problem("bad_code")
        self.renew()
        return self._clients.add_browser(name, origin, secret_of(made.key, ours, made.theirs))

    def _refresh(self) -> None:
        """Replace a code that is too old or spent.  Raises Problem while a spent one has no successor."""
        now = time.monotonic()
        if now > self._ends:
            self.renew()
        elif self._guesses >= GUESSES:
            raise Problem("too_many_attempts", headers={"Retry-After": str(int(PAUSE_SECONDS))})

    def _refused(self, origin: str) -> Problem:
        """Count a wrong guess, of the code and of its origin."""
        now = time.monotonic()
        self._guesses += 1
        if self._guesses >= GUESSES:
            self._ends = now + PAUSE_SECONDS
        recent = {name: [t for t in times if t > now - _WINDOW] for name, times in self._wrong.items()}
        self._wrong = {name: times for name, times in recent.items() if times}
        times = self._wrong.setdefault(origin, [])
        if len(times) >= _ATTEMPTS:
            return Problem("too_many_attempts", headers={"Retry-After": str(int(_WINDOW))})
        times.append(now)
        return Problem("bad_code")

"""Sessions: who asks, by a token (a program) or by a proof (a browser).

A browser's session begins with a challenge in both directions.  The server proves that it knows the secret of
the pairing before the browser says anything else.  Every request has a proof of its own, for its number,
method and address; every answer has one, too.  No proof is of use at another address, in another session, or
twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from server.common.problems import Problem
from server.service.clients import Client, Clients
from server.service.proofs import Keys, is_proven, keys_of, make_nonce, prove

#: Seconds that a session lasts, and requests that it may have.
SESSION_SECONDS, _REQUESTS = 300.0, 4096
#: Sessions that may wait for their first request, and sessions that had one; the oldest go first.
_OFFERED, _HELD = 256, 1024
SCHEME = "Clip2Protect"
#: What proves an answer, from its status.
ANSWER: web.RequestKey[Callable[[int], str]] = web.RequestKey("answer")


@dataclass
class _Session:
    client: str
    keys: Keys
    #: Its address as the browser has it, its client and both nonces: every proof names them.
    words: tuple[str, str, str, str]
    ends: float
    seen: set[int] = field(default_factory=set)


class Sessions:
    """All that are open, in memory only."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._offered: dict[str, _Session] = {}
        self._held: dict[str, _Session] = {}

    def offer(self, number: str, theirs: str, host: str) -> dict[str, object]:
        """The server's proof for a client of this number, and its half of the challenge.

        Raises Problem for a client that is not known, or that an older version paired.
        """
        client = self._clients.get(number)
        if client is None:
            raise Problem("unpaired")
        if not client.secret:
            raise Problem("pair_anew")
        ours, keys = make_nonce(), keys_of(client.secret)
        words = (host, client.id, theirs, ours)
        self._offered[ours] = _Session(client.id, keys, words, time.monotonic() + SESSION_SECONDS)
        _bound(self._offered, _OFFERED)
        proof = prove(keys.server, "session", *words)
        return {"nonce": ours, "seconds": int(SESSION_SECONDS), "proof": proof}

    def caller(self, request: web.Request) -> Client | None:
        """Who sends this request, None if nobody says.

        Raises Problem for a session that is over, and for a token that an older version gave a browser.
        """
        scheme, _, words = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == SCHEME.lower():
            return self._prover(request, words)
        client = self._clients.find(words) if scheme.lower() == "bearer" and words else None
        if client is not None and client.outdated:
            raise Problem("pair_anew")
        return client

    def origins(self) -> set[str]:
        """Origins of those that are paired."""
        return self._clients.origins()

    def _prover(self, request: web.Request, given: str) -> Client:
        ours, _, rest = given.partition(".")
        text, _, proof = rest.partition(".")
        session = self._held.get(ours) or self._offered.get(ours)
        if session is None or time.monotonic() > session.ends:
            raise Problem("session_over")
        client = self._clients.get(session.client)
        if client is None:
            raise Problem("unpaired")
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else _REQUESTS
        words = (*session.words, text, request.method, request.raw_path)
        if not is_proven(session.keys.client, proof, "request", *words):
            raise Problem("session_over")
        if number >= _REQUESTS or number in session.seen:  # it was heard before, by whoever sends it again
            raise Problem("session_over")
        session.seen.add(number)
        if self._offered.pop(ours, None) is not None:
            self._held[ours] = session
            _bound(self._held, _HELD)
        client.used = time.time()
        request[ANSWER] = lambda status: prove(
            session.keys.server, "answer", *session.words, text, str(status)
        )
        return client


def _bound(sessions: dict[str, _Session], most: int) -> None:
    """Drop what is over, and the oldest of too many."""
    now = time.monotonic()
    while sessions and (len(sessions) > most or next(iter(sessions.values())).ends < now):
        del sessions[next(iter(sessions))]

"""Who is paired: tokens, kept as hashes, and the one-time code that gives a new one."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from engines.errors import ConfigError
from server.common.private import read_private, write_private
from server.common.problems import Problem

#: A code has no letter that looks like another, and is valid for CODE_SECONDS.
_LETTERS, _LENGTH, CODE_SECONDS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789", 8, 600
#: Wrong codes a minute, of all clients together: guessing 40 bits takes ages at that rate.
_ATTEMPTS, _WINDOW = 5, 60.0


@dataclass
class Client:
    """One that was paired.  `origin` is empty for a program that is no browser."""

    id: str
    name: str
    origin: str
    digest: str
    paired: float
    used: float


class Clients:
    """All that were paired, in a file that only its owner reads."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError for a file that is not ours to use."""
        self._path = path
        self._known = {client.id: client for client in _load(path)}
        self._wrong: list[float] = []
        #: Shows a code on the console.
        self.show: Callable[[str], None] = lambda code: None
        self.renew()

    def renew(self) -> None:
        """A new code; the old one is of no more use."""
        self.code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        self._code_ends = time.monotonic() + CODE_SECONDS
        self.show(self.code)

    def pair(self, code: str, *, name: str, origin: str) -> tuple[str, Client]:
        """A new client's token, seen here for the only time.

        Raises Problem: too many attempts, or a wrong code.
        """
        now = time.monotonic()
        self._wrong = [since for since in self._wrong if since > now - _WINDOW]
        if len(self._wrong) >= _ATTEMPTS:
            raise Problem("too_many_attempts", headers={"Retry-After": str(int(_WINDOW))})
        given = code.strip().upper().replace("-", "").encode("utf-8", "replace")
        if now > self._code_ends or not hmac.compare_digest(given, self.code.encode()):
            self._wrong.append(now)
            if now > self._code_ends:
                self.renew()
            raise Problem("bad_code")
        self.renew()
        token = secrets.token_urlsafe(32)
        client = Client(secrets.token_urlsafe(8), name, origin, _digest(token), time.time(), time.time())
        self._save(self._known | {client.id: client})
        return token, client

    def find(self, token: str) -> Client | None:
        """Whose token it is; compared in constant time."""
        digest, found = _digest(token), None
        for client in self._known.values():
            if hmac.compare_digest(client.digest, digest):
                found = client
        if found is not None:
            found.used = time.time()
        return found

    def origins(self) -> set[str]:
        """Origins of those that are paired."""
        return {client.origin for client in self._known.values() if client.origin}

    def revoke(self, client: str) -> bool:
        """Forget one; False if there is none."""
        if client not in self._known:
            return False
        self._save({number: known for number, known in self._known.items() if number != client})
        return True

    def listing(self) -> list[dict[str, object]]:
        """All of them, without their secrets."""
        return [{k: v for k, v in asdict(c).items() if k != "digest"} for c in self._known.values()]

    def _save(self, known: dict[str, Client]) -> None:
        """What cannot be kept does not hold: it would be otherwise after the next start."""
        write_private(self._path, [asdict(client) for client in known.values()])
        self._known = known


def _load(path: Path) -> list[Client]:
    try:
        return [Client(**entry) for entry in read_private(path) or []]
    except TypeError as error:
        raise ConfigError(f"{path} is damaged: remove it and pair again") from error


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()

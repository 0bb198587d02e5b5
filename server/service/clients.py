"""Who is paired: programs by the hash of a token, browsers by a secret that they share with the server."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from engines.errors import ConfigError
from server.common.private import read_private, write_private

#: How origins of extensions begin.
EXTENSIONS = ("chrome-extension://", "moz-extension://", "safari-web-extension://")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass
class Client:
    """One that was paired.

    A program has the `digest` of its token and an empty `origin`.  A browser has a `secret`, and proves in
    every session that it knows it.
    """

    id: str
    name: str
    origin: str
    digest: str
    paired: float
    used: float
    secret: str = ""

    @property
    def outdated(self) -> bool:
        """Whether an older version paired it: it sent its token to whoever answered."""
        return can_prove(self.origin) and not self.secret


class Clients:
    """All that were paired, in a file that only its owner reads."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError for a file that is not ours to use."""
        self._path = path
        self._known = {client.id: client for client in _load(path)}

    def add_program(self, name: str, origin: str = "") -> tuple[str, Client]:
        """A new client's token, seen here for the only time."""
        token = secrets.token_urlsafe(32)
        return token, self._add(name, origin, digest=_digest(token))

    def add_browser(self, name: str, origin: str, secret: str) -> Client:
        """A new client that proves itself by a secret."""
        return self._add(name, origin, secret=secret)

    def _add(self, name: str, origin: str, *, digest: str = "", secret: str = "") -> Client:
        now = time.time()
        client = Client(secrets.token_urlsafe(8), name, origin, digest, now, now, secret)
        self._save(self._known | {client.id: client})
        return client

    def get(self, number: str) -> Client | None:
        """The client of this number."""
        return self._known.get(number)

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
        hidden = {"digest", "secret"}
        return [{k: v for k, v in asdict(c).items() if k not in hidden} for c in self._known.values()]

    def _save(self, known: dict[str, Client]) -> None:
        """What cannot be kept does not hold: it would be otherwise after the next start."""
        write_private(self._path, [asdict(client) for client in known.values()])
        self._known = known


def can_prove(origin: str) -> bool:
    """Whether a browser computes proofs for pages of this origin.

    It does for extensions and on its own machine, and not for a page that came by plain HTTP from another
    one.
    """
    return origin.startswith(EXTENSIONS) or urlsplit(origin).hostname in _LOOPBACK


def _load(path: Path) -> list[Client]:
    try:
        return [Client(**entry) for entry in read_private(path) or []]
    except TypeError as error:
        raise ConfigError(f"{path} is damaged: remove it and pair again") from error


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()

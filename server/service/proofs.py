"""Proofs that two sides share a secret: HMAC-SHA-256 over what was said, so that the secret never travels.

`server/page/proof.js` and `extension/src/background/proof.js` do the same in a browser.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import NamedTuple

#: Rounds of PBKDF2 that make a key of a pairing code: a guess takes a core a tenth of a second.
ROUNDS = 600_000


class Keys(NamedTuple):
    """What each side proves itself by.  There are two, so that no proof can be sent back as another."""

    server: bytes
    client: bytes


def make_nonce() -> str:
    """A number that nobody has used: 256 bits, as 43 letters."""
    return _text(secrets.token_bytes(32))


def is_nonce(value: object) -> bool:
    """Whether it may be one of the other side's."""
    return isinstance(value, str) and len(value) == 43 and value.isascii()


def prove(key: bytes, *parts: str) -> str:
    """The proof of a key for these words, none of which has a line break."""
    return _text(hmac.digest(key, "\n".join(parts).encode(), "sha256"))


def is_proven(key: bytes, given: object, *parts: str) -> bool:
    """Whether it is the proof of this key for these words; compared in constant time."""
    words = given.encode("utf-8", "replace") if isinstance(given, str) else b""
    return hmac.compare_digest(words, prove(key, *parts).encode())


def key_of_code(code: str, salt: str) -> bytes:
    """The key of a pairing code, made slowly: whoever tries out codes pays for each."""
    return hashlib.pbkdf2_hmac("sha256", code.encode(), salt.encode(), ROUNDS)


def secret_of(key: bytes, ours: str, theirs: str) -> str:
    """The secret that a pairing leaves on both sides, from a code's key and both nonces."""
    return prove(key, "secret", theirs, ours)


def keys_of(secret: str) -> Keys:
    """The two keys of a secret."""
    return Keys(*(hmac.digest(secret.encode(), side, "sha256") for side in (b"server", b"client")))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

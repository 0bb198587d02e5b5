"""Proofs by HMAC: what they bind, and that they tell nothing else apart."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from server.service.proofs import (
    ROUNDS,
    is_nonce,
    is_proven,
    key_of_code,
    keys_of,
    make_nonce,
    prove,
    secret_of,
)


def test_a_proof_holds_for_its_key_and_words_only() -> None:
    proof = prove(b"key", "session", "127.0.0.1:8765", "x")
    assert is_proven(b"key", proof, "session", "127.0.0.1:8765", "x")
    assert not is_proven(b"other", proof, "session", "127.0.0.1:8765", "x")
    assert not is_proven(b"key", proof, "session", "127.0.0.1:8766", "x")
    assert not is_proven(b"key", proof, "answer", "127.0.0.1:8765", "x")


@pytest.mark.parametrize("given", [None, 1, "", "ü", "\ud800", b"x", [], "x" * 10_000])
def test_anything_else_is_no_proof(given: object) -> None:
    assert not is_proven(b"key", given, "session")


def test_a_nonce_is_new_and_recognised() -> None:
    assert is_nonce(make_nonce()) and make_nonce() != make_nonce()
    for other in (None, 1, "", "x" * 42, "x" * 44, "ü" * 43):
        assert not is_nonce(other)


def test_a_guess_at_a_code_is_dear() -> None:
    """The key is PBKDF2's, with as many rounds as is advised for passwords."""
    assert ROUNDS >= 600_000
    assert key_of_code("ABC", "salt") == hashlib.pbkdf2_hmac("sha256", b"ABC", b"salt", ROUNDS)


def test_both_sides_have_keys_of_their_own() -> None:
    secret = secret_of(b"key", "server's", "client's")
    assert secret == prove(b"key", "secret", "client's", "server's")
    keys = keys_of(secret)
    assert keys.server == hmac.digest(secret.encode(), b"server", "sha256") != keys.client

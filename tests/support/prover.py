"""A browser as the server meets it: it pairs by proofs, and every request of it has one."""

from __future__ import annotations

import json
from typing import Any

from server.service.proofs import is_proven, key_of_code, keys_of, make_nonce, prove, secret_of
from tests.support.live import Answer, Live

JSON = {"Content_Type": "application/json"}


class Prover:
    """A paired browser of one origin, with one session at a time."""

    def __init__(self, live: Live, origin: str, name: str = "browser") -> None:
        self.live, self.origin = live, origin
        self.host = f"127.0.0.1:{live.port}"
        ours = make_nonce()
        half = self.post("/v1/pair/challenge", nonce=ours).json
        key = key_of_code(live.server.code, half["salt"])
        assert is_proven(key, half["proof"], "pair server", self.host, ours, half["nonce"])
        proof = prove(key, "pair client", self.host, ours, half["nonce"])
        answer = self.post("/v1/pair/proof", nonce=half["nonce"], proof=proof, name=name)
        assert answer.status == 201, answer.body
        self.client, self.secret = answer.json["client"], secret_of(key, half["nonce"], ours)
        self.keys = keys_of(self.secret)
        self.begin()

    def post(self, path: str, **body: Any) -> Answer:
        """A request without a session."""
        data = json.dumps(body).encode()
        return self.live.ask("POST", path, data, token=None, Origin=self.origin, **JSON)

    def begin(self) -> None:
        """A new session."""
        ours, self.number = make_nonce(), 0
        half = self.post("/v1/session", client=self.client, nonce=ours).json
        self.nonce, self.words = half["nonce"], (self.host, self.client, ours, half["nonce"])
        assert is_proven(self.keys.server, half["proof"], "session", *self.words)

    def sign(self, method: str, path: str) -> str:
        """The header of the next request."""
        number = str(self.number)
        self.number += 1
        return f"Clip2Protect {self.nonce}.{number}." + prove(
            self.keys.client, "request", *self.words, number, method, path
        )

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """A request in the session, whose answer is proven."""
        sent = {"Origin": self.origin, "Authorization": self.sign(method, path)} | headers
        answer = self.live.ask(method, path, body, token=None, **sent)
        words = (*self.words, str(self.number - 1), str(answer.status))
        assert is_proven(self.keys.server, answer.headers["X-Clip2Protect-Proof"], "answer", *words)
        return answer

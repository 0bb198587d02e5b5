"""Who may ask: every request passes here before its body is read, and every answer on its way out.

Any web site that the user visits can send requests to this machine, and by DNS rebinding under a name of its
own; so neither the address nor the browser's good will counts, only a token or a proof.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from server.common.log import note
from server.common.network import is_literal
from server.common.problems import BY_STATUS, Problem
from server.service.clients import EXTENSIONS, Client
from server.service.sessions import ANSWER

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: The client that asks, for handlers.
CALLER = web.RequestKey("caller", Client)
#: Whether the server's own page asks, for handlers.
OWN_PAGE = web.RequestKey("own_page", bool)
#: A header that no plain web form can send, and the one that proves an answer.
HEADER, PROOF = "X-Clip2Protect", "X-Clip2Protect-Proof"
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


#: Headers that every answer has.
FIXED_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Vary": "Origin",
}


class Callers(Protocol):
    """The clients that a guard knows."""

    def caller(self, request: web.Request) -> Client | None:
        """Who sends this request, by a token or a proof, compared in constant time."""
        ...

    def origins(self) -> set[str]:
        """Origins of clients, whose pages may ask."""
        ...


class Guard:
    """The rules, for one server."""

    def __init__(
        self,
        clients: Callers,
        hosts: frozenset[str],
        open_paths: frozenset[str],
        *,
        literal_port: int | None = None,
    ) -> None:
        """`hosts` are the values of the header Host that name this server, as `127.0.0.1:8765`.

        `open_paths` need no token.  A server that listens on all addresses gives its port as `literal_port`:
        then every address names it, since no site can make a browser say one that is not its own.
        """
        self._clients, self._hosts, self._open_paths = clients, hosts, open_paths
        self._literal_port = literal_port
        #: Where extensions that are not paired, or no longer, may ask.
        self._pairing = frozenset(p for p in open_paths if p.startswith(("/v1/pair", "/v1/session")))
        self._own = frozenset(f"http://{host}" for host in hosts)

    @web.middleware
    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or answer with a problem."""
        try:
            self._check_where(request)
            if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
                raise Problem("unsupported_content", "send the bytes as they are, without Content-Encoding")
            self._check_who(request)
            self._check_how(request)
            return await handler(request)
        except Problem as problem:
            return _told(problem, request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            return _told(Problem(BY_STATUS.get(error.status, "internal"), headers=allow), request)
        except Exception as error:  # where, not what: a message may hold a name
            frames = traceback.extract_tb(error.__traceback__)[-3:]
            where = [f"{frame.name}:{frame.lineno}" for frame in frames]
            note("error", logging.ERROR, kind=type(error).__name__, where=where)
            return Problem("internal").response()

    def _check_where(self, request: web.Request) -> None:
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or not self._is_host(hosts[0].lower()):
            raise Problem("forbidden_host", "start it with --name NAME, if it is to answer to that name")
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise Problem("forbidden_site")
        origins = request.headers.getall("Origin", [])
        if len(origins) > 1:
            raise Problem("forbidden_origin")
        if origins and not self._is_own(origins[0], request):
            known = origins[0] in self._clients.origins() or request.path in self._pairing
            if not (origins[0].startswith(EXTENSIONS) and known):
                raise Problem("forbidden_origin")

    def _is_host(self, host: str) -> bool:
        """Whether a value of Host names this server."""
        name, _, port = host.rpartition(":")
        return host in self._hosts or (port == str(self._literal_port) and is_literal(name))

    def _is_own(self, origin: str, request: web.Request) -> bool:
        """Whether an origin is that of the server's own page, under one of its names."""
        return origin in self._own or origin == f"http://{request.headers['Host'].lower()}"

    def _check_who(self, request: web.Request) -> None:
        if request.path in self._open_paths:
            return
        client = self._clients.caller(request)
        if client is None:
            raise Problem("unpaired", headers={"WWW-Authenticate": "Bearer"})
        origin = request.headers.get("Origin", client.origin)
        own = self._is_own(client.origin, request)
        if origin != client.origin and not (own and self._is_own(origin, request)):
            raise Problem("wrong_origin")
        request[CALLER], request[OWN_PAGE] = client, own

    def _check_how(self, request: web.Request) -> None:
        """What changes something cannot be sent by a plain form of another site."""
        if request.method not in ("POST", "DELETE") or request.match_info.http_exception is not None:
            return  # it changes nothing, or nothing is there that it could change
        plain = ("", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded")
        sent = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if HEADER not in request.headers and sent in plain:
            raise Problem("unsupported_content")
        if request.headers.get("Expect", "100-continue").lower() != "100-continue":
            raise Problem("bad_request", "an expectation that is not known")

    async def finish(self, request: web.Request, response: web.StreamResponse) -> None:
        """Headers that every answer has."""
        headers = response.headers
        headers.update(FIXED_HEADERS)
        if response.content_type == "text/html":
            headers["Content-Security-Policy"] = _CSP
        headers.pop("Server", None)
        if ANSWER in request:
            headers[PROOF] = request[ANSWER](response.status)
        origin = request.headers.get("Origin", "")
        if origin in self._clients.origins() and request.path != "/v1/health":
            headers["Access-Control-Allow-Origin"] = origin


def _told(problem: Problem, request: web.Request) -> web.Response:
    """A problem as a document, or as a page where a browser shows it by itself and not to a script."""
    mode = request.headers.get("Sec-Fetch-Mode")
    shown = mode == "navigate" or (mode is None and "text/html" in request.headers.get("Accept", ""))
    return problem.page() if shown and request.method == "GET" else problem.response()


def hosts_of(port: int, names: tuple[str, ...]) -> frozenset[str]:
    """Values of Host for a server on this port: the loopback's and others, which may name another port."""
    bracketed = (f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name for name in names)
    own = [name.lower() for name in ("127.0.0.1", "localhost", "[::1]", *bracketed)]
    return frozenset(name if re.search(r":\d+$", name) else f"{name}:{port}" for name in own)

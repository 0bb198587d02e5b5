"""Errors as `application/problem+json` (RFC 9457) with codes that stay the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape

from aiohttp import web

#: Code -> HTTP status and what a person reads.  Programs act on the code; the detail may add to it.
CODES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request cannot be understood"),
    "bad_option": (400, "An option has a value that cannot be used"),
    "bad_code": (401, "The pairing code is wrong or too old: the server's console shows the valid one"),
    "unpaired": (401, "This client is not paired: pair it with the code on the server's console"),
    "session_over": (401, "The session is over: begin another"),
    "pair_anew": (401, "An older version paired this browser: pair it anew with the console's code"),
    "forbidden_host": (403, "The request names a host that is not this server"),
    "forbidden_origin": (403, "This web page may not talk to the server"),
    "forbidden_site": (403, "Requests from other sites are refused"),
    "wrong_origin": (403, "The token belongs to another client"),
    "page_only": (403, "Only the server's own page may do this: open it in a browser"),
    "not_found": (404, "There is no such thing here"),
    "method_not_allowed": (405, "This cannot be done here"),
    "upload_too_slow": (408, "The upload took too long"),
    "not_ready": (409, "The job has no result yet"),
    "cancelled": (409, "The job was cancelled"),
    "nobody_enrolled": (409, "No owner is enrolled: enrol by a photo of you"),
    "too_many_enrolled": (409, "Enough photos of you are enrolled"),
    "expired": (410, "The result is no longer kept: send the photo again"),
    "too_large": (413, "This is larger than the server takes"),
    "unsupported_content": (415, "Send the photo as the body with its image type, or as multipart with the"
                                 " header X-Clip2Protect"),
    "bad_image": (422, "The photo cannot be read"),
    "no_face": (422, "There is nothing to protect"),
    "not_mine": (422, "None of the faces is yours"),
    "several_faces": (422, "There are several faces"),
    "owner_unusable": (409, "The list of your photos is unusable: `clip2protect owner list` says what to do"),
    "too_many_attempts": (429, "Too many attempts: wait a minute"),
    "queue_full": (429, "Too many photos are waiting: try again later"),
    "internal": (500, "Something unforeseen happened: the server's log says where"),
    "worker_failed": (502, "The worker died at this photo: it may be too large for the memory"),
    "models_missing": (503, "The networks cannot be had: see `clip2protect doctor`"),
    "out_of_memory": (503, "The photo needs more memory: make it smaller or close other programs"),
    "stopping": (503, "The server is stopping"),
    "timeout": (504, "The photo took longer than the server allows"),
}  # fmt: skip


class Problem(Exception):
    """What a handler raises in place of an answer."""

    def __init__(self, code: str, detail: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        """`code` is one of `CODES`; `detail` is one line that holds no file name, token or pixel."""
        super().__init__(code)
        self.code, self.detail, self.headers = code, detail, dict(headers or {})

    def body(self) -> dict[str, object]:
        """The document, as a mapping."""
        status, title = CODES[self.code]
        return {"type": "about:blank", "title": title, "status": status, "code": self.code} | (
            {"detail": self.detail} if self.detail else {}
        )

    def response(self) -> web.Response:
        """The answer that says it."""
        body = self.body()
        return web.Response(
            status=CODES[self.code][0],
            text=json.dumps(body),
            content_type="application/problem+json",
            headers=self.headers,
        )

    def page(self) -> web.Response:
        """The same for a person whose browser was led here."""
        status, title = CODES[self.code]
        why = _FOR_PEOPLE.get(self.code, self.detail)
        text = _PAGE.format(title=escape(title), why=escape(why))
        return web.Response(status=status, text=text, content_type="text/html", headers=self.headers)


#: What a person reads below the title.
_FOR_PEOPLE = {
    "forbidden_site": "A link on another site, or another program, led here. Nothing was done. The server"
    " of clip2protect runs on this machine, and opens when you ask for it yourself.",
    "forbidden_host": "This server does not answer to that name. Whoever runs it can let it: start it with"
    " clip2protect serve --name NAME.",
    "not_found": "This is the server of clip2protect, but there is no such page.",
    "unpaired": "There is no page at this address: it is for programs that are paired.",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>clip2protect</title>
<link rel="stylesheet" href="/page.css">
<link rel="icon" href="data:,">
</head>
<body>
<header><h1>clip2protect</h1></header>
<main>
<div class="card">
<h2>{title}</h2>
<p>{why}</p>
<p><a href="/">Open clip2protect</a></p>
</div>
</main>
</body>
</html>
"""
#: What aiohttp itself raises -> our code.
BY_STATUS = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}

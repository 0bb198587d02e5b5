"""The extension in a real browser, between a site of our own making and the real local server.

Where no page means harm, clicks count after 50 ms instead of 600: `unpack` changes the number in the copy.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Frame, Page, Playwright, sync_playwright

from extension.scripts.browser import EXTENSION as EXTENSION
from extension.scripts.browser import browser_flags as browser_flags
from extension.scripts.browser import browsing, control_of, drop_files, unpack
from tests.support.chooser import file_chooser
from tests.support.folder import Folder
from tests.support.live import Live, running, wait_for
from tests.support.scripted import DO, MARK

PAGES = Path(__file__).with_name("pages")
HOST = "photos.localhost"
#: What strict pages forbid: all but their own scripts, and scripts' ways to make HTML from text.
STRICT = (
    "default-src 'none'; script-src 'self'; connect-src 'self';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)


#: The dialog waits for a press, works or is done.
READY = "#start:enabled:visible, #use:enabled:visible, .photo.working:visible"


@dataclass(frozen=True)
class Arrived:
    """A file that a site received."""

    name: str
    kind: str
    data: bytes


TYPES = {".js": "text/javascript", ".xhtml": "application/xhtml+xml", ".svg": "image/svg+xml"}


class Site:
    """A web site that takes photos and notes what it gets."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self.asked: list[str] = []
        #: Pages that are answered with other bytes; and more headers, by page.
        self.replaced: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                path = PAGES / self.path.partition("?")[0].lstrip("/")
                name = path.name
                found = path.parent == PAGES and (path.is_file() or name in site.replaced)
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", TYPES.get(path.suffix, "text/html") + "; charset=utf-8")
                if path.name.startswith("strict"):
                    self.send_header("Content-Security-Policy", STRICT)
                for header, value in site.headers.get(name, {}).items():
                    self.send_header(header, value)
                self.end_headers()
                self.wfile.write(site.replaced.get(name) or path.read_bytes() if found else b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                site.arrived += parts_of(self.headers["Content-Type"], self.headers.get("X-Name"), body)
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"thanks")

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def url(self, page: str, host: str = HOST) -> str:
        return f"http://{host}:{self.port}/{page}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def parts_of(kind: str, name: str | None, body: bytes) -> list[Arrived]:
    """The files of a request: its body, or parts of a form."""
    if not kind.startswith("multipart/"):
        return [Arrived(unquote(name or ""), kind, body)]
    files = []
    for part in body.split(b"--" + kind.partition("boundary=")[2].encode())[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        found = re.search(rb'filename="([^"]*)".*Content-Type: (\S+)', head, re.DOTALL)
        if found and found[1]:
            files.append(Arrived(found[1].decode(), found[2].decode(), data.removesuffix(b"\r\n")))
    return files


@dataclass
class Photo:
    """A photo on the disk, and what the scripted worker makes of it."""

    path: Path
    data: bytes

    @property
    def protected(self) -> bytes:
        return self.data + MARK

    @property
    def name(self) -> str:
        return self.path.name


@dataclass
class Surf:
    """A browser with the extension, a site and a server."""

    context: BrowserContext
    site: Site
    live: Live
    folder: Path
    control: Page
    count: int = 0
    pages: list[Page] = field(default_factory=list)
    #: Milliseconds that protecting may take.
    patience: float = 60_000

    # --- the extension ---

    def tell(self, message: dict[str, Any]) -> Any:
        """A message of one of the extension's pages to its background."""
        return self.control.evaluate("message => chrome.runtime.sendMessage(message)", message)

    def keep(self, **values: Any) -> None:
        self.control.evaluate("values => chrome.storage.local.set(values)", values)

    def stored(self, area: str, key: str) -> Any:
        return self.control.evaluate(
            "async ([area, key]) => (await chrome.storage[area].get(key))[key]", [area, key]
        )

    def find_server(self) -> None:
        self.keep(server={"address": f"http://127.0.0.1:{self.live.port}", "token": "", "client": ""})

    def pair(self) -> None:
        assert "ok" in self.tell({"type": "pair", "code": self.live.server.code})

    def rule(self, rule: str, host: str = HOST) -> None:
        assert "ok" in self.tell({"type": "setSite", "host": host, "rule": rule})

    # --- photos ---

    def photo(self, name: str = "me.png", do: str = "", color: str = "", data: bytes = b"") -> Photo:
        """A photo unlike those before."""
        self.count += 1
        kind = {"jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP"}.get(name.rpartition(".")[2], "PNG")
        if not data:
            buffer = BytesIO()
            Image.new("RGB", (240, 160), color or (self.count % 256, 60, 90)).save(buffer, kind)
            data = buffer.getvalue() + (DO + do.encode() if do else b"")
        path = self.folder / str(self.count) / name
        path.parent.mkdir()
        path.write_bytes(data)
        return Photo(path, data)

    # --- pages ---

    def open(self, name: str, host: str = HOST) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(60_000)
        page.goto(self.site.url(name, host))
        self.pages.append(page)
        return page

    def dialogs(self, page: Page) -> list[Frame]:
        return [f for f in page.frames if "/src/dialog/dialog.html" in f.url and not f.is_detached()]

    def dialog(self, page: Page) -> Frame:
        """The dialog above a page, as soon as it shows photos."""
        frame = wait_for(lambda: page.evaluate("0") == 0 and next(iter(self.dialogs(page)), None))
        frame.wait_for_selector("#panel:not([hidden])")
        return frame

    def press(self, dialog: Frame | Page, selector: str) -> None:
        """As a person does: when the dialog has been visible for a moment."""
        dialog.wait_for_selector("html[data-armed=true]")
        dialog.click(selector)

    def protect(self, page: Page) -> None:
        """Go through the dialog, which begins by itself unless the settings say otherwise."""
        dialog = self.dialog(page)
        dialog.wait_for_selector(READY, timeout=self.patience)
        if dialog.is_visible("#start:enabled"):
            self.press(dialog, "#start")
        dialog.wait_for_selector("#use:enabled", timeout=self.patience)
        self.press(dialog, "#use")
        wait_for(lambda: page.evaluate("0") == 0 and not self.dialogs(page))

    def gets(self, page: Page, *files: tuple[str, str, bytes]) -> None:
        """These arrive at the site in this order, and then nothing else."""
        wait_for(lambda: page.evaluate("0") == 0 and len(self.site.arrived) >= len(files))
        page.wait_for_timeout(100)
        assert self.site.arrived == [Arrived(*file) for file in files]

    def gets_nothing(self, page: Page, milliseconds: int = 250) -> None:
        page.wait_for_timeout(milliseconds)
        assert self.site.arrived == []
        assert page.evaluate("window.seen ?? []") == []


def choose(page: Page, button: str, *photos: Photo) -> None:
    """Through the browser's own file chooser."""
    with file_chooser(page) as chooser:
        page.click(button)
    chooser.value.set_files([photo.path for photo in photos])


def drop(page: Page, selector: str | tuple[float, float], *photos: Photo) -> None:
    """As from a window of files."""
    drop_files(page, selector, [photo.path for photo in photos])


def notices(page: Page) -> list[str]:
    """What the extension says at the page's edge: the browser's own tools see into a closed shadow tree."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("DOMSnapshot.captureSnapshot", {"computedStyles": []})
    session.detach()
    strings = nodes["strings"]
    texts = [strings[i] for i in nodes["documents"][0]["nodes"]["nodeValue"] if i >= 0]
    return [text for text in texts if text.startswith("clip2protect: ")]


FOLDER = Folder(Path(__file__).parent)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    FOLDER.after(nextitem)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows what arrived at the site, for each test that has noted it."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.getreports(kind)]
    rows = [value for report in reports for name, value in report.user_properties if name == "leak"]
    if rows:
        terminalreporter.section("what arrived")
    for where, way, what in rows:
        terminalreporter.write_line(f"{where:22} {way:16} {what}", red=what == "original")


def pytest_sessionfinish() -> None:
    FOLDER.close()


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("extension") / "unpacked")


@pytest.fixture(scope="session")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension with a short moment before clicks count."""
    return unpack(tmp_path_factory.mktemp("extension") / "hurried", moment=50)


@pytest.fixture
def playwright() -> Playwright:
    return FOLDER.share("playwright", sync_playwright)


@pytest.fixture
def browser(playwright: Playwright, hurried: Path) -> BrowserContext:
    """One for all tests: each resets what the extension keeps."""
    return FOLDER.share("browser", lambda: browsing(playwright, hurried))


@pytest.fixture
def control(browser: BrowserContext) -> Page:
    return FOLDER.share("control", lambda: nullcontext(control_of(browser)))


Serve = Callable[..., Surf]


@pytest.fixture
def serve(browser: BrowserContext, control: Page, tmp_path: Path) -> Iterator[Serve]:
    """Starts a site, and a server with these options; without `begin`, photos wait for a press."""
    ends: list[Callable[[], Any]] = []

    def make(
        *arguments: str, pair: bool = True, rule: str = "ask", begin: bool = True, **options: Any
    ) -> Surf:
        control.evaluate("Promise.all([chrome.storage.local.clear(), chrome.storage.session.clear()])")
        site = Site()
        ends.append(site.stop)
        held = running(tmp_path, *(arguments or ("--marked",)), **options)
        live = held.__enter__()
        ends.append(lambda: held.__exit__(None, None, None))
        surf = Surf(browser, site, live, tmp_path, control)
        ends.append(lambda: [page.close() for page in surf.pages])
        surf.find_server()
        if not begin:
            surf.keep(habits={"begin": False})
        if pair:
            surf.pair()
        surf.rule(rule)
        return surf

    try:
        yield make
    finally:
        for end in reversed(ends):
            end()


@pytest.fixture
def surf(serve: Serve) -> Surf:
    """Paired, and asked at every photo."""
    return serve()

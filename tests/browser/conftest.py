"""The server's page in a real browser without a window: a tab that notes all that it complains of and asks for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, FilePayload, Locator, Page, Request, expect, sync_playwright

from tests.server.service.conftest import Live, running, wait_for

expect.set_options(timeout=30_000)
#: Where Debian has the browser itself, without its wrapper; then the names that it goes by.
USUAL = Path("/usr/lib/chromium/chromium")
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str:
    """The browser's file.  A machine without one fails these tests: a page that nobody opened is not tested."""
    found = os.environ.get("CHROMIUM") or (str(USUAL) if USUAL.exists() else "")
    found = found or next(filter(None, map(shutil.which, _NAMES)), "")
    if not found:
        pytest.fail("no Chromium: `apt-get install chromium`, or name its file in CHROMIUM", pytrace=False)
    return found


@pytest.fixture(scope="module")  # Playwright's loop runs in this thread: other modules may want one of their own
def chromium() -> Iterator[Browser]:
    executable = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, headless=True, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page of one server, in a profile of its own."""

    page: Page
    live: Live
    complaints: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self.requests.append(request))

    def _console(self, message: ConsoleMessage) -> None:
        """Chromium also reports there what the content security policy forbids."""
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} {message.location['url']}")

    def forgive(self, text: str) -> None:
        """Complaints that a test brings about: there is one at least."""
        self.page.evaluate("0")  # what was said before this is heard after it
        rest = [complaint for complaint in self.complaints if text not in complaint]
        assert len(rest) < len(self.complaints), f"nobody complained of {text}: {self.complaints}"
        self.complaints[:] = rest

    def open(self, *, code: str | None = None) -> Tab:
        """Open the page, with a link that pairs unless `code` is empty."""
        code = self.live.server.code if code is None else code
        self.page.goto(f"{self.live.server.url}/{f'#pair={code}' if code else ''}")
        expect(self.page.locator("#work" if code else "#pairing")).to_be_visible()
        return self

    @property
    def jobs(self) -> Locator:
        """Photos on the page, the latest lot first."""
        return self.page.locator("#jobs > li")

    def job(self, name: str) -> Locator:
        return self.jobs.filter(has=self.page.get_by_role("heading", name=name, exact=True))

    def send(self, *photos: FilePayload) -> Locator:
        """Choose photos; the last one's place on the page."""
        self.page.set_input_files("#photos", list(photos))
        return self.job(photos[-1]["name"])

    def at_server(self) -> list[Any]:
        """The server's own jobs, oldest first."""
        return list(self.live.server.service.jobs)

    def until(self, number: int, state: str) -> Any:
        """The server's job of this number (from 0), as soon as it has this state."""
        return wait_for(lambda: next((j for j in self.at_server()[number : number + 1] if j.state == state), None))

    def check(self) -> None:
        """Nothing was complained of, and nobody was asked but the server."""
        self.page.evaluate("0")
        assert self.complaints == []
        own = (f"{self.live.server.url}/", f"blob:{self.live.server.url}/", "data:")
        assert [request.url for request in self.requests if not request.url.startswith(own)] == []


Visit = Callable[..., Tab]


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Opens tabs, and at the end looks at what they complained of."""
    tabs: list[Tab] = []

    def make(live: Live, **options: Any) -> Tab:
        context = chromium.new_context(**{"viewport": {"width": 900, "height": 800}} | options)
        context.set_default_timeout(30_000)
        tabs.append(Tab(context.new_page(), live))
        return tabs[-1]

    try:
        yield make
        for tab in tabs:
            tab.check()
    finally:
        for tab in tabs:
            tab.page.context.close()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A server with one scripted worker."""
    with running(tmp_path) as server:
        yield server


@pytest.fixture
def tab(live: Live, visit: Visit) -> Tab:
    """A paired tab of it."""
    return visit(live).open()


def script(words: str, name: str = "photo.png") -> FilePayload:
    """A "photo" that says what the scripted worker does with it."""
    return FilePayload(name=name, mimeType="image/png", buffer=words.encode())


def picture(color: str = "red", name: str = "photo.webp") -> FilePayload:
    """A photo that a browser can show, and that the scripted worker gives back."""
    buffer = BytesIO()
    Image.new("RGB", (240, 160), color).save(buffer, "WEBP", quality=50)
    return FilePayload(name=name, mimeType="image/webp", buffer=buffer.getvalue())

"""The server's page in a real browser, in tabs that note every complaint and every request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    FilePayload,
    Locator,
    Page,
    Request,
    expect,
    sync_playwright,
)

from extension.scripts import browser as chromium_of
from server.service.work.jobs import Job, Result
from tests.support.folder import Folder
from tests.support.live import Live, running, wait_for

#: Milliseconds: a busy machine takes its time, and a test that passes does not wait.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)


FOLDER = Folder(Path(__file__).parent)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    FOLDER.after(nextitem)


def pytest_sessionfinish() -> None:
    FOLDER.close()


def find_chromium() -> str:
    """The browser's file.  Without one these tests fail: a page that no browser opens is not tested."""
    try:
        return chromium_of.find_chromium()
    except FileNotFoundError as error:
        pytest.fail(str(error), pytrace=False)


@contextmanager
def launched() -> Iterator[Browser]:
    executable = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, headless=True, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def chromium() -> Browser:
    """One for all tests: each has a profile of its own in it."""
    return FOLDER.share("chromium", launched)


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
        return wait_for(
            lambda: next((j for j in self.at_server()[number : number + 1] if j.state == state), None)
        )

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
        context.set_default_timeout(PATIENCE)
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


def number(tab: Tab) -> str | None:
    """The number of the browser's pairing."""
    return tab.page.evaluate("localStorage.getItem('clip2protect-client')")


def status_of(tab: Tab, path: str = "/v1/status", method: str = "GET") -> int | str:
    """What the server answers to this browser: a status, or a problem's code."""
    ask = """async ([path, method]) => {
      const { ask } = await import('/server.js');
      return ask(path, { method }).then(({ status }) => status, ({ code }) => code);
    }"""
    return tab.page.evaluate(ask, [path, method])


def on_loop(live: Live, action: Any, *arguments: Any, **options: Any) -> None:
    """Have the server's own thread do something."""
    live.loop.call_soon_threadsafe(partial(action, *arguments, **options))


def state_is(job: Any, text: str) -> None:
    expect(job.locator(".state")).to_contain_text(text)


def hanging(tab: Tab) -> tuple[Any, Job]:
    """A photo that the worker never ends, so that a test can set its progress: its place and job."""
    place = tab.send(script("hang"))
    return place, tab.until(0, "running")


def recogniser(
    metric: str, values: tuple[float, float, float], matched: tuple[bool, bool], surrogate: bool
) -> Any:
    threshold, before, after = values
    return {
        "surrogate": surrogate, "metric": metric, "threshold": threshold, "before": before, "after": after,
        "matched_before": matched[0], "matched_after": matched[1],
    }  # fmt: skip


RECOGNISERS = {
    "alpha-1": recogniser("cosine", (0.36, 0.91, 0.1234), (True, False), True),
    "beta-2": recogniser("distance", (0.69, 0.2, 0.45), (True, True), False),
    "gamma-3": recogniser("cosine", (0.3, 0.1, 0.2), (False, False), False),
}


def finish(tab: Tab, faces: list[dict[str, Any]], name: str = "photo.png") -> Any:
    """A photo that is done, with this report."""
    number = len(tab.at_server())
    place = tab.send(script("hang", name))
    job = tab.until(number, "running")
    report = {"photo": {"format": "WEBP"}, "faces": faces}
    on_loop(tab.live, job.end, "done", result=Result(picture()["buffer"], b"", report))
    state_is(place, "Protected in 0:")
    return place


def face(box: list[float], recognisers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"box": box, "psnr": 32.94, "found_after": True, "recognisers": recognisers, **more}


def tab_to(page: Page, what: Any, *, backwards: bool = False) -> None:
    """Press Tab until it has the focus."""
    for _ in range(40):
        if what.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
    pytest.fail(f"Tab does not lead to {what}")

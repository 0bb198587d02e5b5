"""Chromium with the extension, for pictures, measurements and tests.

The copy that is loaded may enter hosts below `localhost`: a browser without a window shows no question that a
program could answer.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Playwright

EXTENSION = Path(__file__).parents[1]
#: Where Debian has the browser itself, without its wrapper; then other names of it.
USUAL = Path("/usr/lib/chromium/chromium")
#: The line of the source that `unpack` may replace.
MOMENT = "const MOMENT = 600;"
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str:
    """The browser's file.  Raises FileNotFoundError where there is none."""
    named = os.environ.get("CHROMIUM") or (str(USUAL) if USUAL.exists() else "")
    path = named or next(filter(None, map(shutil.which, _NAMES)), "")
    if not path:
        raise FileNotFoundError("no Chromium: `apt-get install chromium`, or name its file in CHROMIUM")
    return path


def unpack(copy: Path, *more: str, moment: int | None = None, source: Path = EXTENSION) -> Path:
    """Copy the extension, and grant it hosts below `localhost` and the patterns in `more`.

    `moment` replaces the milliseconds that the dialog must be visible before a click counts; `source` is
    another version of the extension.
    """
    left_out = shutil.ignore_patterns("node_modules", "dist", "scripts", "unit", "__pycache__")
    shutil.copytree(source, copy, ignore=left_out)
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    manifest["host_permissions"] += ["*://*.localhost/*", *more]
    (copy / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    if moment is not None:
        guard = copy / "src/dialog/click-guard.js"
        text = guard.read_text("utf-8")
        if text.count(MOMENT) != 1:
            raise ValueError(f"{guard} has no line {MOMENT!r}")
        guard.write_text(text.replace(MOMENT, f"const MOMENT = {moment};"), "utf-8")
    return copy


def browser_flags(unpacked: Path) -> list[str]:
    """Flags that start a browser with the extension."""
    return ["--no-sandbox", f"--disable-extensions-except={unpacked}", f"--load-extension={unpacked}"]


@contextmanager
def browsing(playwright: Playwright, unpacked: Path, *flags: str) -> Iterator[BrowserContext]:
    """A browser with the extension, in a profile of its own."""
    context = playwright.chromium.launch_persistent_context(
        "",
        executable_path=find_chromium(),
        headless=True,
        viewport={"width": 900, "height": 760},
        args=[*browser_flags(unpacked), *flags],
    )
    context.set_default_timeout(60_000)
    yield context
    context.close()


def control_of(browser: BrowserContext) -> Page:
    """A page of the extension, from which a program sets it up."""
    worker = (
        browser.service_workers[0] if browser.service_workers else browser.wait_for_event("serviceworker")
    )
    page = browser.new_page()
    page.goto(worker.url.replace("background/main.js", "dialog/dialog.html"))
    page.wait_for_selector("#nothing:not([hidden])")
    return page


def drop_files(page: Page, place: str | tuple[float, float], paths: Iterable[Path]) -> None:
    """Drop files on an element, or at a place of the page, by the browser's own events."""
    if isinstance(place, str):
        box = page.locator(place).bounding_box()
        if box is None:
            raise ValueError(f"{place} cannot be seen")
        place = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    where = {"x": place[0], "y": place[1]}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})
    session.detach()

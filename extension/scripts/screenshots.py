"""Pictures for the docs: `python extension/scripts/screenshots.py docs` writes four files.

Three show the extension, one the server's page.

Needs Chromium and the packages for development.  The photo is scikit-image's; the real server protects it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from browser import browsing, control_of, unpack
from PIL import Image
from playwright.sync_api import BrowserContext, Page, Playwright, sync_playwright
from skimage import data

from server.service.options import Options
from server.service.run import Server

SCHEMES = ("light", "dark")
#: Where the photo is uploaded: the browser itself answers for this site.
SITE = "http://photos.localhost/"
HTML = "<!doctype html><title>A site</title><p>Your photo: <input type=file></p>"
SITES = {
    "facebook.com": "ask",
    "instagram.com": "always",
    "messenger.com": "ask",
    "photos.localhost": "ask",
    "work.example": "never",
}
RULES = [
    {"site": "facebook.com", "least": 0, "most": 0, "level": "strong", "faces": ""},
    {"site": "", "least": 6, "most": 0, "level": "", "faces": "mine"},
]
#: Milliseconds that protecting a photo may take.
PATIENCE = 300_000


def main(folder: Path) -> None:
    """Take them all."""
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(serving(work))
        playwright = stack.enter_context(sync_playwright())
        browser = stack.enter_context(_browser(playwright, work))
        control = control_of(browser)
        _set_up(control, server.url, server.code)
        for name, pictures in _pictures(browser, control).items():
            _join(pictures, folder / f"extension-{name}.png")
        (folder / "page.png").write_bytes(_server_page(browser, server))


@contextmanager
def serving(work: Path) -> Iterator[Server]:
    """The real server, with its lists in a folder of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait(task: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(task, loop).result()

    try:
        server = wait(Server.start(Options(port=0, folder=work)))
        yield server
        wait(server.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _browser(playwright: Playwright, work: Path) -> Any:
    return browsing(playwright, unpack(work / "extension", *(f"*://*.{site}/*" for site in SITES)))


def _png() -> bytes:
    buffer = BytesIO()
    Image.fromarray(data.astronaut()).save(buffer, "PNG")
    return buffer.getvalue()


def _tell(control: Page, **message: Any) -> Any:
    answer = control.evaluate("message => chrome.runtime.sendMessage(message)", message)
    if "ok" not in answer:
        raise SystemExit(f"the extension refuses: {answer}")
    return answer["ok"]


def _set_up(control: Page, address: str, code: str) -> None:
    kept = {"server": {"address": address, "token": "", "client": ""}, "sites": SITES, "rules": RULES}
    control.evaluate("values => chrome.storage.local.set(values)", kept)
    _tell(control, type="pair", code=code)
    _tell(control, type="setSite", host="photos.localhost", rule="ask")
    control.evaluate(
        """bytes => {
          const photo = new Blob([new Uint8Array(bytes)], { type: 'image/png' });
          return chrome.runtime.sendMessage({ type: 'enrol', photo, kind: photo.type });
        }""",
        list(_png()),
    )


def _pictures(browser: BrowserContext, control: Page) -> dict[str, list[bytes]]:
    return {
        "dialog": [_dialog(browser, scheme) for scheme in SCHEMES],
        "options": [_page(browser, control, "options/options.html", scheme, 760) for scheme in SCHEMES],
        "popup": [_page(browser, control, "popup/popup.html", scheme, 360) for scheme in SCHEMES],
    }


def _dialog(browser: BrowserContext, scheme: str) -> bytes:
    page = browser.new_page()
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 760, "height": 980})
    page.route(SITE, lambda route: route.fulfill(body=HTML, content_type="text/html"))
    page.goto(SITE)
    page.set_input_files("input", {"name": "me.png", "mimeType": "image/png", "buffer": _png()})
    while not (frames := [frame for frame in page.frames if "/dialog/dialog.html" in frame.url]):
        page.wait_for_timeout(50)
    dialog = frames[0]
    dialog.wait_for_selector("#use:enabled", timeout=PATIENCE)
    dialog.wait_for_selector("html[data-armed=true]")
    page.wait_for_timeout(1000)  # the photos are drawn, and the dialog closer to the face
    picture = page.screenshot()
    dialog.click("#use")
    page.wait_for_timeout(500)
    page.close()
    return picture


def _server_page(browser: BrowserContext, server: Server) -> bytes:
    """The server's own page with a protected photo."""
    page = browser.new_page()
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 900, "height": 700})
    page.goto(f"{server.url}/#pair={server.code}")
    page.wait_for_selector("#work")  # before it is paired, the page takes no photos
    page.set_input_files("#photos", {"name": "me.png", "mimeType": "image/png", "buffer": _png()})
    page.wait_for_selector(".job .download:not([hidden])", timeout=PATIENCE)
    page.wait_for_timeout(1000)
    picture = page.screenshot(full_page=True)
    page.close()
    return picture


def _page(browser: BrowserContext, control: Page, name: str, scheme: str, width: int) -> bytes:
    page = browser.new_page()
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 430})
    if name.startswith("popup"):  # it shows the site in the tab in front of which it opens
        page.add_init_script(f"chrome.tabs.query = async () => [{{ id: 1, url: '{SITE}' }}]")
    page.goto(f"{control.url.partition('src/')[0]}src/{name}")
    page.wait_for_selector("[data-state=ready]")
    page.wait_for_timeout(500)
    return page.screenshot(full_page=True)


def _join(pictures: list[bytes], path: Path) -> None:
    images = [Image.open(BytesIO(picture)).convert("RGB") for picture in pictures]
    size = (sum(image.width for image in images), max(image.height for image in images))
    whole = Image.new("RGB", size, "white")
    for i, image in enumerate(images):
        whole.paste(image, (sum(other.width for other in images[:i]), 0))
    whole.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""How long an upload takes with the extension, from choosing photos until the site has them.

    python benchmarks/measure_upload.py [--runs 3] [--photos 1 5] [--extension FOLDER] [--json FILE]

Needs Chromium and the packages for development (`pip install -e '.[cpu,dev]'`).  The real server protects
the photos; it has protected one before.  Whoever uploads presses a button as soon as a press counts, so the
figures hold the work and the moments in which the dialog takes no press, and no time of thought.
`--extension` measures another version of the extension, for a comparison on the same machine.

Figures are seconds: the median of the runs, the lowest and the highest, beside the number of presses.  `work`
is the time from the first photo's arrival at the server until its last result, and `beside` what the upload
takes beside that: compare it, where the machine has other work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Frame, Page, sync_playwright
from skimage import data

from extension.scripts.browser import EXTENSION, browsing, control_of, unpack
from server.service.options import Options
from server.service.run import Server

SITE = "http://photos.localhost/"
HTML = "<!doctype html><input type=file multiple onchange='window.got = this.files.length'>"
#: Seconds between two looks at whether a button can be pressed.
_TICK = 0.02
#: Milliseconds that anything may take.
_PATIENCE = 600_000


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--photos", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--extension", type=Path, default=EXTENSION)
    parser.add_argument("--json", type=Path, help="also write the figures")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), args)
    for count, values in figures.items():
        shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        print(f"{count} photo{'s' if count > 1 else ''}: {shown}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2), "utf-8")
    return 0


def measure(folder: Path, args: argparse.Namespace) -> dict[int, dict[str, float]]:
    """The figures for each number of photos."""
    with (
        _serving(folder / "server", args.device) as server,
        sync_playwright() as playwright,
        browsing(playwright, unpack(folder / "extension", source=args.extension)) as browser,
    ):
        control = control_of(browser)
        address = {"address": server.url, "token": "", "client": ""}
        control.evaluate("values => chrome.storage.local.set(values)", {"server": address})
        for message in (
            {"type": "pair", "code": server.code},
            {"type": "setSite", "host": "photos.localhost", "rule": "ask"},
        ):
            control.evaluate("message => chrome.runtime.sendMessage(message)", message)
        page = browser.new_page()
        page.set_default_timeout(_PATIENCE)
        page.route(SITE, lambda route: route.fulfill(body=HTML, content_type="text/html"))
        number = 0
        figures = {}
        for count in (1, *args.photos):  # the first makes the server warm
            took, pressed, worked = [], [], []
            for _ in range(args.runs if figures or took else 1):
                known = len(list(server.service.jobs))
                number += count
                seconds, presses = _upload(page, [_photo(number - i) for i in range(count)])
                jobs = [job for job in list(server.service.jobs)[known:] if job.kind == "protect"]
                took.append(seconds)
                pressed.append(presses)
                begun = min(job.created for job in jobs)
                worked.append(max(job.ended or begun for job in jobs) - begun)
            figures[count] = {
                "median": statistics.median(took), "lowest": min(took), "highest": max(took),
                "presses": max(pressed), "work": statistics.median(worked),
                "beside": statistics.median(all_ - work for all_, work in zip(took, worked, strict=True)),
            }  # fmt: skip
        return figures


def _upload(page: Page, photos: list[bytes]) -> tuple[float, int]:
    """Choose photos and press what is to be pressed; the seconds, and the number of presses."""
    page.goto(SITE)
    files = [
        {"name": f"{i}.jpg", "mimeType": "image/jpeg", "buffer": photo} for i, photo in enumerate(photos)
    ]
    begun = time.perf_counter()
    page.set_input_files("input", files)  # type: ignore[arg-type]
    presses = 0
    while not page.evaluate("window.got"):
        for dialog in [frame for frame in page.frames if "/dialog/dialog.html" in frame.url]:
            presses += _press(dialog)
        page.wait_for_timeout(1000 * _TICK)
    return time.perf_counter() - begun, presses


def _press(dialog: Frame) -> int:
    """Press the button that can be pressed, if there is one."""
    for button in ("#use", "#start"):
        if dialog.locator(f"html[data-armed=true] {button}:enabled:visible").count():
            dialog.click(button)
            return 1
    return 0


def _photo(number: int) -> bytes:
    """A person's photo, each turned otherwise: what was protected before would come at once."""
    buffer = BytesIO()
    Image.fromarray(data.astronaut()).rotate(number / 10).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


@contextmanager
def _serving(folder: Path, device: str) -> Iterator[Server]:
    """The real server, with its lists in a folder of its own."""
    folder.mkdir()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait(task: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(task, loop).result()

    try:
        server = wait(Server.start(Options(port=0, device=device, folder=folder)))
        yield server
        wait(server.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


if __name__ == "__main__":
    sys.exit(main())

"""What the extension costs a page: time to load it, and to hand it a file that is no photo.

    python benchmarks/measure_extension.py [--runs 40] [--json FILE]

Needs Chromium and the packages for development (`pip install -e '.[cpu,dev]'`).  The page, large.html, makes
1,000 nodes with 500 listeners and 50 shadow trees.  One run loads it in turns in three ways, and gives it a
text file through an input and by a drop each time:

- on: on a site that is on;
- off: on a site that is off, with the extension installed;
- without: in a browser without the extension.

Loading is measured from the first byte of the answer to the end of the load event, and as the working time of
the page's main thread meanwhile, which other programs do not disturb.  A file is measured from the browser's
own event to the page's listener.  Figures are milliseconds: the median and the middle half of the runs, and
the median of the difference in each turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from extension.scripts.browser import browser_flags, control_of, drop_files, find_chromium, unpack

HOST, OFF = "photos.localhost", "elsewhere.localhost"
_LOAD = """(() => {
    const [timing] = performance.getEntriesByType('navigation');
    return timing.loadEventEnd - timing.responseStart;
})()"""


class Handler(SimpleHTTPRequestHandler):
    """Serves the files of this folder, and says nothing."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, directory=str(Path(__file__).parent), **options)

    def log_message(self, format: str, *args: Any) -> None:
        """No lines on stderr."""


@contextmanager
def serving() -> Iterator[int]:
    """The site with the page, on the loopback; its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--json", type=Path, help="also write the figures")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving() as port:
        figures = measure(port, Path(folder), args.runs)
    print(f"{'':24}{'on':>22}{'off':>22}{'without':>22}{'on adds':>12}{'off adds':>12}")
    for name, columns in figures.items():
        cells = [f"{c['median']:.2f} ({c['low']:.2f} to {c['high']:.2f})" for c in columns.values()]
        added = "".join(f"{columns[column]['added']:>+12.2f}" for column in ("on", "off"))
        print(f"{name:24}" + "".join(f"{cell:>22}" for cell in cells) + added)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


def measure(port: int, folder: Path, runs: int) -> dict[str, dict[str, Any]]:
    """Milliseconds of every action in every browser."""
    note = folder / "notes.txt"
    note.write_bytes(b"notes")
    taken: dict[str, dict[str, list[float]]] = {}
    with sync_playwright() as playwright:
        browsers = [
            playwright.chromium.launch_persistent_context(
                "",
                executable_path=find_chromium(),
                headless=True,
                viewport={"width": 900, "height": 760},
                args=flags,
            )
            for flags in (browser_flags(unpack(folder / "extension")), ["--no-sandbox"])
        ]
        control = control_of(browsers[0])
        message = {"type": "setSite", "host": HOST, "rule": "ask"}
        control.evaluate("message => chrome.runtime.sendMessage(message)", message)
        places = {"on": (browsers[0], HOST), "off": (browsers[0], OFF), "without": (browsers[1], HOST)}
        for run in range(runs + 2):
            for column, (browser, host) in places.items():
                page = browser.new_page()
                found = _visit(page, f"http://{host}:{port}/large.html", note)
                page.close()
                for name, value in found.items() if run >= 2 else ():  # the first warm caches
                    taken.setdefault(name, {}).setdefault(column, []).append(value)
        for browser in browsers:
            browser.close()
    return {
        name: {column: _spread(values, columns["without"]) for column, values in columns.items()}
        for name, columns in taken.items()
    }


def _visit(page: Page, url: str, note: Path) -> dict[str, float]:
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(url)
    load = page.evaluate(_LOAD)
    spent = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    page.set_input_files("#one", note)
    page.wait_for_function("waited.length === 1")
    drop_files(page, "#zone", [note])
    page.wait_for_function("waited.length === 2")
    chosen, dropped = page.evaluate("waited")
    busy = 1000 * spent["TaskDuration"]
    return {
        "page load": load,
        "page load, main thread": busy,
        "text file, input": chosen,
        "text file, drop": dropped,
    }


def _spread(values: list[float], without: list[float]) -> dict[str, float]:
    low, median, high = statistics.quantiles(values, n=4)
    added = statistics.median(value - other for value, other in zip(values, without, strict=True))
    return {"median": median, "low": low, "high": high, "added": added}


if __name__ == "__main__":
    raise SystemExit(main())

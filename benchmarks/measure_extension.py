"""What the extension costs a page: time to load it, and to hand it a file that is no photo.

    python benchmarks/measure_extension.py [--runs 40] [--json FILE]

Needs Chromium and the packages for development (`pip install -e '.[cpu,dev]'`).  In one run and in turns, a page
of 1,000 nodes with 500 listeners and 50 shadow trees, all made by its script, is loaded, and given a text file
through an input and by a drop:
- on: on a site that is on;
- off: on a site that is off, with the extension installed;
- without: in a browser without the extension.
Loading is counted from the first byte of the answer to the end of the load event, and as what the page's main thread
worked meanwhile, which other programs do not disturb; a file from the browser's own event to the page's listener.
Milliseconds; medians, and the middle half of the runs; what is added is the median of what each turn differed by.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import find_chromium
from tests.extension.conftest import HOST, Photo, Site, browser_flags, control_of, drop, unpack

OFF = "elsewhere.localhost"
_LOAD = "(() => { const [t] = performance.getEntriesByType('navigation'); return t.loadEventEnd - t.responseStart; })()"


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--json", type=Path, help="also write the figures")
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        site = Site()
        stack.callback(site.stop)
        figures = measure(site, folder, args.runs)
    print(f"{'':24}{'on':>22}{'off':>22}{'without':>22}{'on adds':>12}{'off adds':>12}")
    for name, columns in figures.items():
        cells = [f"{c['median']:.2f} ({c['low']:.2f} to {c['high']:.2f})" for c in columns.values()]
        added = "".join(f"{columns[column]['added']:>+12.2f}" for column in ("on", "off"))
        print(f"{name:24}" + "".join(f"{cell:>22}" for cell in cells) + added)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


def measure(site: Site, folder: Path, runs: int) -> dict[str, dict[str, Any]]:
    """Milliseconds of every action in every browser."""
    note = Photo(folder / "notes.txt", b"notes")
    note.path.write_bytes(note.data)
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
                found = _visit(page, site.url("large.html", host), note)
                page.close()
                for name, value in found.items() if run >= 2 else ():  # the first warm caches
                    taken.setdefault(name, {}).setdefault(column, []).append(value)
        for browser in browsers:
            browser.close()
    return {
        name: {column: _spread(values, columns["without"]) for column, values in columns.items()}
        for name, columns in taken.items()
    }


def _visit(page: Page, url: str, note: Photo) -> dict[str, float]:
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(url)
    load = page.evaluate(_LOAD)
    spent = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    page.set_input_files("#one", note.path)
    page.wait_for_function("waited.length === 1")
    drop(page, "#zone", note)
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

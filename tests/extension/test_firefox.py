"""The same extension in Firefox, driven by Marionette.

Its first test goes from the first page to a protected photo.  The others try every kind of document and way.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.extension.conftest import PAGES, Arrived, Site, unpack
from tests.extension.test_leaks import KINDS, in_every_form
from tests.support.live import Live, running, wait_for
from tests.support.scripted import MARK

pytest.importorskip("marionette_driver", reason="Mozilla's driver does not run on this Python")
from marionette_driver import By
from marionette_driver.addons import Addons
from marionette_driver.keys import Keys
from marionette_driver.marionette import Marionette

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
XVFB = shutil.which("Xvfb") or ""
pytestmark = pytest.mark.skipif(not FIREFOX, reason="no Firefox")


@pytest.fixture
def display(request: pytest.FixtureRequest) -> Iterator[str]:
    """The screen that Firefox is shown on; empty for none."""
    if not hasattr(request, "param"):
        yield ""
        return
    given, taken = os.pipe()
    server = subprocess.Popen([XVFB, "-nolisten", "tcp", "-displayfd", str(taken)], pass_fds=[taken])
    try:
        os.close(taken)
        with os.fdopen(given) as number:
            yield f":{number.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def firefox(tmp_path: Path, display: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Marionette]:
    if display:
        monkeypatch.setenv("DISPLAY", display)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = str(tmp_path / "firefox.log")
    driver = Marionette(
        host="127.0.0.1", port=port, bin=FIREFOX, headless=not display, gecko_log=log, startup_timeout=120
    )
    try:
        driver.start_session()
        driver.timeout.implicit = 30
        yield driver
    finally:
        driver.cleanup()


def install(firefox: Marionette, folder: Path) -> str:
    """The address of the extension's pages.  No test can answer the browser: the copy has `localhost`."""
    manifest = json.loads((unpack(folder, "*://localhost/*") / "manifest.json").read_text("utf-8"))
    del manifest["background"]["service_worker"]
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    addon = Addons(firefox).install(str(folder), temp=True)
    with firefox.using_context("chrome"):
        find = "return WebExtensionPolicy.getByID(arguments[0]).mozExtensionHostname"
        return f"moz-extension://{firefox.execute_script(find, script_args=[addon])}/src/"


@dataclass
class Trip:
    """A browser whose extension is paired, and on for the site."""

    firefox: Marionette
    site: Site
    live: Live
    photo: Path
    #: Where the extension's pages are.
    pages: str

    def protected(self) -> list[Any]:
        """Jobs that have protected a photo."""
        return [job for job in self.live.server.service.jobs if job.kind == "protect" and job.over]

    def looks(self) -> float:
        """How many photos were looked at for faces."""
        text = self.live.ask("GET", "/v1/metrics").body.decode()
        found = re.findall(r'requests_total\{route="/v1/faces",[^}]*\} ([\d.]+)', text)
        return sum(map(float, found))

    def open(self, page: str) -> None:
        """A page of the site in a tab of its own."""
        first, *others = self.firefox.window_handles
        for other in others:
            self.firefox.switch_to_window(other)
            self.firefox.close()
        self.firefox.switch_to_window(first)
        self.firefox.switch_to_window(self.firefox.open(type="tab", focus=True)["handle"])
        self.firefox.navigate(self.site.url(page, "localhost"))
        self.site.arrived.clear()

    def run(self, script: str, *arguments: Any) -> Any:
        """In the page's own world."""
        return self.firefox.execute_script(script, arguments, sandbox=None)

    def rule(self, rule: str) -> None:
        """Turn the site on or off, in another tab."""
        here = self.firefox.current_window_handle
        self.firefox.switch_to_window(self.firefox.open(type="tab", focus=True)["handle"])
        self.firefox.navigate(f"{self.pages}options/options.html")
        tell = """const [rule, done] = arguments;
            browser.runtime.sendMessage({ type: 'setSite', host: 'localhost', rule }).then(done);"""
        assert "ok" in self.firefox.execute_async_script(tell, [rule], sandbox=None)
        self.firefox.close()
        self.firefox.switch_to_window(here, focus=True)

    def dialog(self) -> Any:
        """What our frame or notice says: only a script of the browser itself sees into a closed tree."""
        return self.firefox.execute_script(f"{INSIDE} return page ? 'dialog' : text;", sandbox="system")

    def go_on(self, until: Callable[[], Any] | None = None) -> None:
        """Press the dialog's button until the site has the photo."""
        until = until or (lambda: self.site.arrived)
        focus = """
            const buttons = ['start', 'use'].map((id) => page?.getElementById(id));
            const button = buttons.find((one) => one && !one.hidden && !one.disabled);
            button?.focus();
            return Boolean(button);"""

        def tried() -> Any:
            if self.firefox.execute_script(INSIDE + focus, sandbox="system"):
                press(self.firefox, Keys.ENTER)
            return until()

        wait_for(tried)

    def chosen(self) -> Any:
        """What the site has: each must be the protected photo."""
        return [(file.name, file.data == self.photo.read_bytes() + MARK) for file in self.site.arrived]

    @property
    def address(self) -> str:
        """The photo as an address."""
        return "data:image/png;base64," + base64.b64encode(self.photo.read_bytes()).decode()

    @property
    def protected_address(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.photo.read_bytes() + MARK).decode()


#: Looks into the closed shadow tree that our script put into the page last.
INSIDE = """
    const root = [...document.documentElement.children].at(-1).openOrClosedShadowRoot;
    const page = root?.querySelector('iframe')?.contentDocument, text = root?.textContent ?? '';"""


@pytest.fixture
def trip(firefox: Marionette, tmp_path: Path) -> Iterator[Trip]:
    site = Site()
    photo = tmp_path / "me.png"
    Image.new("RGB", (240, 160), (90, 60, 90)).save(photo)
    try:
        with running(tmp_path, "--marked", cache=False) as live:
            pages = install(firefox, tmp_path / "extension")
            wait_for(lambda: len(firefox.window_handles) == 2)
            firefox.switch_to_window(firefox.window_handles[1])
            wait_for(lambda: firefox.get_url() == f"{pages}onboarding/onboarding.html")  # by itself
            firefox.navigate(f"{pages}options/options.html")
            type_into(firefox, "address", f"http://127.0.0.1:{live.port}")
            type_into(firefox, "code", live.server.code)
            wait_for(lambda: firefox.find_element(By.ID, "state").text == "Ready")
            type_into(firefox, "add", "localhost")
            wait_for(
                lambda: firefox.find_element(By.ID, "sites-news").text.startswith("localhost was added.")
            )
            yield Trip(firefox, site, live, photo, pages)
    finally:
        site.stop()


def test_from_the_first_page_to_a_protected_photo(trip: Trip) -> None:
    firefox, site, photo = trip.firefox, trip.site, trip.photo
    firefox.navigate(site.url("input.html", "localhost"))
    firefox.find_element(By.ID, "one").send_keys(str(photo))
    wait_for(trip.protected)
    assert site.arrived == []
    trip.go_on()
    assert site.arrived == [Arrived("me.png", "image/png", photo.read_bytes() + MARK)]
    assert firefox.find_element(By.ID, "state").text == "nothing yet input:1 change:1"


# --- documents -------------------------------------------------------------------------------------------

MAKE = """const [bytes] = arguments;
    window.transfer = new DataTransfer();
    window.transfer.items.add(new File([new Uint8Array(bytes)], 'me.png', { type: 'image/png' }));"""
#: No driver drags files, so the browser's own script dispatches what it would.
DROP = """
    const { transfer } = window.wrappedJSObject, how = { bubbles: true, composed: true, cancelable: true };
    const drop = new DragEvent('drop', { dataTransfer: transfer, ...how });
    window.windowUtils.dispatchDOMEventViaPresShellForTesting(document.getElementById('field'), drop);"""


def drop(trip: Trip) -> None:
    trip.run(MAKE, list(trip.photo.read_bytes()))
    trip.firefox.execute_script(DROP, sandbox="system")


def show(trip: Trip, kind: str, more: str = "") -> bool:
    """Go to a document of a kind.

    Returns:
        Whether it is a frame's.
    """
    text = (PAGES / "taker.html").read_text("utf-8")
    text = text.replace("http://SITE", trip.site.url("", "localhost").rstrip("/"))
    trip.site.replaced |= in_every_form(text + more)
    trip.open("taker.html" if kind == "top" else "kinds.html")
    if kind == "top":
        return False
    before = set(trip.firefox.window_handles)
    trip.run("window.KINDS[arguments[0]](arguments[1])", kind, text)
    if "popup" in kind:
        [opened] = wait_for(lambda: set(trip.firefox.window_handles) - before)
        trip.firefox.switch_to_window(opened)
    framed = not any(word in kind for word in ("top", "popup", "without", "lines"))
    for name in ("outer", "inner") if kind == "nested" else ("inner",) if framed else ():
        [frame] = wait_for(lambda name=name: trip.firefox.find_elements(By.NAME, name))
        trip.firefox.switch_to_frame(frame)
    wait_for(lambda: trip.run("return Boolean(window.seen && document.getElementById('field'))"))
    return framed


FEW = ("top", "written top", "written frame", "nested", "popup")


@pytest.mark.parametrize(
    "kinds",
    [FEW, pytest.param([k for k in KINDS if k not in FEW], marks=pytest.mark.slow)],
    ids=["few", "rest"],
)
def test_a_photo_in_a_document(trip: Trip, kinds: Sequence[str]) -> None:
    for kind in kinds:
        for way in ("input", "drop") if kind in ("top", "frame", "written top") else ("input",):
            framed, before = show(trip, kind), trip.looks()
            if way == "input":
                trip.firefox.find_element(By.ID, "one").send_keys(str(trip.photo))
            else:
                drop(trip)
            wait_for(lambda before=before: trip.looks() > before)  # the dialog has the photo
            assert trip.site.arrived == [], (kind, way)
            assert trip.run("return window.seen") == []
            if framed:
                trip.firefox.switch_to_frame()
            trip.go_on()
            assert trip.chosen() == [("me.png", True)], (kind, way)


def test_a_page_may_put_a_dropped_photo_into_an_input(trip: Trip) -> None:
    """What was decided about once is not asked about again."""
    show(
        trip,
        "top",
        """<script>addEventListener('drop', (event) => {
          const input = document.getElementById('one');
          input.files = event.dataTransfer.files;
          input.dispatchEvent(new Event('change', { bubbles: true }));
        }, true);</script>""",
    )
    drop(trip)
    trip.go_on()
    wait_for(lambda: len(trip.site.arrived) == 2)
    assert trip.chosen() == [("me.png", True)] * 2
    assert trip.dialog() == "" and trip.looks() == 1


# --- pages that come back --------------------------------------------------------------------------------


def leave(trip: Trip, page: str) -> None:
    """Go to another page.  The browser keeps only one that has loaded to its end, with its frames."""
    time.sleep(2)
    trip.firefox.navigate(trip.site.url(page, "localhost"))


def test_a_page_that_is_left_with_its_dialog_open(trip: Trip) -> None:
    """The browser keeps it as it was.  Neither it nor the next page is blocked."""
    firefox, choose = trip.firefox, lambda: firefox.find_element(By.ID, "one").send_keys(str(trip.photo))
    show(trip, "top")
    trip.run("window.kept = true")
    for page in ("input.html", ""):
        before = trip.looks()
        choose()
        wait_for(lambda before=before: trip.looks() > before)  # the dialog has the photo
        if page:
            leave(trip, page)
    firefox.go_back()
    assert trip.run("return window.kept")
    assert trip.dialog() == ""
    choose()
    trip.go_on()
    assert trip.chosen() == [("me.png", True)]


@pytest.mark.parametrize("how", ["open", "back", "back anew"])
def test_a_photo_chosen_while_the_site_was_off(trip: Trip, how: str) -> None:
    """The browser keeps the page, or loads it anew; Firefox then leaves its input empty."""
    firefox, anew = trip.firefox, how == "back anew"
    trip.rule("never")
    if anew:
        trip.site.headers["form.html"] = {"Cache-Control": "no-store"}
    trip.open("form.html")
    trip.run("window.kept = true")
    firefox.find_element(By.CSS_SELECTOR, "input").send_keys(str(trip.photo))
    if how != "open":
        leave(trip, "paste.html")
    trip.rule("ask")
    if how != "open":
        firefox.go_back()
    assert trip.run("return window.kept === true") is not anew
    if not anew:
        wait_for(lambda: trip.dialog() == "dialog")
    assert trip.run("return new FormData(document.forms[0]).get('photo').size") == 0
    if not anew:
        # The photo is in the input a moment after the dialog has gone.
        trip.go_on(lambda: trip.run("return document.querySelector('input').files.length"))
    firefox.find_element(By.CSS_SELECTOR, "button").click()
    wait_for(lambda: firefox.get_url().endswith("/upload"))
    assert trip.chosen() == ([] if anew else [("me.png", True)])


# --- the clipboard ---------------------------------------------------------------------------------------

#: A button of the page copies something, and reads it again where `read` says how.
COPY = """const [kind, address, read] = arguments;
    const button = document.body.appendChild(document.createElement('button'));
    button.id = 'copy';
    button.onclick = async () => {
      const picture = kind === 'image/png' && await (await fetch(address)).blob();
      const text = kind === 'text/html' ? `<p>me</p><img src="${address}">` : address;
      const body = picture || new Blob([text], { type: kind });
      await navigator.clipboard.write([new ClipboardItem({ [kind]: body })]);
      window.copied = true;
      if (read === 'readText') window.got = await navigator.clipboard.readText();
      if (read !== 'read') return;
      const [item] = await navigator.clipboard.read(), blob = await item.getType(kind);
      window.got = String.fromCharCode(...new Uint8Array(await blob.arrayBuffer()));
    };"""


def copy(trip: Trip, kind: str, read: str = "") -> None:
    trip.open("paste.html")
    trip.run(COPY, kind, trip.address, read)
    trip.firefox.find_element(By.ID, "copy").click()
    wait_for(lambda: trip.run("return window.copied"))


def paste(trip: Trip) -> None:
    """By the keyboard: the browser makes the event."""
    trip.firefox.find_element(By.ID, "field").click()
    keys = trip.firefox.actions.sequence("key", "keyboard")
    keys.key_down(Keys.CONTROL).key_down("v").key_up("v").key_up(Keys.CONTROL).perform()


def test_a_photo_in_a_copied_text(trip: Trip) -> None:
    copy(trip, "text/html")
    paste(trip)
    wait_for(lambda: trip.dialog() == "dialog")
    field = "return document.getElementById('field').innerHTML"
    assert "img" not in trip.run(field)
    trip.go_on(lambda: "img" in trip.run(field))
    assert f'src="{trip.protected_address}"' in trip.run(field)
    trip.firefox.set_pref("dom.events.testing.asyncClipboard", True)  # its own question stays away
    for kind, read in (("text/html", "read"), ("text/plain", "readText")):
        copy(trip, kind, read)
        wait_for(lambda: trip.dialog() == "dialog")
        assert trip.run("return window.got") is None
        trip.go_on(lambda: trip.run("return window.got"))
        got = trip.run("return window.got")
        assert trip.protected_address in re.split('["<>]', got), (kind, read)


@pytest.mark.parametrize("display", [True], indirect=True)
@pytest.mark.skipif(not XVFB, reason="without a screen, Firefox copies texts only: `apt-get install xvfb`")
def test_a_picture_on_the_clipboard(trip: Trip) -> None:
    copy(trip, "image/png")
    paste(trip)
    wait_for(lambda: trip.dialog() == "dialog")
    assert trip.site.arrived == []
    trip.go_on()
    # The browser has made a file of its own from the pixels.
    [(name, _)] = trip.chosen()
    assert name == "image.png" and trip.site.arrived[0].data.endswith(MARK)
    trip.firefox.set_pref("dom.events.testing.asyncClipboard", True)
    copy(trip, "image/png", "read")
    wait_for(lambda: trip.dialog() == "dialog")
    assert trip.run("return window.got") is None
    trip.go_on(lambda: trip.run("return window.got"))
    assert trip.run("return window.got").encode("latin-1").endswith(MARK)


@pytest.mark.parametrize("name", ["me.svg", "me.html"])
def test_a_file_that_holds_a_photo(trip: Trip, name: str) -> None:
    text = {"me.svg": '<svg><image href="{}"/></svg>', "me.html": "<!doctype html><p>\xe9<img src={}>"}[name]
    file = trip.photo.with_name(name)
    file.write_text(text.format(trip.address), "utf-8")
    trip.open("input.html")
    trip.firefox.find_element(By.ID, "one").send_keys(str(file))
    trip.go_on()
    [got] = trip.site.arrived
    assert (got.name, got.data.decode()) == (name, text.format(trip.protected_address))


def type_into(firefox: Marionette, field: str, text: str) -> None:
    wait_for(lambda: firefox.find_element(By.ID, field).is_displayed())
    firefox.find_element(By.ID, field).clear()
    firefox.find_element(By.ID, field).send_keys(text + Keys.ENTER)


def press(firefox: Marionette, *keys: str) -> None:
    """Press keys, after a moment in which the dialog may become visible."""
    time.sleep(1)
    sequence = firefox.actions.sequence("key", "keyboard")
    for key in keys:
        sequence.key_down(key).key_up(key)
    sequence.perform()

"""The same extension in Firefox, driven by Marionette: once from the first page to a protected photo."""

from __future__ import annotations

import json
import re
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.extension.conftest import PAGES, Arrived, Site, unpack
from tests.support.live import Live, running, wait_for
from tests.support.scripted import MARK

pytest.importorskip("marionette_driver", reason="Mozilla's driver does not run on this Python")
from marionette_driver import By
from marionette_driver.addons import Addons
from marionette_driver.keys import Keys
from marionette_driver.marionette import Marionette

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
pytestmark = pytest.mark.skipif(not FIREFOX, reason="no Firefox")


@pytest.fixture
def firefox(tmp_path: Path) -> Iterator[Marionette]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = str(tmp_path / "firefox.log")
    driver = Marionette(
        host="127.0.0.1", port=port, bin=FIREFOX, headless=True, gecko_log=log, startup_timeout=120
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

    def protected(self) -> list[Any]:
        """Jobs that have protected a photo."""
        return [job for job in self.live.server.service.jobs if job.kind == "protect" and job.over]

    def looks(self) -> float:
        """How many photos were looked at for faces."""
        text = self.live.ask("GET", "/v1/metrics").body.decode()
        found = re.findall(r'requests_total\{route="/v1/faces",[^}]*\} ([\d.]+)', text)
        return sum(map(float, found))

    def go_on(self) -> None:
        """Upload what the dialog shows: it lies in a closed shadow tree, so only keys reach it.

        It begins by itself, and its button has the focus as soon as it can be pressed.
        """
        wait_for(lambda: press(self.firefox, Keys.ENTER) or self.site.arrived)


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
            yield Trip(firefox, site, live, photo)
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


DROP = """([bytes]) => {
  const transfer = new DataTransfer(), how = { bubbles: true, composed: true, cancelable: true };
  transfer.items.add(new File([new Uint8Array(bytes)], 'me.png', { type: 'image/png' }));
  document.getElementById('field').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, ...how }));
}"""


def test_documents_that_are_written_anew(trip: Trip) -> None:
    """Nothing arrives before the user has decided.  In a document written anew, Firefox shows no dialog."""
    firefox, site = trip.firefox, trip.site
    text = (PAGES / "taker.html").read_text("utf-8").replace("http://SITE", site.url("", "localhost")[:-1])
    site.replaced["taker.html"] = text.encode()
    for kind in ("top", "written top"):
        for way in ("input", "drop"):
            firefox.navigate(site.url("taker.html" if kind == "top" else "kinds.html", "localhost"))
            if kind != "top":
                firefox.execute_script("window.KINDS[arguments[0]](arguments[1])", [kind, text], sandbox=None)
            before = trip.looks()
            if way == "input":
                firefox.find_element(By.ID, "one").send_keys(str(trip.photo))
            else:
                bytes_ = list(trip.photo.read_bytes())
                firefox.execute_script(f"({DROP})(arguments)", [bytes_], sandbox=None)
            if kind == "top":
                wait_for(lambda before=before: trip.looks() > before)  # the dialog has the photo
            time.sleep(2)
            assert site.arrived == [], (kind, way)
            assert firefox.execute_script("return window.seen", sandbox=None) == []
            if (kind, way) == ("top", "input"):
                trip.go_on()
                data = trip.photo.read_bytes() + MARK
                assert site.arrived == [Arrived("me.png", "image/png", data)], kind
                site.arrived.clear()


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

"""The same extension in Firefox, driven by Marionette: once from the first page to a protected photo."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.extension.conftest import Arrived, Site, unpack
from tests.support.live import running, wait_for
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


def test_from_the_first_page_to_a_protected_photo(firefox: Marionette, tmp_path: Path) -> None:
    site = Site()
    photo = tmp_path / "me.png"
    Image.new("RGB", (240, 160), (90, 60, 90)).save(photo)
    try:
        with running(tmp_path, "--marked") as live:
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

            firefox.navigate(site.url("input.html", "localhost"))
            firefox.find_element(By.ID, "one").send_keys(str(photo))
            # The dialog lies in a closed shadow tree: only keys reach it.  It begins by itself, and
            # its button has the focus as soon as it can be pressed.
            wait_for(lambda: [job for job in live.server.service.jobs if job.kind == "protect" and job.over])
            assert site.arrived == []
            wait_for(lambda: press(firefox, Keys.ENTER) or site.arrived)
            assert site.arrived == [Arrived("me.png", "image/png", photo.read_bytes() + MARK)]
            assert firefox.find_element(By.ID, "state").text == "nothing yet input:1 change:1"
    finally:
        site.stop()


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

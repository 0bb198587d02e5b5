"""Private windows of Chromium, once the user has allowed the extension there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import BrowserContext, CDPSession, Playwright

from tests.extension.conftest import HOST, Arrived, Site, browsing, control_of
from tests.support.live import running, wait_for
from tests.support.scripted import MARK

ALLOW = """async (extensionId) => {
  const { developerPrivate: settings } = chrome;
  await settings.updateProfileConfiguration({ inDeveloperMode: true }); // or it is not loaded again
  await settings.updateExtensionConfiguration({ extensionId, incognitoAccess: true });
}"""


class Target:
    """A page or frame that Playwright does not show, because it is in a private window."""

    def __init__(self, session: CDPSession, number: str) -> None:
        self.session, self.count = session, 0
        self.answers: dict[int, Any] = {}
        session.on("Target.receivedMessageFromTarget", self._hear)
        self.own = session.send("Target.attachToTarget", {"targetId": number})["sessionId"]

    def _hear(self, event: dict[str, Any]) -> None:
        if event["sessionId"] == self.own:
            message = json.loads(event["message"])
            self.answers[message.get("id", 0)] = message.get("result")

    def send(self, method: str, **values: Any) -> Any:
        self.count += 1
        message = json.dumps({"id": self.count, "method": method, "params": values})
        self.session.send("Target.sendMessageToTarget", {"sessionId": self.own, "message": message})
        wait_for(lambda: self.session.send("Target.getTargets") and self.count in self.answers)
        return self.answers[self.count]

    def value(self, script: str) -> Any:
        return self.send("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def click(self, selector: str) -> None:
        middle = f"""(({{ x, y, width, height }}) => [x + width / 2, y + height / 2])(
            document.querySelector({selector!r}).getBoundingClientRect())"""
        x, y = self.value(middle)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


@contextmanager
def found(context: BrowserContext, part: str) -> Iterator[Target]:
    """The page or frame with this in its address."""
    session = context.new_cdp_session(context.pages[0])

    def number() -> str:
        targets = session.send("Target.getTargets")["targetInfos"]
        return next((target["targetId"] for target in targets if part in target["url"]), "")

    yield Target(session, wait_for(number))
    session.detach()


def test_a_photo_in_a_private_window(playwright: Playwright, hurried: Path, tmp_path: Path) -> None:
    site, photo = Site(), tmp_path / "me.png"
    Image.new("RGB", (240, 160), (90, 60, 90)).save(photo)
    try:
        with running(tmp_path, "--marked") as live, browsing(playwright, hurried) as browser:
            address = control_of(browser).url
            settings = browser.new_page()
            settings.goto("chrome://extensions")
            settings.evaluate(ALLOW, address.split("/")[2])
            settings.wait_for_timeout(3000)  # the extension starts anew
            control = browser.new_page()
            control.goto(address)
            server = {"address": f"http://127.0.0.1:{live.port}", "token": "", "client": ""}
            control.evaluate("server => chrome.storage.local.set({ server })", server)
            for message in (
                {"type": "pair", "code": live.server.code},
                {"type": "setSite", "host": HOST, "rule": "ask"},
            ):
                assert "ok" in control.evaluate("message => chrome.runtime.sendMessage(message)", message)
            opened = "url => chrome.windows.create({ incognito: true, url }).then((one) => one.incognito)"
            assert control.evaluate(opened, site.url("input.html"))
            with found(browser, "/input.html") as page:
                wait_for(lambda: page.value("document.readyState") == "complete")
                root = page.send("DOM.getDocument")["root"]["nodeId"]
                node = page.send("DOM.querySelector", nodeId=root, selector="#one")["nodeId"]
                page.send("DOM.setFileInputFiles", nodeId=node, files=[str(photo)])
            with found(browser, "/dialog.html#") as dialog:
                ready = "document.querySelector('html[data-armed=true] #use:enabled') !== null"
                wait_for(lambda: dialog.value(ready))
                assert site.arrived == []
                dialog.click("#use")
                wait_for(lambda: browser.pages[0].evaluate("0") == 0 and site.arrived)
            assert site.arrived == [Arrived("me.png", "image/png", photo.read_bytes() + MARK)]
    finally:
        site.stop()

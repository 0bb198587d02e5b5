"""Opens the extension's own pages, popup, settings and first page, and looks at what they keep."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from tests.extension.conftest import EXTENSION, Surf
from tests.support.live import wait_for

POPUP, OPTIONS, FIRST = ("popup/popup.html", "options/options.html", "onboarding/onboarding.html")
PAGES = (POPUP, OPTIONS, FIRST)
#: The browser's answer to a request for a permission, which may be made only within a click or a key.
ASKED = """answer => {
  globalThis.asked = [];
  const known = chrome.permissions.contains.bind(chrome.permissions), granted = new Set();
  chrome.permissions.request = async ({ origins }) => {
    if (!navigator.userActivation.isActive) throw new Error('not in a click');
    asked.push(...origins);
    if (answer) for (const origin of origins) granted.add(origin);
    return answer;
  };
  chrome.permissions.contains = async ({ origins }) => (
    origins.every((o) => granted.has(o)) || known({ origins }));
}"""
#: The words of another language than the browser's, put together as the browser does it.
SPEAK = """words => {
  chrome.i18n.getMessage = (key, values = []) => Object.hasOwn(words, key)
    ? words[key].message.replace(/\\$P(\\d)\\$/g, (_, number) => values[number - 1] ?? '') : '';
}"""
#: A page's photos are sent to be learnt only when the test says so.
HELD = """() => {
  const send = chrome.runtime.sendMessage.bind(chrome.runtime);
  chrome.runtime.sendMessage = async (message) => {
    if (message.type === 'enrol') await new Promise((resolve) => { globalThis.go = resolve; });
    return send(message);
  };
}"""
Visit = Callable[..., Page]


@pytest.fixture
def visit(surf: Surf) -> Iterator[Visit]:
    """Opens pages of the extension; at the end, nobody complained and nobody but the server was asked."""
    complaints: list[str] = []
    foreign: list[str] = []
    opened: list[Page] = []
    base = surf.control.url.partition("src/")[0]

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def make(
        name: str, *, front: Page | str = "", answer: bool | None = None, locale: str = "en", **options: Any
    ) -> Page:
        """`front` is the page that a popup belongs to, `answer` the user's to the browser's question."""
        page = surf.context.new_page()
        opened.append(page)
        page.set_default_timeout(60_000)
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
        page.on("request", lambda r: foreign.append(r.url) if not r.url.startswith(base) else None)
        if isinstance(front, Page):
            find = "async url => (await chrome.tabs.query({})).find((t) => t.url === url).id"
            tab = surf.control.evaluate(find, front.url)
            page.add_init_script(f"chrome.tabs.query = async () => [await chrome.tabs.get({tab})]")
        elif front:
            page.add_init_script(f"chrome.tabs.query = async () => [{{ id: 1, url: '{front}' }}]")
        if answer is not None:
            page.add_init_script(f"({ASKED})({json.dumps(answer)})")
        if locale != "en":
            page.add_init_script(f"({SPEAK})({json.dumps(words(locale))})")
        if options:
            page.emulate_media(**options)
        page.goto(f"{base}src/{name}")
        expect(page.locator("[data-state]:not([data-state=looking])")).to_be_visible()
        return page

    yield make
    for page in (page for page in opened if not page.is_closed()):
        page.evaluate("0")  # what was said before this is heard before it
    assert complaints == []
    assert foreign == []
    for page in opened:
        page.close()


def state(page: Page, name: str) -> None:
    expect(page.locator(f"[data-state={name}]")).to_be_visible()


def sites(surf: Surf) -> dict[str, str]:
    return surf.stored("local", "sites") or {}


def sites_are(surf: Surf, **rules: str) -> None:
    wanted = {name.replace("_", "."): rule for name, rule in rules.items()}
    wait_for(lambda: sites(surf) == wanted)


def photo_rule(
    site: str = "", least: int = 0, most: int = 0, level: str = "", faces: str = ""
) -> dict[str, Any]:
    return {"site": site, "least": least, "most": most, "level": level, "faces": faces}


def rules_are(surf: Surf, *rules: dict[str, Any]) -> None:
    wait_for(lambda: (surf.stored("local", "rules") or []) == list(rules))


def sentences(page: Page, *wanted: str) -> None:
    expect(page.locator("#rules li > :first-child")).to_have_text(list(wanted))


def enrol(surf: Surf) -> None:
    assert surf.live.ask("POST", "/v1/owner", surf.photo().data, Content_Type="image/png").status == 201


def enrolled(surf: Surf) -> list[str]:
    return [photo["id"] for photo in surf.live.ask("GET", "/v1/owner").json["photos"]]


def words(locale: str) -> dict[str, Any]:
    return json.loads((EXTENSION / "_locales" / locale / "messages.json").read_text("utf-8"))

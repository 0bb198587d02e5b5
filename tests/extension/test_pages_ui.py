"""The extension's own pages as a person uses them: popup, settings, the first page; and the words in both languages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from engines import config
from server.common.enrolled import MOST
from server.common.problems import CODES
from tests.server.service.conftest import wait_for

from .conftest import EXTENSION, HOST, Surf, choose

POPUP, OPTIONS, FIRST = ("popup/popup.html", "options/options.html", "onboarding/onboarding.html")
PAGES = (POPUP, OPTIONS, FIRST)
#: What the browser says to a request for a permission; it must be asked within a click or a key, and then only.
ASKED = """answer => {
  globalThis.asked = [];
  const known = chrome.permissions.contains.bind(chrome.permissions), granted = new Set();
  chrome.permissions.request = async ({ origins }) => {
    if (!navigator.userActivation.isActive) throw new Error('not in a click');
    asked.push(...origins);
    if (answer) for (const origin of origins) granted.add(origin);
    return answer;
  };
  chrome.permissions.contains = async ({ origins }) => origins.every((o) => granted.has(o)) || known({ origins });
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
        """`front` is the page that a popup belongs to, `answer` what a user says to the browser's question."""
        page = surf.context.new_page()
        opened.append(page)
        page.set_default_timeout(15_000)
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
        page.on("request", lambda r: foreign.append(r.url) if not r.url.startswith(base) else None)
        if isinstance(front, Page):
            find = "async url => (await chrome.tabs.query({})).find((t) => t.url === url).id"
            page.add_init_script(
                f"chrome.tabs.query = async () => [await chrome.tabs.get({surf.control.evaluate(find, front.url)})]"
            )
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
    wait_for(lambda: sites(surf) == wanted, 5)


# --- the server --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_pairing_by_keyboard(surf: Surf, visit: Visit, name: str) -> None:
    surf.tell({"type": "unpair"})
    page = visit(name)
    state(page, "unpaired")
    page.focus("#code")
    page.keyboard.type(surf.live.server.code)
    page.keyboard.press("Enter")
    state(page, "ready")
    expect(page.locator("#pairing")).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == "connection", "the field is gone, the place is not"
    assert len(surf.live.ask("GET", "/v1/clients").json["clients"]) == 2  # the test itself, and this
    assert surf.tell({"type": "status"})["ok"]["state"] == "ready"


@pytest.mark.parametrize("name", PAGES)
def test_a_wrong_code_is_told_and_can_be_mended(surf: Surf, visit: Visit, name: str) -> None:
    surf.tell({"type": "unpair"})
    page = visit(name)
    page.fill("#code", "WRONG")
    page.click("#pair")
    expect(page.get_by_role("alert").filter(has_text="The code is wrong or too old")).to_be_visible()
    state(page, "unpaired")
    page.keyboard.type(surf.live.server.code)  # what is wrong is selected
    page.keyboard.press("Enter")
    state(page, "ready")
    expect(page.locator("#problem")).to_be_empty()


@pytest.mark.parametrize("name", PAGES)
def test_a_server_that_is_down_and_comes_back(surf: Surf, visit: Visit, name: str) -> None:
    address = surf.stored("local", "server")
    surf.keep(server={**address, "address": "http://127.0.0.1:9"})
    page = visit(name)
    state(page, "down")
    expect(page.locator("#advice")).to_contain_text("clip2protect serve")
    surf.keep(server=address)
    if name == POPUP:
        page.press("#check", "Enter")
    elif name == OPTIONS:
        page.fill("#address", address["address"])
        page.keyboard.press("Enter")
    state(page, "ready")  # the first page looks again by itself


def test_another_program_at_the_address_is_no_server(surf: Surf, visit: Visit) -> None:
    surf.keep(server={"address": f"http://127.0.0.1:{surf.site.port}", "token": "", "client": ""})
    page = visit(POPUP)
    state(page, "down")
    expect(page.locator("#advice")).to_have_text("Another program answers at this address.")


@pytest.mark.parametrize(
    "typed", ["http://192.168.1.2:8765", "https://127.0.0.1:8765", "http://127.0.0.1.evil.com", "?", ""]
)
def test_a_server_elsewhere_is_refused(surf: Surf, visit: Visit, typed: str) -> None:
    before = surf.stored("local", "server")
    page = visit(OPTIONS)
    page.fill("#address", typed)
    page.keyboard.press("Enter")
    expect(page.locator("#where-problem")).to_contain_text("must be on this machine")
    assert surf.stored("local", "server") == before


def test_another_address_gets_no_token_of_the_old_one(surf: Surf, visit: Visit) -> None:
    page = visit(OPTIONS)
    state(page, "ready")
    page.fill("#address", f"localhost:{surf.live.port}")
    page.get_by_role("button", name="Test the connection").click()
    state(page, "unpaired")
    address = f"http://localhost:{surf.live.port}"
    assert surf.stored("local", "server") == {"address": address, "token": "", "client": ""}
    expect(page.locator("#address")).to_have_value(address)
    assert len(surf.live.ask("GET", "/v1/clients").json["clients"]) == 1  # the old one was given back


def test_unpairing(surf: Surf, visit: Visit) -> None:
    page = visit(OPTIONS)
    page.press("#unpair", "Enter")
    state(page, "unpaired")
    expect(page.locator("#unpair")).to_be_hidden()
    assert len(surf.live.ask("GET", "/v1/clients").json["clients"]) == 1


# --- sites -------------------------------------------------------------------------------------------------


def test_the_popup_switches_the_site_in_front_by_keyboard(surf: Surf, visit: Visit) -> None:
    page = visit(POPUP, front=surf.open("input.html"))
    assert page.get_by_role("group", name=HOST).is_visible()
    expect(page.get_by_label("Ask for every photo")).to_be_checked()
    page.focus("input[name=rule]:checked")
    page.keyboard.press("ArrowDown")
    wait_for(lambda: sites(surf) == {HOST: "always"}, 5)
    expect(page.locator("#stale")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    wait_for(lambda: sites(surf) == {HOST: "never"}, 5)
    expect(page.locator("#stale")).to_be_visible()  # our scripts are still in the page
    expect(page.locator("#refused")).to_be_empty()


def test_the_popup_reloads_the_page(surf: Surf, visit: Visit) -> None:
    surf.rule("never")
    front = surf.open("input.html")
    front.evaluate("window.old = true")
    page = visit(POPUP, front=front)
    page.evaluate("window.close = () => {}")
    page.get_by_label("Ask for every photo").check()
    page.get_by_role("button", name="Reload page").click()
    front.wait_for_function("!window.old")


@pytest.mark.parametrize("answer", [True, False])
def test_the_popup_asks_the_browser_within_the_click(surf: Surf, visit: Visit, answer: bool) -> None:
    surf.keep(sites={})
    page = visit(POPUP, front="https://www.example.com/a?b#c", answer=answer)
    page.get_by_label("Ask for every photo").check()
    if answer:
        sites_are(surf, example_com="ask")
        expect(page.locator("#stale")).to_be_visible()
    else:
        expect(page.locator("#refused")).to_contain_text("Nothing was changed")
        sites_are(surf)
        expect(page.get_by_label("Leave alone")).to_be_checked()
    assert page.evaluate("asked") == ["*://*.example.com/*"]


def test_a_site_that_the_browser_shut_again_can_be_allowed_anew(surf: Surf, visit: Visit) -> None:
    surf.keep(sites={"example.com": "always"})
    page = visit(OPTIONS, answer=True)
    row = page.get_by_role("row").filter(has_text="example.com")
    expect(row).to_contain_text("does not allow it there yet")
    row.get_by_role("button", name="Allow clip2protect on example.com").click()
    assert page.evaluate("asked") == ["*://*.example.com/*"]
    assert sites(surf) == {"example.com": "always"}


def test_the_popup_without_a_site_points_to_the_settings(surf: Surf, visit: Visit) -> None:
    page = visit(POPUP, front=surf.control)
    expect(page.locator("#no-site")).to_be_visible()
    expect(page.locator("#site")).to_be_hidden()


def test_last_results_without_names_of_files(surf: Surf, visit: Visit) -> None:
    one = {"host": "example.com", "photos": 1, "faces": 1, "before": 3, "after": 0, "recognisers": 3}
    page = visit(POPUP)
    expect(page.locator("#last-none")).to_be_visible()
    aged = "all.map(([age, last]) => ({ ...last, time: Date.now() - age }))"
    surf.control.evaluate(
        f"all => chrome.storage.session.set({{ last: {aged} }})",
        [[300_000, one | {"photos": 2}], [7_300_000, one], [200_000_000, one], [0, one]],
    )
    expected = [
        "2 photos on example.com, 5 minutes ago",
        "1 photo on example.com, 2 hours ago",
        "1 photo on example.com, 2 days ago",
    ]
    expect(page.locator("#last li")).to_have_text(expected)
    expect(page.locator("#last-none")).to_be_hidden()


@pytest.mark.parametrize(
    ("typed", "site"),
    [
        ("example.com", "example.com"),
        ("  https://www.Example.com:8080/a/b?c#d ", "example.com"),
        ("m.facebook.com", "facebook.com"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_adding_a_site(surf: Surf, visit: Visit, typed: str, site: str) -> None:
    surf.keep(sites={})
    page = visit(OPTIONS, answer=True)
    expect(page.locator("#none")).to_be_visible()
    page.get_by_label("Another site").fill(typed)
    page.keyboard.press("Enter")
    expect(page.get_by_role("rowheader", name=site)).to_be_visible()
    wait_for(lambda: sites(surf) == {site: "ask"}, 5)
    assert page.evaluate("asked") == [f"*://*.{site}/*"]
    expect(page.get_by_label("Another site")).to_have_value("")


@pytest.mark.parametrize("typed", ["", "com", "a b", "file:///etc/passwd", "chrome://settings", "*.com", "https://"])
def test_what_is_no_site_is_not_added(surf: Surf, visit: Visit, typed: str) -> None:
    page = visit(OPTIONS, answer=True)
    page.get_by_label("Another site").fill(typed)
    page.keyboard.press("Enter")
    expect(page.locator("#sites-problem")).to_contain_text("This is no site’s name")
    assert sites(surf) == {HOST: "ask"}
    assert page.evaluate("asked") == []


def test_a_site_is_not_added_against_the_users_word(surf: Surf, visit: Visit) -> None:
    page = visit(OPTIONS, answer=False)
    page.get_by_label("Another site").fill("example.com")
    page.keyboard.press("Enter")
    expect(page.locator("#sites-problem")).to_contain_text("Nothing was changed")
    assert sites(surf) == {HOST: "ask"}


def test_a_rule_is_changed_and_a_site_removed_by_keyboard(surf: Surf, visit: Visit) -> None:
    surf.keep(choices={HOST: {"prompt": "goth", "level": "strong"}})
    page = visit(OPTIONS)
    rule = page.get_by_label(f"What happens to photos on {HOST}")
    rule.focus()
    page.keyboard.press("ArrowDown")
    wait_for(lambda: sites(surf) == {HOST: "always"}, 5)
    expect(rule).to_have_value("always")
    expect(rule).to_be_focused()
    page.get_by_role("button", name=f"Remove {HOST}").press("Enter")
    sites_are(surf)
    assert surf.stored("local", "choices") == {}
    expect(page.locator("#table")).to_be_hidden()
    expect(page.get_by_label("Another site")).to_be_focused()


@pytest.mark.parametrize("name", [OPTIONS, FIRST])
def test_well_known_sites_are_one_button_each(surf: Surf, visit: Visit, name: str) -> None:
    surf.keep(sites={})
    page = visit(name, answer=True)
    button = page.get_by_role("button", name="Facebook", exact=True)
    expect(button).to_have_attribute("aria-pressed", "false")
    button.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    sites_are(surf, facebook_com="ask", messenger_com="ask")
    assert page.evaluate("asked") == ["*://*.facebook.com/*", "*://*.messenger.com/*"]
    button.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "false")
    sites_are(surf)


# --- look and strength -------------------------------------------------------------------------------------


def test_look_and_strength_are_kept(surf: Surf, visit: Visit) -> None:
    page = visit(OPTIONS)
    page.get_by_label("Look", exact=True).select_option("goth")
    card = page.get_by_role("region", name="Look and strength")
    card.get_by_label("Strength", exact=True).select_option("strong")
    wait_for(lambda: surf.stored("local", "defaults") == {"prompt": "goth", "level": "strong", "faces": "all"}, 5)
    page.get_by_label("Look", exact=True).select_option(label="My own words…")
    assert surf.stored("local", "defaults")["prompt"] == "goth", "no words are there yet"
    page.get_by_label("Your own words").fill("green lips")
    page.keyboard.press("Tab")
    card.get_by_label("Faces").select_option("largest")
    kept = {"prompt": "green lips", "level": "strong", "faces": "largest"}
    wait_for(lambda: surf.stored("local", "defaults") == kept, 5)
    page.reload()
    expect(page.get_by_label("Your own words")).to_have_value("green lips")
    expect(card.get_by_label("Strength", exact=True)).to_have_value("strong")
    expect(card.get_by_label("Faces")).to_have_value("largest")


def test_every_site_can_begin_with_them_again(surf: Surf, visit: Visit) -> None:
    surf.keep(choices={HOST: {"prompt": "goth", "level": "strong"}})
    visit(OPTIONS).get_by_role("button", name="Use these on every site").click()
    wait_for(lambda: surf.stored("local", "choices") == {}, 5)


def test_without_a_server_there_are_no_looks_to_choose(surf: Surf, visit: Visit) -> None:
    surf.tell({"type": "unpair"})
    page = visit(OPTIONS)
    expect(page.locator("#offline")).to_be_visible()
    expect(page.locator("#defaults")).to_be_hidden()


# --- rules for kinds of photos -----------------------------------------------------------------------------


def photo_rule(site: str = "", least: int = 0, most: int = 0, level: str = "", faces: str = "") -> dict[str, Any]:
    return {"site": site, "least": least, "most": most, "level": level, "faces": faces}


def rules_are(surf: Surf, *rules: dict[str, Any]) -> None:
    wait_for(lambda: (surf.stored("local", "rules") or []) == list(rules), 5)


def sentences(page: Page, *wanted: str) -> None:
    expect(page.locator("#rules li > :first-child")).to_have_text(list(wanted))


@pytest.mark.parametrize("paired", [True, False])
def test_a_rule_is_made_by_keyboard_even_while_the_server_is_away(surf: Surf, visit: Visit, paired: bool) -> None:
    if not paired:
        surf.tell({"type": "unpair"})
    page = visit(OPTIONS)
    expect(page.get_by_text("No rule yet")).to_be_visible()
    page.get_by_role("button", name="Add a rule").press("Enter")
    expect(page.get_by_label("Site (empty: every site)")).to_be_focused()
    page.keyboard.type(f"https://www.{HOST}/upload")  # its site is in the list already
    page.keyboard.press("Tab")
    page.keyboard.type("Photos with more")
    page.keyboard.press("Tab")
    expect(page.get_by_label("More than how many faces")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("12")
    page.keyboard.press("Tab")
    page.keyboard.type("Strong")
    page.keyboard.press("Tab")
    page.keyboard.type("The largest")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    rules_are(surf, photo_rule(HOST, 13, level="strong", faces="largest"))
    sentences(page, f"Photos with more than 12 faces on {HOST}: strong, only the largest face")
    expect(page.locator("#rule-form")).to_be_hidden()
    expect(page.locator("#rules-none")).to_be_hidden()
    expect(page.locator("#rules-news")).to_have_text("Saved.")
    expect(page.get_by_role("button", name="Add a rule")).to_be_focused()


@pytest.mark.parametrize(
    ("kind", "number", "least", "most", "words"),
    [
        ("Any photo", "", 0, 0, "Any photo on every site: subtle"),
        ("Portraits (one face)", "", 1, 1, "Portraits (one face) on every site: subtle"),
        ("Photos with several faces", "", 2, 0, "Photos with several faces on every site: subtle"),
        ("Photos with more than … faces", "1", 2, 0, "Photos with several faces on every site: subtle"),
        ("Photos with more than … faces", "99", 100, 0, "Photos with more than 99 faces on every site: subtle"),
    ],
)
def test_every_kind_of_photo(
    surf: Surf, visit: Visit, kind: str, number: str, least: int, most: int, words: str
) -> None:
    page = visit(OPTIONS)
    page.click("#rule-new")
    page.get_by_label("Kind of photo").select_option(kind)
    expect(page.locator("#rule-number")).to_be_visible(visible=bool(number))
    if number:
        page.fill("#rule-number", number)
    page.select_option("#rule-level", "subtle")
    page.get_by_role("button", name="Save").click()
    rules_are(surf, photo_rule("", least, most, level="subtle"))
    sentences(page, words)


@pytest.mark.parametrize(
    ("site", "number", "level", "problem", "field"),
    [
        ("com", "5", "strong", "This is no site’s name", "rule-site"),
        ("", "0", "strong", "from 1 to 99", "rule-number"),
        ("", "100", "strong", "from 1 to 99", "rule-number"),
        ("", "2.5", "strong", "from 1 to 99", "rule-number"),
        ("", "", "strong", "from 1 to 99", "rule-number"),
        ("", "5", "", "Choose a strength or faces", "rule-level"),
    ],
)
def test_what_is_no_rule_is_not_kept_and_can_be_mended(
    surf: Surf, visit: Visit, site: str, number: str, level: str, problem: str, field: str
) -> None:
    page = visit(OPTIONS)
    page.click("#rule-new")
    page.fill("#rule-site", site)
    page.select_option("#rule-kind", "more")
    page.fill("#rule-number", number)
    page.select_option("#rule-level", level)
    page.press("#rule-number", "Enter")
    expect(page.get_by_role("alert").filter(has_text=problem)).to_be_visible()
    assert page.evaluate("document.activeElement.id") == field
    assert surf.stored("local", "rules") is None
    page.fill("#rule-site", "")
    page.fill("#rule-number", "5")
    page.select_option("#rule-level", "strong")
    page.press("#rule-site", "Enter")
    rules_are(surf, photo_rule("", 6, level="strong"))
    expect(page.locator("#rules-problem")).to_be_empty()


def test_no_rule_is_there_twice(surf: Surf, visit: Visit) -> None:
    one, other = photo_rule(level="strong"), photo_rule(level="subtle")
    surf.keep(rules=[one, other])
    page = visit(OPTIONS)
    page.click("#rule-new")
    page.select_option("#rule-level", "strong")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#rules-problem")).to_have_text("This rule is in the list already.")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#rules-problem")).to_be_empty()
    page.get_by_role("button", name="Change: Any photo on every site: subtle").click()
    page.select_option("#rule-level", "strong")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#rules-problem")).to_have_text("This rule is in the list already.")
    rules_are(surf, one, other)


def test_a_rule_is_changed_moved_and_removed_by_keyboard(surf: Surf, visit: Visit) -> None:
    first, last = photo_rule(least=1, most=1, level="strong"), photo_rule(HOST, 6, faces="largest")
    surf.keep(rules=[first, last])
    page = visit(OPTIONS)
    named = f"Photos with more than 5 faces on {HOST}: only the largest face"
    page.get_by_role("button", name=f"Change: {named}").press("Enter")
    expect(page.locator("#rule-site")).to_have_value(HOST)
    expect(page.locator("#rule-number")).to_have_value("5")
    expect(page.locator("#rule-level")).to_have_value("")
    page.get_by_label("Faces").last.select_option("all")
    page.press("#rule-site", "Enter")
    last |= {"faces": "all"}
    rules_are(surf, first, last)
    named = f"Photos with more than 5 faces on {HOST}: all faces"
    sentences(page, "Portraits (one face) on every site: strong", named)
    expect(page.get_by_role("button", name=f"Change: {named}")).to_be_focused()

    page.get_by_role("button", name=f"Move up: {named}").press("Enter")
    rules_are(surf, last, first)
    sentences(page, named, "Portraits (one face) on every site: strong")
    expect(page.get_by_role("button", name=f"Change: {named}")).to_be_focused()  # it cannot go further up
    expect(page.get_by_role("button", name=f"Move up: {named}")).to_be_disabled()

    page.get_by_role("button", name=f"Remove {named}").press("Enter")
    rules_are(surf, first)
    expect(page.get_by_role("button", name="Remove Portraits")).to_be_focused()
    page.keyboard.press("Enter")
    rules_are(surf)
    expect(page.get_by_text("No rule yet")).to_be_visible()
    expect(page.get_by_role("button", name="Add a rule")).to_be_focused()
    expect(page.locator("#rules-news")).to_have_text("The rule was removed.")


def test_a_rule_reads_as_a_sentence_in_german_too(surf: Surf, visit: Visit) -> None:
    surf.keep(rules=[photo_rule("", 6, level="strong", faces="mine"), photo_rule(HOST, 1, 1, faces="all")])
    enrol(surf)
    page = visit(OPTIONS, locale="de")
    expect(page.locator("#owner-photos li")).to_contain_text(["Foto 1, hinzugefügt am "])
    group = "Fotos mit mehr als 5 Gesichtern auf jeder Website: stark, nur meines"
    sentences(page, group, f"Porträts (ein Gesicht) auf {HOST}: alle Gesichter")


def test_a_rule_that_is_saved_twice_in_a_row_is_there_once(surf: Surf, visit: Visit) -> None:
    page = visit(OPTIONS)
    page.click("#rule-new")
    page.select_option("#rule-level", "strong")
    page.evaluate("const save = document.querySelector('#rule-form .main'); save.click(); save.click()")
    sentences(page, "Any photo on every site: strong")
    rules_are(surf, photo_rule(level="strong"))
    expect(page.locator("#rules-problem")).to_be_empty()


def test_the_form_is_left_without_a_change(surf: Surf, visit: Visit) -> None:
    surf.keep(rules=[photo_rule(level="strong")])
    page = visit(OPTIONS)
    page.get_by_role("button", name="Change: Any photo").click()
    page.select_option("#rule-level", "subtle")
    page.get_by_role("button", name="Cancel").press("Enter")
    expect(page.get_by_role("button", name="Change: Any photo")).to_be_focused()
    page.click("#rule-new")
    expect(page.locator("#rule-level")).to_have_value("")
    rules_are(surf, photo_rule(level="strong"))


def test_it_is_said_beside_a_rule_what_keeps_it_from_working(surf: Surf, visit: Visit) -> None:
    surf.keep(
        rules=[photo_rule(HOST, faces="mine"), photo_rule("example.com", level="strong"), photo_rule(level="strong")],
        sites={HOST: "ask"},
    )
    page = visit(OPTIONS)
    notes = page.locator("#rules li small")
    unknown, off = "The server does not know your face yet", "clip2protect is off on this site"
    expect(notes).to_contain_text([unknown, off])
    surf.keep(sites={HOST: "ask", "m.example.com": "always"})  # a host below it is on
    expect(notes).to_contain_text([unknown])
    choose(page, "#owner-add", surf.photo())
    expect(notes).to_have_count(0)
    page.get_by_role("button", name="Remove Photo 1").click()
    expect(notes).to_contain_text([unknown])


def test_a_rule_changes_what_is_asked_of_the_server(surf: Surf, visit: Visit) -> None:
    enrol(surf)
    page = visit(OPTIONS)
    page.click("#rule-new")
    page.select_option("#rule-kind", "more")
    page.fill("#rule-number", "5")
    page.get_by_label("Faces").last.select_option("Only mine")
    page.get_by_role("button", name="Save").click()
    sentences(page, "Photos with more than 5 faces on every site: only mine")
    photos = [surf.photo("group.png", do="faces 7"), surf.photo("five.png", do="faces 5")]
    front = surf.open("input.html")
    choose(front, "#many", *photos)
    surf.protect(front)
    surf.gets(front, *[(photo.name, "image/png", photo.protected) for photo in photos])
    settings = [job.settings for job in surf.live.server.service.jobs]
    assert sorted((one["faces"], one["level"]) for one in settings) == [("all", "balanced"), ("mine", "balanced")]
    [group] = [job for job in surf.live.server.service.jobs if job.settings["faces"] == "mine"]
    assert len(group.owner) == 1


# --- the owner's face --------------------------------------------------------------------------------------


def enrol(surf: Surf) -> None:
    assert surf.live.ask("POST", "/v1/owner", surf.photo().data, Content_Type="image/png").status == 201


def enrolled(surf: Surf) -> list[str]:
    return [photo["id"] for photo in surf.live.ask("GET", "/v1/owner").json["photos"]]


def test_photos_of_the_owner_are_learnt(surf: Surf, visit: Visit) -> None:
    page = visit(OPTIONS)
    mine = page.locator("#faces option[value=mine]")
    expect(page.get_by_text("No photo yet")).to_be_visible()
    expect(mine).to_be_disabled()
    with page.expect_file_chooser() as chooser:
        page.press("#owner-add", "Enter")
    assert chooser.value.is_multiple()
    chooser.value.set_files([surf.photo(name).path for name in ("one.png", "two.jpg")])
    expect(page.locator("#owner-news")).to_have_text("Photos learnt: 2 of 2.")
    expect(page.locator("#owner-problem")).to_be_empty()
    rows = page.locator("#owner-photos li")
    today = page.evaluate("new Intl.DateTimeFormat('en', { dateStyle: 'long' }).format()")
    expect(rows).to_contain_text([f"Photo 1, added {today} at", f"Photo 2, added {today} at"])
    expect(page.locator("#owner-none")).to_be_hidden()
    expect(mine).to_be_enabled()
    expect(page.locator("#owner-add")).to_be_focused()
    assert len(enrolled(surf)) == 2


def test_photos_of_the_owner_are_removed_by_keyboard(surf: Surf, visit: Visit) -> None:
    for _ in range(2):
        enrol(surf)
    first, second = enrolled(surf)
    page = visit(OPTIONS)
    page.get_by_role("button", name="Remove Photo 1").press("Enter")
    expect(page.locator("#owner-photos li")).to_have_count(1)
    assert enrolled(surf) == [second] != [first]
    expect(page.get_by_role("button", name="Remove Photo 1")).to_be_focused()
    expect(page.locator("#owner-news")).to_have_text("The photo was forgotten.")
    expect(page.locator("#faces option[value=mine]")).to_be_enabled()
    page.keyboard.press("Enter")
    expect(page.get_by_text("No photo yet")).to_be_visible()
    expect(page.locator("#faces option[value=mine]")).to_be_disabled()
    expect(page.locator("#owner-add")).to_be_focused()
    assert enrolled(surf) == []


def test_a_photo_that_another_program_removed_is_gone_here_too(surf: Surf, visit: Visit) -> None:
    enrol(surf)
    page = visit(OPTIONS)
    remove = page.get_by_role("button", name="Remove Photo 1")
    expect(remove).to_be_visible()
    surf.live.ask("DELETE", f"/v1/owner/{enrolled(surf)[0]}", X_Clip2Protect="1")
    remove.click()
    expect(page.get_by_text("No photo yet")).to_be_visible()
    expect(page.locator("#owner-problem")).to_be_empty()


@pytest.mark.parametrize(
    ("locale", "news", "no_face", "unreadable"),
    [
        ("en", "Photos learnt: 1 of 4.", "No face was found in b.png, c.png: give", "Not readable: d.txt. JPEG"),
        (
            "de",
            "Gelernte Fotos: 1 von 4.",
            "Kein Gesicht gefunden in b.png, c.png: Nehmen",
            "Nicht lesbar: d.txt. JPEG",
        ),
    ],
)
def test_it_is_said_which_photos_were_not_learnt(
    surf: Surf, visit: Visit, locale: str, news: str, no_face: str, unreadable: str
) -> None:
    page = visit(OPTIONS, locale=locale)
    photos = [surf.photo("a.png"), *(surf.photo(name, do="no face") for name in ("b.png", "c.png"))]
    choose(page, "#owner-add", *photos, surf.photo("d.txt", data=b"text"))
    expect(page.locator("#owner-news")).to_have_text(news)
    problem = page.get_by_role("alert").filter(has_text="d.txt")
    expect(problem).to_contain_text(no_face)
    expect(problem).to_contain_text(unreadable)
    expect(page.locator("#owner-photos li")).to_have_count(1)
    assert len(enrolled(surf)) == 1


def test_while_photos_are_learnt_the_first_is_awaited(surf: Surf, visit: Visit) -> None:
    page = visit(OPTIONS)
    page.evaluate(HELD)
    choose(page, "#owner-add", surf.photo("a.png"), surf.photo("b.png"))
    expect(page.locator("#owner-news")).to_have_text("Learning photo 1 of 2…")
    expect(page.locator("#owner-add")).to_have_attribute("aria-disabled", "true")
    assert enrolled(surf) == []
    page.evaluate(
        "document.getElementById('owner-files').addEventListener('click', () => { globalThis.again = true; })"
    )
    page.press("#owner-add", "Enter")
    assert not page.evaluate("globalThis.again"), "one choice after the other"
    page.evaluate("go()")
    expect(page.locator("#owner-news")).to_have_text("Learning photo 2 of 2…")
    page.evaluate("go()")
    expect(page.locator("#owner-news")).to_have_text("Photos learnt: 2 of 2.")
    expect(page.locator("#owner-add")).to_have_attribute("aria-disabled", "false")


def test_there_is_an_end_to_what_is_learnt(surf: Surf, visit: Visit) -> None:
    for _ in range(MOST - 1):
        enrol(surf)
    page = visit(OPTIONS)
    page.evaluate(HELD)
    choose(page, "#owner-add", *(surf.photo() for _ in range(3)))
    for number in (1, 2):  # the third is not sent
        expect(page.locator("#owner-news")).to_have_text(f"Learning photo {number} of 3…")
        page.evaluate("go()")
    expect(page.locator("#owner-news")).to_have_text("Photos learnt: 1 of 3.")
    expect(page.locator("#owner-problem")).to_contain_text("Enough photos of you are known: remove one")
    expect(page.locator("#owner-photos li")).to_have_count(MOST)


@pytest.mark.parametrize("what", ["add", "remove"])
def test_a_server_that_is_gone_learns_and_forgets_nothing(surf: Surf, visit: Visit, what: str) -> None:
    enrol(surf)
    page = visit(OPTIONS)
    expect(page.locator("#owner-photos li")).to_have_count(1)
    surf.keep(server={**surf.stored("local", "server"), "address": "http://127.0.0.1:9"})
    if what == "add":
        choose(page, "#owner-add", surf.photo("a.png"), surf.photo("b.png"))
    else:
        page.get_by_role("button", name="Remove Photo 1").click()
    expect(page.locator("#owner-problem")).to_have_text("The server is not ready any more: try again once it is.")
    expect(page.locator("#owner-news")).to_be_empty()
    expect(page.locator("#owner-offline")).to_be_visible()
    expect(page.locator("#owner")).to_be_hidden()
    state(page, "down")
    assert len(enrolled(surf)) == 1


def test_without_a_server_no_photo_of_the_owner_can_be_added(surf: Surf, visit: Visit) -> None:
    surf.tell({"type": "unpair"})
    page = visit(OPTIONS)
    expect(page.locator("#owner-offline")).to_be_visible()
    expect(page.locator("#owner-add")).to_be_hidden()
    page.fill("#code", surf.live.server.code)
    page.keyboard.press("Enter")
    expect(page.locator("#owner-add")).to_be_visible()
    expect(page.locator("#owner-offline")).to_be_hidden()


# --- the first page ----------------------------------------------------------------------------------------


def test_the_first_page_ticks_off_its_steps(surf: Surf, visit: Visit) -> None:
    surf.tell({"type": "unpair"})
    surf.keep(sites={})
    page = visit(FIRST, answer=True)
    done = page.locator(".done > h2 > span")
    expect(done).to_have_text(["Start the server"])
    page.fill("#code", surf.live.server.code)
    page.keyboard.press("Enter")
    expect(done).to_have_text(["Start the server", "Pair this browser"])
    page.get_by_role("button", name="Bluesky").click()
    expect(done).to_have_count(3)
    expect(page.locator("#all")).to_contain_text("All is set")


# --- how they look -----------------------------------------------------------------------------------------

LONG = "a-rather-long-name-of-a-site.and-of-what-is-above-it.example.com"


def fill_in(surf: Surf) -> None:
    """Something in every list."""
    surf.keep(rules=[photo_rule(level="strong"), photo_rule(LONG, 6, faces="mine")])
    enrol(surf)


def unfold(page: Page, name: str, paired: bool) -> None:
    """Have the settings show all that they can."""
    if name == OPTIONS:
        expect(page.locator("#rules li")).to_have_count(2)
        expect(page.locator("#owner-photos li")).to_have_count(1 if paired else 0)
        page.locator("#rules li").last.get_by_role("button").nth(1).click()
        page.select_option("#rule-faces", "")
        page.click("#rule-form .main")
        expect(page.locator("#rules-problem")).not_to_be_empty()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("paired", [True, False])
def test_every_control_has_a_name(surf: Surf, visit: Visit, name: str, paired: bool) -> None:
    fill_in(surf)
    if not paired:
        surf.tell({"type": "unpair"})
    page = visit(name, front=surf.open("input.html"))
    unfold(page, name, paired)
    controls = page.locator("input:visible, select:visible, button:visible").all()
    assert len(controls) > 3
    for control in controls:
        named = "e => e.ariaLabel || e.labels?.[0]?.textContent || (e.tagName === 'BUTTON' && e.textContent)"
        assert control.evaluate(named), control.evaluate("e => e.outerHTML")
        height = "e => Math.max(...[e, e.labels?.[0] ?? e].map((x) => x.getBoundingClientRect().height))"
        assert control.evaluate(height) >= 24, control.evaluate("e => e.outerHTML")
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("locale", ["en", "de"])
@pytest.mark.parametrize("paired", [True, False])
def test_nothing_sticks_out_of_a_narrow_window(surf: Surf, visit: Visit, name: str, locale: str, paired: bool) -> None:
    surf.keep(sites={HOST: "ask", LONG: "always"})
    fill_in(surf)
    if not paired:
        surf.tell({"type": "unpair"})
    page = visit(name, front=f"https://{LONG}/", locale=locale)
    page.set_viewport_size({"width": 320, "height": 600})
    unfold(page, name, paired)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    out = """() => [...document.querySelectorAll('.card *')].filter((e) => e.checkVisibility()).filter((e) => {
      const [part, card] = [e, e.closest('.card')].map((x) => x.getBoundingClientRect().right);
      return part > card - 8;
    }).map((e) => e.outerHTML)"""
    assert page.evaluate(out) == []


@pytest.mark.parametrize("name", PAGES)
def test_dark_and_light(surf: Surf, visit: Visit, name: str) -> None:
    """The page's and the cards' own colours, and the contrast of all that is written there (WCAG AA: 4.5)."""
    seen = {}
    fill_in(surf)
    for scheme in ("light", "dark"):
        page = visit(name, color_scheme=scheme)
        unfold(page, name, paired=True)
        seen[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        low = page.evaluate("""() => {
          const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
          const light = (color) => rgb(color).slice(0, 3).map((v) => v / 255)
            .map((v) => (v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4))
            .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
          const behind = (e) => { for (; e; e = e.parentElement) {
            const color = getComputedStyle(e).backgroundColor;
            if ((rgb(color)[3] ?? 1) === 1) return color;
          } return 'rgb(255 255 255)'; };
          const texts = [...document.body.querySelectorAll('*')].filter((e) => e.checkVisibility()
            && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
          if (texts.length < 5) return ['hardly anything is written there'];
          return texts.filter((e) => {
            const [a, b] = [getComputedStyle(e).color, behind(e)].map(light).sort((x, y) => y - x);
            return (a + .05) / (b + .05) < 4.5;
          }).map((e) => e.outerHTML);
        }""")
        assert low == [], scheme
    assert seen["light"] == "rgb(245, 246, 248)"
    assert seen["dark"] == "rgb(18, 21, 24)"


# --- the words ---------------------------------------------------------------------------------------------


def words(locale: str) -> dict[str, Any]:
    return json.loads((EXTENSION / "_locales" / locale / "messages.json").read_text("utf-8"))


SOURCES = {p: p.read_text("utf-8") for p in (EXTENSION / "src").rglob("*") if p.suffix in (".js", ".html")}
MANIFEST = EXTENSION / "manifest.json"
#: Keys that are put together: what comes before the part that varies -> all that may come.
VARIED = {
    "level_": set(get_args(config.Level)),
    "faces_": set(get_args(config.Faces)),
    "short_": {*get_args(config.Level), *get_args(config.Faces)},
    "kind_": {"any", "one", "several", "more"},
    "rule_": {"ask", "always", "never"},
    "state_": {"looking", "ready", "unpaired", "down", "barred"},
    "advice_": {"ready", "unpaired", "down", "barred"},
    "stage_": {"invert", "tune", "choose", "search", "render"},
    "trouble_": None,  # those that the server has, or that are thrown here: others are told in the server's words
}


def used_keys() -> Iterator[tuple[str, Path]]:
    """Keys that are written out in the code."""
    for path, text in SOURCES.items():
        found = re.findall(r'data-(?:say|label)="(\w+)"', text)
        for call in re.findall(r"\bsay\(((?:[^()]|\([^()]*\))*)\)", text):
            # In a choice between two keys, what is compared is no key.
            found += re.findall(r"'(\w+)'", re.sub(r"[!=]==? '[^']*'", "", call.split(", ")[0]))
        yield from ((key, path) for key in found)
    yield from ((key, MANIFEST) for key in re.findall(r"__MSG_(\w+)__", MANIFEST.read_text("utf-8")))


def test_both_languages_have_the_same_words() -> None:
    english, german = words("en"), words("de")
    assert list(english) == list(german)
    for key, entry in english.items():
        assert entry.get("placeholders") == german[key].get("placeholders"), key
        for text in (entry["message"], german[key]["message"]):
            assert set(re.findall(r"\$(\w+)\$", text.lower())) == set(entry.get("placeholders", {})), key
            assert text.strip() == text != "", key


def test_german_is_german() -> None:
    english, german = words("en"), words("de")
    same = {key for key in english if english[key]["message"] == german[key]["message"]}
    assert same <= {"name", "look", "server_title"}, "not translated"


def test_every_word_that_is_used_exists() -> None:
    used = list(used_keys())
    assert len(used) > 100
    assert [(key, path) for key, path in used if key not in words("en")] == []


def test_every_word_that_exists_is_used() -> None:
    code = "\n".join(SOURCES.values())
    used = {key for key, _ in used_keys()} | set(re.findall(r"'(\w+)'", code))
    for prefix, kinds in VARIED.items():
        assert f"(`{prefix}${{" in code, f"nothing uses {prefix}"
        thrown = {*CODES, *re.findall(r"code: '(\w+)'", code)}
        used |= {prefix + kind for kind in (thrown if kinds is None else kinds)}
    assert set(words("en")) - used == set()


def test_every_word_that_is_put_together_exists() -> None:
    assert {prefix + kind for prefix, kinds in VARIED.items() for kind in kinds or ()} - set(words("en")) == set()

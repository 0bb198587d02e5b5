"""The page is paired, shows who else is, and is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from server.common.problems import CODES
from server.service.proofs import ROUNDS
from tests.support.live import Live, running, wait_for

from .conftest import Tab, Visit, number, on_loop, picture, script, state_is, status_of


def test_pairing_by_code(tmp_path: Path, visit: Visit) -> None:
    """With as many rounds of PBKDF2 as outside of tests."""
    with running(tmp_path, rounds=ROUNDS) as live:
        tab = visit(live).open(code="")
        code = live.server.code
        expect(tab.page.get_by_label("Code")).to_be_focused()
        tab.page.keyboard.type(code.lower())
        tab.page.keyboard.press("Enter")
        expect(tab.page.locator("#work")).to_be_visible()
        expect(tab.page.locator("#pairing")).to_be_hidden()
        expect(tab.page.get_by_label("Look")).to_be_focused()
        assert status_of(tab) == 200
        assert tab.page.url == f"{live.server.url}/"


def test_pairing_by_link_leaves_nothing_of_it_in_any_address(live: Live, visit: Visit) -> None:
    tab, code = visit(live), live.server.code
    tab.open(code=code)
    assert status_of(tab) == 200
    assert tab.page.url == f"{live.server.url}/"
    tab.send(script("echo"))
    state_is(tab.jobs, "Protected")
    addresses = [request.url for request in tab.requests] + [tab.page.url]
    # The browser itself asks for the page without what follows #; Playwright shows it with it.
    assert [url for url in addresses[1:] if code in url or number(tab) in url] == []
    asked = [request for request in tab.requests if not request.url.startswith("blob:")]
    assert [request.url for request in asked if "referer" in request.all_headers()] == []
    tab.page.reload()
    expect(tab.page.locator("#work")).to_be_visible()


def test_a_wrong_code_is_told_and_the_right_one_still_works(live: Live, visit: Visit) -> None:
    tab = visit(live).open(code="")
    tab.page.get_by_label("Code").fill("WRONG234")
    tab.page.get_by_role("button", name="Pair").click()
    expect(tab.page.get_by_role("alert").filter(has_text=CODES["bad_code"][1])).to_be_visible()
    assert number(tab) is None
    tab.page.get_by_label("Code").fill(live.server.code)
    tab.page.get_by_role("button", name="Pair").click()
    expect(tab.page.locator("#work")).to_be_visible()


def test_a_link_with_a_wrong_code_asks_for_the_right_one(live: Live, visit: Visit) -> None:
    tab = visit(live)
    tab.page.goto(f"{live.server.url}/#pair=WRONG234")
    expect(tab.page.locator("#pairing-problem")).to_have_text(CODES["bad_code"][1])
    assert tab.page.url == f"{live.server.url}/"
    tab.page.goto(f"{live.server.url}/#pair={live.server.code}")  # the same page: it does not load again
    expect(tab.page.locator("#work")).to_be_visible()


def test_a_paired_browser_stays_so_whatever_old_link_it_opens(tab: Tab) -> None:
    before, code = number(tab), tab.live.server.code
    for old in ("WRONG234", code):
        tab.page.goto("about:blank")
        tab.open(code=old)
        assert number(tab) == before
    assert tab.live.server.code == code, "a code was used up for nothing"
    tab.requests[:] = [request for request in tab.requests if request.url != "about:blank"]


def test_whoever_was_revoked_is_asked_for_a_code(tab: Tab) -> None:
    live = tab.live
    before = number(tab)
    on_loop(live, live.server.service.revoke, before)
    tab.send(script("echo"))
    expect(tab.page.locator("#pairing-problem")).to_have_text(CODES["unpaired"][1])
    tab.page.get_by_label("Code").fill(live.server.code)
    tab.page.keyboard.press("Enter")
    tab.jobs.get_by_role("button", name="Try again").click()
    state_is(tab.jobs, "Protected")
    assert number(tab) != before
    tab.forgive("401")


def test_the_list_of_clients_and_revoking_one(tab: Tab) -> None:
    tab.page.get_by_text("Paired browsers and programs").click()
    entries = tab.page.locator("#clients li")
    expect(entries).to_have_count(2)
    expect(entries.filter(has_text="(this browser)")).to_contain_text(tab.live.server.url)
    entries.filter(has_not_text="(this browser)").get_by_role("button", name="Revoke").click()
    expect(entries).to_have_count(1)
    assert tab.live.ask("GET", "/v1/status").code == "unpaired"
    assert status_of(tab) == 200


def test_what_an_older_version_left_is_told_and_goes(live: Live, visit: Visit) -> None:
    tab = visit(live).open(code="")
    tab.page.evaluate("localStorage.setItem('clip2protect-token', 'x'.repeat(43))")
    tab.page.reload()
    expect(tab.page.locator("#pairing-problem")).to_have_text(
        "An older version paired this browser: pair it anew"
    )
    tab.page.get_by_label("Code").fill(live.server.code)
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#work")).to_be_visible()
    assert tab.page.evaluate("Object.keys(localStorage)") == ["clip2protect-client"]
    sent = [request.headers.get("authorization", "") for request in tab.requests]
    assert [header for header in sent if "xxx" in header or header.startswith("Bearer")] == []


def test_no_page_can_read_the_keys_out(tab: Tab) -> None:
    keys = """async () => {
      const opening = indexedDB.open('clip2protect-client');
      await new Promise((done) => { opening.onsuccess = done; });
      const all = opening.result.transaction('keys').objectStore('keys').getAll();
      await new Promise((done) => { all.onsuccess = done; });
      const told = all.result.flatMap((each) => Object.values(each));
      const read = (key) => crypto.subtle.exportKey('raw', key).then(() => 'read', (error) => error.name);
      return Promise.all(told.map(async (key) => [key.usages.join(), await read(key)]));
    }"""
    expected = [["sign", "InvalidAccessError"], ["verify", "InvalidAccessError"]]
    assert sorted(tab.page.evaluate(keys)) == expected
    kept = tab.page.evaluate("JSON.stringify({ ...localStorage, ...sessionStorage })")
    assert tab.live.server.service.clients.get(number(tab)).secret not in kept


@pytest.mark.parametrize("how", ["Unpair this browser", "Revoke Web page (this browser)"])
def test_unpairing_this_browser_leaves_nothing_behind(tab: Tab, how: str) -> None:
    state_is(tab.send(picture()), "Protected")
    tab.send(script("slow 60", "slow.png"))
    slow = tab.until(1, "running")
    before = number(tab)
    tab.page.get_by_text("Paired browsers and programs").click()
    tab.page.get_by_role("button", name=how).click()
    expect(tab.page.locator("#pairing")).to_be_visible()
    expect(tab.jobs).to_have_count(0)
    assert tab.page.evaluate("localStorage.length") == 0
    assert tab.live.server.service.clients.get(before) is None
    wait_for(lambda: slow.state == "cancelled")
    assert tab.at_server()[0].result is None
    tab.page.reload()
    expect(tab.page.locator("#pairing")).to_be_visible()
    if any("401" in complaint for complaint in tab.complaints):  # it looked once more at the slow one
        tab.forgive("401")

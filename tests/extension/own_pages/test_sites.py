"""Sites are switched in the popup, in the settings and on the first page; what was protected lately."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.extension.conftest import HOST, Surf
from tests.support.live import wait_for

from .conftest import FIRST, OPTIONS, POPUP, Visit, sites, sites_are


def test_the_popup_switches_the_site_in_front_by_keyboard(surf: Surf, visit: Visit) -> None:
    page = visit(POPUP, front=surf.open("input.html"))
    assert page.get_by_role("group", name=HOST).is_visible()
    expect(page.get_by_label("Ask for every photo")).to_be_checked()
    page.focus("input[name=rule]:checked")
    page.keyboard.press("ArrowDown")
    wait_for(lambda: sites(surf) == {HOST: "always"})
    expect(page.locator("#stale")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    wait_for(lambda: sites(surf) == {HOST: "never"})
    expect(page.locator("#stale")).to_be_visible()  # our scripts are still in the page
    expect(page.locator("#refused")).to_be_empty()


def test_the_popup_reloads_the_page(surf: Surf, visit: Visit) -> None:
    surf.rule("never")
    front = surf.open("input.html")
    front.evaluate("window.old = true")
    page = visit(POPUP, front=front)
    page.evaluate("window.close = () => {}")
    page.get_by_label("Ask for every photo").click()
    page.get_by_role("button", name="Reload page").click()
    front.wait_for_function("!window.old")


@pytest.mark.parametrize("answer", [True, False])
def test_the_popup_asks_the_browser_within_the_click(surf: Surf, visit: Visit, answer: bool) -> None:
    surf.keep(sites={})
    page = visit(POPUP, front="https://www.example.com/a?b#c", answer=answer)
    page.get_by_label("Ask for every photo").click()
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
    expect(row).to_contain_text("has no access there yet")
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


def test_adding_a_site(surf: Surf, visit: Visit) -> None:
    """What people may type for a site: extension/unit/sites.test.js."""
    typed, site = "  https://www.Example.com:8080/a/b?c#d ", "example.com"
    surf.keep(sites={})
    page = visit(OPTIONS, answer=True)
    expect(page.locator("#none")).to_be_visible()
    page.get_by_label("Another site").fill(typed)
    page.keyboard.press("Enter")
    expect(page.get_by_role("rowheader", name=site)).to_be_visible()
    wait_for(lambda: sites(surf) == {site: "ask"})
    assert page.evaluate("asked") == [f"*://*.{site}/*"]
    expect(page.get_by_label("Another site")).to_have_value("")


def test_what_is_no_site_is_not_added(surf: Surf, visit: Visit) -> None:
    page = visit(OPTIONS, answer=True)
    page.get_by_label("Another site").fill("*.com")
    page.keyboard.press("Enter")
    expect(page.locator("#sites-problem")).to_contain_text("This is not the name of a site")
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
    wait_for(lambda: sites(surf) == {HOST: "always"})
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

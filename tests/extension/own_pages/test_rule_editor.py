"""Rules for kinds of photos are made, changed and removed."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.extension.conftest import HOST, Surf, choose

from .conftest import OPTIONS, Visit, enrol, enrolled, photo_rule, rules_are, sentences


@pytest.mark.parametrize("paired", [True, False])
def test_a_rule_is_made_by_keyboard_even_while_the_server_is_away(
    surf: Surf, visit: Visit, paired: bool
) -> None:
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
        ("Portraits (one face)", "", 1, 1, "Portraits (one face) on every site: subtle"),
        ("Photos with more than … faces", "1", 2, 0, "Photos with several faces on every site: subtle"),
        (
            "Photos with more than … faces",
            "99",
            100,
            0,
            "Photos with more than 99 faces on every site: subtle",
        ),
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


#: Site, number and level of a form, what is wrong with it, and the field that gets the focus.
MISTAKES = (
    ("com", "5", "strong", "This is not the name of a site", "rule-site"),
    ("", "0", "strong", "from 1 to 99", "rule-number"),
    ("", "100", "strong", "from 1 to 99", "rule-number"),
    ("", "2.5", "strong", "from 1 to 99", "rule-number"),
    ("", "", "strong", "from 1 to 99", "rule-number"),
    ("", "5", "", "Choose a strength or faces", "rule-level"),
)


def test_what_is_no_rule_is_not_kept_and_can_be_mended(surf: Surf, visit: Visit) -> None:
    page = visit(OPTIONS)
    page.click("#rule-new")
    page.select_option("#rule-kind", "more")
    for site, number, level, problem, field in MISTAKES:
        page.evaluate("document.getElementById('rules-problem').textContent = ''")
        page.fill("#rule-site", site)
        page.fill("#rule-number", number)
        page.select_option("#rule-level", level)
        page.press("#rule-number", "Enter")
        expect(page.get_by_role("alert").filter(has_text=problem)).to_be_visible()
        expect(page.locator(f"#{field}")).to_be_focused()
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
    expect(page.locator("#rules-problem")).to_have_text("This rule is already in the list.")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#rules-problem")).to_be_empty()
    page.get_by_role("button", name="Change: Any photo on every site: subtle").click()
    page.select_option("#rule-level", "strong")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#rules-problem")).to_have_text("This rule is already in the list.")
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
        rules=[
            photo_rule(HOST, faces="mine"),
            photo_rule("example.com", level="strong"),
            photo_rule(level="strong"),
        ],
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
    surf.live.server.service.enrolled.remove(enrolled(surf)[0])
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
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
    assert sorted((one["faces"], one["level"]) for one in settings) == [
        ("all", "balanced"),
        ("mine", "balanced"),
    ]
    [group] = [job for job in surf.live.server.service.jobs if job.settings["faces"] == "mine"]
    assert len(group.owner) == 1

"""The user's own face: photos that teach it come and go, and it alone can be protected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import FilePayload, Locator, expect

from server.common.enrolled import MOST
from server.common.problems import CODES
from tests.support.chooser import file_chooser
from tests.support.live import running

from .conftest import Tab, Visit, picture, script, state_is, tab_to

MINE = "#faces [value=mine]"


def opened(tab: Tab) -> Locator:
    """The card, open; its list has been asked for."""
    with tab.page.expect_response("**/v1/owner"):
        tab.page.get_by_text("Your face", exact=True).click()
    return tab.page.locator("#owner")


def add(tab: Tab, *photos: FilePayload) -> None:
    tab.page.set_input_files("#owner-files", list(photos))


def listed(tab: Tab) -> list[Any]:
    """What the server has."""
    return tab.live.ask("GET", "/v1/owner").json["photos"]


def test_photos_are_added_listed_and_removed(tab: Tab) -> None:
    card = opened(tab)
    with file_chooser(tab.page) as chooser:
        card.get_by_role("button", name="Add photos of yourself").click()
    assert chooser.value.is_multiple()
    chooser.value.set_files([script("1", "grandmother.png"), script("22", "garden.png")])
    expect(card.get_by_role("status")).to_have_text("2 of 2 photos were added.")
    entries = card.get_by_role("listitem")
    expect(entries).to_have_count(2)
    year = tab.page.evaluate("new Date().getFullYear()")
    expect(entries.first).to_contain_text(f"{year}")
    first, second = tab.live.server.service.enrolled.photos()
    assert [first.embeddings, second.embeddings] == [{"scripted": [1]}, {"scripted": [2]}], (
        "their sizes, in order"
    )
    card.get_by_role("button", name="Remove Photo 1").click()
    expect(entries).to_have_count(1)
    assert [photo["id"] for photo in listed(tab)] == [second.id]
    expect(card.locator("summary")).to_be_focused()
    told = [
        f"{request.url} {request.all_headers()}" for request in tab.requests if "/v1/owner" in request.url
    ]
    assert [text for text in told if "grandmother" in text or "garden" in text] == []


def test_only_mine_can_be_chosen_while_a_photo_teaches_it(tab: Tab) -> None:
    faces, hint = tab.page.get_by_label("Faces", exact=True), tab.page.locator("#faces-hint")
    expect(faces).to_have_accessible_description(
        "“Only mine” needs a photo of you: add one under “Your face” below."
    )
    expect(tab.page.locator(MINE)).to_be_disabled()
    card = opened(tab)
    add(tab, script("me"))
    expect(card.get_by_role("status")).to_have_text("1 of 1 photo was added.")
    expect(hint).to_be_hidden()
    faces.select_option("mine")
    state_is(tab.send(picture(name="mine.webp")), "Protected")
    expect(tab.job("mine.webp").locator(".asked")).to_have_text("A natural look, balanced, only my face")
    card.get_by_role("button", name="Remove").click()
    expect(card.get_by_role("status")).to_have_text(
        "No photo of you is left: all faces are protected from now on."
    )
    expect(hint).to_be_visible()
    expect(tab.page.locator(MINE)).to_be_disabled()
    state_is(tab.send(picture(name="all.webp")), "Protected")
    faces.select_option("largest")
    state_is(tab.send(picture(name="largest.webp")), "Protected")
    assert [job.settings["faces"] for job in tab.at_server()] == ["mine", "all", "largest"]


def test_what_was_enrolled_elsewhere_is_seen_when_the_page_or_the_card_is_opened(tab: Tab) -> None:
    expect(tab.page.locator(MINE)).to_be_disabled()
    tab.live.ask("POST", "/v1/owner", b"me", Content_Type="image/png")
    card = opened(tab)
    expect(card.get_by_role("listitem")).to_have_count(1)
    expect(tab.page.locator(MINE)).to_be_enabled()
    tab.page.reload()
    expect(tab.page.locator("#work")).to_be_visible()
    expect(tab.page.locator(MINE)).to_be_enabled()


def test_it_is_told_which_photo_is_being_looked_at(tab: Tab) -> None:
    place = tab.send(script("slow 120"))
    tab.until(0, "running")
    card = opened(tab)
    add(tab, script("1", "a.png"), script("2", "b.png"))
    expect(card.get_by_role("status")).to_have_text("Looking at a.png, 1 of 2")
    add(tab, script("3", "c.png"))  # the next lot waits for its turn
    place.get_by_role("button", name="Cancel").click()
    expect(card.get_by_role("status")).to_have_text("1 of 1 photo was added.")
    expect(card.get_by_role("listitem")).to_have_count(3)


def test_photos_that_teach_nothing_are_told_one_by_one_and_the_others_count(tab: Tab) -> None:
    card = opened(tab)
    notes = FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"notes")
    add(tab, script("no face", "beach.png"), notes, script("me", "me.png"), script("no face", "sea.png"))
    expect(card.get_by_role("status")).to_have_text("1 of 4 photos were added.")
    lines = card.get_by_role("alert").inner_text().splitlines()
    other = "notes.txt: Only JPEG, PNG and WebP photos can be used"
    assert lines == ["beach.png: no face was found", other, "sea.png: no face was found"]
    assert len(listed(tab)) == 1
    add(tab, script("me too"))
    expect(card.get_by_role("status")).to_have_text("1 of 1 photo was added.")
    expect(card.get_by_role("alert")).to_have_count(0)
    tab.forgive("422")


def test_when_there_are_enough_no_further_photo_is_sent(tab: Tab) -> None:
    for number in range(MOST):
        tab.live.ask("POST", "/v1/owner", b"%d" % number, Content_Type="image/png")
    card = opened(tab)
    add(tab, script("one more", "a.png"), script("another", "b.png"))
    expect(card.get_by_role("status")).to_have_text("0 of 2 photos were added.")
    expect(card.get_by_role("alert")).to_contain_text(f"a.png: {CODES['too_many_enrolled'][1]}")
    assert [request.method for request in tab.requests if request.url.endswith("/v1/owner")].count(
        "POST"
    ) == 1
    tab.forgive("409")


def test_a_list_that_cannot_be_read_is_told_and_the_rest_works(tmp_path: Path, visit: Visit) -> None:
    with running(tmp_path) as live:
        tab = visit(live).open()
        (tmp_path / "owner.json").write_text('[{"odd": 1}]')
        tab.page.reload()
        expect(tab.page.locator("#work")).to_be_visible()
        state_is(tab.send(picture()), "Protected")
        expect(opened(tab).get_by_role("alert")).to_have_text(CODES["owner_unusable"][1])
        tab.forgive("409")


def test_whoever_unpairs_leaves_no_name_of_a_photo_behind(tab: Tab) -> None:
    other = tab.live.send(b"slow 120")  # another client's photo holds the worker
    tab.live.until(other, "running")
    card = opened(tab)
    add(tab, script("1", "grandmother.png"), script("2", "grandmother.png"))
    expect(card.get_by_role("status")).to_contain_text("Looking at grandmother.png")
    tab.page.get_by_text("Paired browsers and programs").click()
    tab.page.get_by_role("button", name="Unpair this browser").click()
    expect(tab.page.locator("#pairing")).to_be_visible()
    # The photo that is at the server is looked at, and then the page hears that it is no longer paired.
    with tab.page.expect_response(lambda answer: answer.url.endswith("/v1/owner")):
        assert tab.live.ask("DELETE", f"/v1/jobs/{other}", X_Clip2Protect="1").status == 204
    tab.page.evaluate(
        "fetch('/v1/health').then((answer) => answer.text())"
    )  # whatever it writes it has written
    assert "grandmother" not in tab.page.locator("body").text_content()
    tab.page.get_by_label("Code").fill(tab.live.server.code)
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator(MINE)).to_be_enabled()
    expect(card).not_to_have_attribute("open", "")


def test_by_keyboard_alone(tab: Tab, tmp_path: Path) -> None:
    photo = tmp_path / "me.webp"
    photo.write_bytes(picture()["buffer"])
    page, card = tab.page, tab.page.locator("#owner")
    page.get_by_label("Look").focus()
    tab_to(page, card.locator("summary"))
    page.keyboard.press("Enter")
    tab_to(page, card.get_by_role("button", name="Add photos of yourself"))
    with file_chooser(page) as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(photo)
    expect(card.get_by_role("listitem")).to_have_count(1)
    tab_to(page, page.get_by_label("Faces", exact=True))
    page.keyboard.type("Only")
    expect(page.get_by_label("Faces", exact=True)).to_have_value("mine")
    tab_to(page, card.get_by_role("button", name="Remove Photo 1"))
    page.keyboard.press("Enter")
    expect(card.get_by_role("listitem")).to_have_count(0)
    expect(page.get_by_label("Faces", exact=True)).to_have_value("all")

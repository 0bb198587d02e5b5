"""Photos that teach the server the user's face come and go."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from server.common.enrolled import MOST
from tests.extension.conftest import Surf, choose
from tests.support.chooser import file_chooser

from .conftest import HELD, OPTIONS, Visit, enrol, enrolled, state


def test_photos_of_the_owner_are_learnt(surf: Surf, visit: Visit) -> None:
    page = visit(OPTIONS)
    mine = page.locator("#faces option[value=mine]")
    expect(page.get_by_text("No photo yet")).to_be_visible()
    expect(mine).to_be_disabled()
    with file_chooser(page) as chooser:
        page.press("#owner-add", "Enter")
    assert chooser.value.is_multiple()
    chooser.value.set_files([surf.photo(name).path for name in ("one.png", "two.jpg")])
    expect(page.locator("#owner-news")).to_have_text("Photos added: 2 of 2.")
    expect(page.locator("#owner-problem")).to_be_empty()
    rows = page.locator("#owner-photos li")
    today = page.evaluate("new Intl.DateTimeFormat('en', { dateStyle: 'long' }).format()")
    expect(rows).to_contain_text([f"Photo 1, added {today} at", f"Photo 2, added {today} at"])
    expect(page.locator("#owner-none")).to_be_hidden()
    expect(mine).to_be_enabled()
    expect(page.locator("#owner-add")).to_be_focused()
    assert len(enrolled(surf)) == 2


def test_photos_of_the_owner_are_removed_on_the_servers_page(surf: Surf, visit: Visit) -> None:
    """No paired client may forget the owner but the server's own page, to which a link leads."""
    enrol(surf)
    page = visit(OPTIONS)
    rows, link = (page.locator("#owner-photos li"), page.get_by_role("button", name="Remove photos on"))
    expect(rows).to_have_count(1)
    assert page.locator("#owner-photos button").count() == 0
    with surf.context.expect_page() as opened:
        link.press("Enter")
    own = opened.value
    own.fill("#code", surf.live.server.code)
    own.keyboard.press("Enter")
    own.get_by_text("Your face", exact=True).click()
    own.get_by_role("button", name="Remove Photo 1").click()
    expect(own.locator("#owner-photos li")).to_have_count(0)
    assert enrolled(surf) == []
    own.close()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as for one who comes back
    expect(page.get_by_text("No photo yet")).to_be_visible()
    expect(link).to_be_hidden()
    expect(page.locator("#faces option[value=mine]")).to_be_disabled()


@pytest.mark.parametrize(
    ("locale", "news", "no_face", "unreadable"),
    [
        ("en", "Photos added: 1 of 4.", "No face was found in b.png, c.png. Use", "Not readable: d.txt. Use"),
        (
            "de",
            "Hinzugefügte Fotos: 1 von 4.",
            "Kein Gesicht gefunden in b.png, c.png. Nehmen",
            "Nicht lesbar: d.txt. Nehmen",
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
    expect(page.locator("#owner-news")).to_have_text("Reading photo 1 of 2…")
    expect(page.locator("#owner-add")).to_have_attribute("aria-disabled", "true")
    assert enrolled(surf) == []
    page.evaluate(
        "document.getElementById('owner-files').addEventListener('click', () => { globalThis.again = true; })"
    )
    page.press("#owner-add", "Enter")
    assert not page.evaluate("globalThis.again"), "one choice after the other"
    page.evaluate("go()")
    expect(page.locator("#owner-news")).to_have_text("Reading photo 2 of 2…")
    page.evaluate("go()")
    expect(page.locator("#owner-news")).to_have_text("Photos added: 2 of 2.")
    expect(page.locator("#owner-add")).to_have_attribute("aria-disabled", "false")


def test_there_is_an_end_to_what_is_learnt(surf: Surf, visit: Visit) -> None:
    for _ in range(MOST - 1):
        enrol(surf)
    page = visit(OPTIONS)
    page.evaluate(HELD)
    choose(page, "#owner-add", *(surf.photo() for _ in range(3)))
    for number in (1, 2):  # the third is not sent
        expect(page.locator("#owner-news")).to_have_text(f"Reading photo {number} of 3…")
        page.evaluate("go()")
    expect(page.locator("#owner-news")).to_have_text("Photos added: 1 of 3.")
    expect(page.locator("#owner-problem")).to_contain_text("The server has enough photos of you. Remove one")
    expect(page.locator("#owner-photos li")).to_have_count(MOST)


def test_a_server_that_is_gone_learns_nothing(surf: Surf, visit: Visit) -> None:
    enrol(surf)
    page = visit(OPTIONS)
    expect(page.locator("#owner-photos li")).to_have_count(1)
    surf.keep(server={**surf.stored("local", "server"), "address": "http://127.0.0.1:9"})
    choose(page, "#owner-add", surf.photo("a.png"), surf.photo("b.png"))
    expect(page.locator("#owner-problem")).to_have_text(
        "The server is no longer ready. Try again when it is."
    )
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

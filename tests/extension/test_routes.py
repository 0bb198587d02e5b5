"""Every way on which sites take photos: the protected photo arrives under the name it had, and nothing else does."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.extension.conftest import Surf


def test_a_plain_form(surf: Surf) -> None:
    page, photo = surf.open("form.html"), surf.photo("me.jpg")
    page.set_input_files("input", photo.path)
    surf.protect(page)
    page.click("button")
    surf.gets(page, ("me.jpg", "image/jpeg", photo.protected))


def test_a_plain_form_that_is_sent_while_the_dialog_is_open_sends_nothing(surf: Surf) -> None:
    page = surf.open("form.html")
    page.set_input_files("input", surf.photo("me.jpg").path)
    surf.dialog(page)
    page.evaluate("document.forms[0].submit()")
    page.wait_for_load_state()
    page.wait_for_timeout(300)
    assert all(not file.data for file in surf.site.arrived)


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "untrusted"])
@pytest.mark.parametrize("name", ["me.jpg", "me.jpeg", "me.png", "me.webp", "Bild von mir.v2.PNG"])
def test_an_input(surf: Surf, trusted: bool, name: str) -> None:
    page, photo = surf.open("input.html"), surf.photo(name)
    kind = {"jpg": "image/jpeg", "peg": "image/jpeg", "ebp": "image/webp"}.get(name[-3:], "image/png")
    page.set_input_files("#one", photo.path if trusted else {"name": name, "mimeType": kind, "buffer": photo.data})
    surf.gets_nothing(page, 100)
    surf.protect(page)
    surf.gets(page, (name, kind, photo.protected))
    assert page.text_content("#state") == "nothing yet input:1 change:1"


def choose(page: Page, button: str, *photos: object) -> None:
    with page.expect_file_chooser() as chooser:
        page.click(button)
    chooser.value.set_files([photo.path for photo in photos])  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", ["listener", "property", "capture", "dispatched", "picker", "label", "parent", "markup"])
def test_a_detached_input(surf: Surf, how: str) -> None:
    page, photo = surf.open("detached.html"), surf.photo()
    choose(page, f"#{how}", photo)
    surf.gets_nothing(page, 100)
    surf.protect(page)
    surf.gets(page, ("me.png", "image/png", photo.protected))

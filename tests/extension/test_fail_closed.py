"""Whatever fails, the page gets nothing; the user can try again, give up, or send the original."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Frame, Page

from tests.extension.conftest import Photo, Serve, Surf, drop
from tests.support.live import running, wait_for


def stop(surf: Surf) -> None:
    asyncio.run_coroutine_threadsafe(surf.live.server.stop(), surf.live.loop).result(30)


def pick(surf: Surf, **options: str) -> tuple[Page, Photo, Frame]:
    page, photo = surf.open("input.html"), surf.photo(**options)
    page.set_input_files("#one", photo.path)
    return page, photo, surf.dialog(page)


def trouble(dialog: Frame, words: str) -> None:
    dialog.wait_for_selector(f"#trouble:not([hidden]) >> text={words}")
    assert dialog.is_visible("#retry") and dialog.is_visible("#cancel") and dialog.is_visible("#originals")


def cancel(surf: Surf, page: Page, dialog: Frame) -> None:
    surf.press(dialog, "#cancel")
    wait_for(lambda: page.evaluate("0") == 0 and not surf.dialogs(page))
    surf.gets_nothing(page)
    assert page.text_content("#state") == "nothing yet cancel:0"


def test_the_server_is_down_and_comes_back(surf: Surf, tmp_path: Path) -> None:
    stop(surf)
    page, photo, dialog = pick(surf)
    trouble(dialog, "does not answer")
    surf.gets_nothing(page)
    (tmp_path / "again").mkdir()
    with running(tmp_path / "again", "--marked") as again:
        surf.live = again
        surf.keep(server={"address": f"http://127.0.0.1:{again.port}", "token": "", "client": ""})
        surf.pair()
        surf.press(dialog, "#retry")
        surf.protect(page)
        surf.gets(page, ("me.png", "image/png", photo.protected))


def test_the_server_is_down_and_the_user_gives_up(surf: Surf) -> None:
    stop(surf)
    page, _, dialog = pick(surf)
    trouble(dialog, "does not answer")
    cancel(surf, page, dialog)


def test_the_original_goes_only_after_a_second_confirmation(surf: Surf) -> None:
    stop(surf)
    page, photo, dialog = pick(surf)
    trouble(dialog, "does not answer")
    assert dialog.is_hidden("#originals-yes")
    surf.press(dialog, "#originals")
    surf.gets_nothing(page)
    dialog.click("#originals-no")
    assert dialog.is_hidden("#originals-yes")
    surf.gets_nothing(page)
    dialog.click("#originals")
    dialog.click("#originals-yes")
    surf.gets(page, ("me.png", "image/png", photo.data))


def test_the_server_stops_mid_job(surf: Surf) -> None:
    page, _, dialog = pick(surf, do="slow 60")
    dialog.wait_for_selector("text=Searching")
    stop(surf)
    dialog.wait_for_selector("#trouble:not([hidden])")
    cancel(surf, page, dialog)


def test_a_server_that_takes_a_call_and_says_nothing(surf: Surf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = surf.stored("local", "server")
        surf.keep(server=server | {"address": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        page, _, dialog = pick(surf)
        dialog.wait_for_selector("#trouble:not([hidden])")
        cancel(surf, page, dialog)


def test_an_address_that_is_not_this_machine_is_never_asked(surf: Surf) -> None:
    """Which addresses are elsewhere: extension/unit/sites.test.js."""
    surf.keep(server=surf.stored("local", "server") | {"address": "http://127.0.0.1.example.org"})
    page, _, dialog = pick(surf)
    trouble(dialog, "must be on this machine")
    cancel(surf, page, dialog)


def test_unpaired_and_paired_in_the_dialog(serve: Serve) -> None:
    surf = serve(pair=False)
    page, photo, dialog = pick(surf)
    trouble(dialog, "not paired")
    surf.gets_nothing(page)
    dialog.fill("#code", "WRONGONE")
    surf.press(dialog, "#pairing button")
    dialog.wait_for_selector("text=wrong or too old")
    dialog.fill("#code", surf.live.server.code)
    dialog.click("#pairing button")
    surf.protect(page)
    surf.gets(page, ("me.png", "image/png", photo.protected))


def test_revoked_while_it_works(surf: Surf) -> None:
    page, _, dialog = pick(surf, do="slow 60")
    dialog.wait_for_selector("text=Working")
    client = surf.stored("local", "server")["client"]
    surf.live.loop.call_soon_threadsafe(surf.live.server.service.revoke, client)
    trouble(dialog, "not paired")
    cancel(surf, page, dialog)


@pytest.mark.parametrize(("do", "words"), [("die", "failed on this photo"), ("hang", "It took too long")])
def test_a_photo_that_fails(serve: Serve, do: str, words: str) -> None:
    surf = serve(job_seconds=1.0 if do == "hang" else 60.0)
    page, photo, dialog = pick(surf, do=do)
    dialog.wait_for_selector(f".failed .problem >> text={words}")
    assert dialog.is_visible(".again") and dialog.is_disabled("#use")
    surf.gets_nothing(page)
    surf.press(dialog, ".original")
    assert dialog.is_disabled("#use")
    dialog.click(".yes")
    assert dialog.text_content("#use") == "Upload unchanged"
    dialog.click("#use")
    surf.gets(page, ("me.png", "image/png", photo.data))


def test_kinds_that_cannot_be_protected(surf: Surf) -> None:
    """Which files are photos: extension/unit/photo-files.test.js."""
    page = surf.open("input.html")
    page.set_input_files("#one", surf.photo("me.heic", data=b"GIF89a" + os.urandom(50)).path)
    dialog = surf.dialog(page)
    dialog.wait_for_selector(".unread .problem >> text=kind of photo")
    cancel(surf, page, dialog)


def test_a_photo_without_an_ending_is_known_by_its_bytes(surf: Surf) -> None:
    page, photo = surf.open("input.html"), surf.photo("IMG_2041")
    page.set_input_files("#one", photo.path)
    dialog = surf.dialog(page)
    cancel(surf, page, dialog)


@pytest.mark.parametrize("name", ["notes.txt", "README", "drawing.svg"])
def test_other_files_pass_untouched_and_at_once(surf: Surf, name: str) -> None:
    page, file = surf.open("input.html"), surf.photo(name, data=b"<svg/> no photo at all")
    page.set_input_files("#one", file.path)
    wait_for(lambda: page.evaluate("0") == 0 and surf.site.arrived)
    assert [(f.name, f.data) for f in surf.site.arrived] == [(name, file.data)]
    assert surf.dialogs(page) == []


@pytest.mark.parametrize(
    "how",
    [
        lambda surf, page, dialog: surf.press(dialog, "#cancel"),
        lambda surf, page, dialog: (dialog.focus("#look"), page.keyboard.press("Escape")),
        lambda surf, page, dialog: page.evaluate("document.documentElement.lastElementChild.remove()"),
    ],
    ids=["cancel", "escape", "page-removes-it"],
)
def test_giving_up_mid_job_ends_it_at_the_server(
    surf: Surf, how: Callable[[Surf, Page, Frame], object]
) -> None:
    page, photo, dialog = pick(surf, do="slow 60")
    [job] = wait_for(lambda: page.evaluate("0") == 0 and list(surf.live.server.service.jobs))
    wait_for(lambda: page.evaluate("0") == 0 and job.state == "running")
    how(surf, page, dialog)
    wait_for(lambda: page.evaluate("0") == 0 and job.state == "cancelled")
    surf.gets_nothing(page)
    assert page.text_content("#state") == "nothing yet cancel:0"
    assert surf.stored("session", "jobs") == {} and surf.stored("session", "tickets") == {}
    page.set_input_files("#one", photo.path)  # the same photo can be chosen again
    surf.dialog(page)


def test_a_tab_that_is_closed_mid_job(surf: Surf) -> None:
    page, _, _ = pick(surf, do="slow 60")
    [job] = wait_for(lambda: page.evaluate("0") == 0 and list(surf.live.server.service.jobs))
    page.close()
    wait_for(lambda: surf.control.evaluate("0") == 0 and job.state == "cancelled")
    assert surf.site.arrived == []


def test_a_drop_that_was_cancelled(surf: Surf) -> None:
    page = surf.open("drop.html")
    drop(page, "#zone", surf.photo())
    dialog = surf.dialog(page)
    assert page.get_attribute("#zone", "class") == "over"
    surf.press(dialog, "#cancel")
    wait_for(lambda: page.evaluate("0") == 0 and page.get_attribute("#zone", "class") == "")
    surf.gets_nothing(page)


def test_a_site_that_is_off_gets_no_script(surf: Surf) -> None:
    surf.rule("never")
    page, photo = surf.open("input.html"), surf.photo()
    assert "native code" in page.evaluate("HTMLElement.prototype.click.toString()")
    page.set_input_files("#one", photo.path)
    surf.gets(page, ("me.png", "image/png", photo.data))
    scripts = surf.control.evaluate("chrome.scripting.getRegisteredContentScripts()")
    assert scripts == []

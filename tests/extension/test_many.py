"""Batches, large photos, several tabs, rules, and a background that ends at any time."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page

from tests.extension.conftest import HOST, Serve, Surf, drop
from tests.support.live import wait_for


def kill(surf: Surf, page: Page) -> None:
    """End the service worker, as the browser does when it wants its memory back."""
    session = page.context.new_cdp_session(surf.control)
    session.send("ServiceWorker.enable")
    session.send("ServiceWorker.stopAllWorkers")
    session.detach()


def test_twenty_at_once_in_their_order(surf: Surf) -> None:
    page, photos = surf.open("input.html"), [surf.photo(f"{i}.png") for i in range(20)]
    page.set_input_files("#many", [photo.path for photo in photos])
    dialog = surf.dialog(page)
    assert dialog.locator(".photo").count() == 20
    dialog.wait_for_selector("#use:enabled")
    assert dialog.text_content("#sum") == "20 of 20 photos ready"
    dialog.click("#use")
    surf.gets(page, *[(photo.name, "image/png", photo.protected) for photo in photos])
    assert surf.stored("session", "jobs") == {}


def test_each_photo_has_its_own_decision_and_other_files_keep_their_place(surf: Surf) -> None:
    page = surf.open("input.html")
    one, two, three, four = (
        surf.photo("1.jpg"),
        surf.photo("2.jpg", do="die"),
        surf.photo("3.jpg"),
        surf.photo("4.jpg"),
    )
    text = surf.photo("notes.txt", data=b"notes")
    page.set_input_files("#many", [p.path for p in (one, text, two, three, four)])
    dialog = surf.dialog(page)
    cards = dialog.locator(".photo")
    assert cards.count() == 4
    cards.nth(1).locator(".problem >> text=failed on this photo").wait_for()
    cards.nth(3).locator(".state >> text=Protected").wait_for()
    assert dialog.is_disabled("#use")
    cards.nth(1).locator(".skip").click()
    cards.nth(2).locator(".original").click()
    cards.nth(2).locator(".yes").click()
    dialog.click("#use")
    jpeg = "image/jpeg"
    photos = [("3.jpg", jpeg, three.data), ("4.jpg", jpeg, four.protected)]
    surf.gets(page, ("1.jpg", jpeg, one.protected), ("notes.txt", "text/plain", b"notes"), *photos)


def test_all_left_out_is_as_good_as_cancelled(surf: Surf) -> None:
    page = surf.open("input.html")
    page.set_input_files("#one", surf.photo().path)
    dialog = surf.dialog(page)
    surf.press(dialog, ".skip")
    assert dialog.is_disabled("#use")


def test_a_large_photo(surf: Surf) -> None:
    page = surf.open("input.html")
    small = surf.photo("small.jpg")
    photo = surf.photo("large.jpg", data=small.data + b"\0" * (40 << 20))
    page.set_input_files("#one", photo.path)
    surf.protect(page)
    wait_for(lambda: page.evaluate("0") == 0 and surf.site.arrived)
    [file] = surf.site.arrived
    assert (file.name, file.kind, file.data == photo.protected) == ("large.jpg", "image/jpeg", True)


def test_the_same_file_twice(surf: Surf) -> None:
    page, photo = surf.open("input.html"), surf.photo()
    for count in (1, 2):
        page.set_input_files("#one", photo.path)
        surf.protect(page)
        surf.gets(page, *[("me.png", "image/png", photo.protected)] * count)


@pytest.mark.parametrize("moment", ["before", "working"])
def test_a_background_that_is_ended(surf: Surf, moment: str) -> None:
    surf.keep(habits={"begin": False})
    page, photo = surf.open("input.html"), surf.photo(do="slow 3")
    page.set_input_files("#one", photo.path)
    dialog = surf.dialog(page)
    dialog.wait_for_selector("#start:enabled")
    if moment == "before":
        kill(surf, page)
    surf.press(dialog, "#start")
    if moment == "working":
        dialog.wait_for_selector("text=Searching")
        kill(surf, page)
        dialog.wait_for_timeout(700)
        kill(surf, page)
    dialog.wait_for_selector("#use:enabled")
    dialog.click("#use")
    surf.gets(page, ("me.png", "image/png", photo.protected))
    assert len(list(surf.live.server.service.jobs)) == 1


def test_a_tab_that_is_closed_when_the_background_was_ended(surf: Surf) -> None:
    page, photo = surf.open("input.html"), surf.photo(do="slow 60")
    page.set_input_files("#one", photo.path)
    dialog = surf.dialog(page)
    dialog.wait_for_selector("text=Searching")
    [job] = list(surf.live.server.service.jobs)
    kill(surf, page)
    page.close()
    wait_for(lambda: surf.control.evaluate("0") == 0 and job.state == "cancelled")
    assert surf.site.arrived == []


def test_two_tabs_at_once(surf: Surf) -> None:
    first, second = surf.open("input.html"), surf.open("drop.html")
    one, two = surf.photo("one.png", do="slow 1"), surf.photo("two.png", do="slow 1")
    first.bring_to_front()
    first.set_input_files("#one", one.path)
    surf.dialog(first)
    second.bring_to_front()
    drop(second, "#zone", two)
    surf.protect(second)
    surf.gets(second, ("two.png", "image/png", two.protected))
    first.bring_to_front()
    dialog = surf.dialog(first)
    dialog.wait_for_selector("#use:enabled")
    surf.press(dialog, "#use")
    wait_for(lambda: first.evaluate("0") == 0 and len(surf.site.arrived) == 2)
    assert surf.site.arrived[1].data == one.protected


def test_always_protects_without_a_question(serve: Serve) -> None:
    surf = serve(rule="always")
    page, photo = surf.open("input.html"), surf.photo()
    page.set_input_files("#one", photo.path)
    surf.gets(page, ("me.png", "image/png", photo.protected))


def test_always_never_means_the_original(serve: Serve) -> None:
    surf = serve(rule="always")
    page = surf.open("input.html")
    page.set_input_files("#one", surf.photo(do="die").path)
    surf.dialog(page).wait_for_selector(".problem >> text=failed on this photo")
    surf.gets_nothing(page)


def test_choices_are_remembered_for_the_site_and_reach_the_server(serve: Serve) -> None:
    surf = serve(begin=False)
    page = surf.open("input.html")
    for look, level in (("goth", "strong"), ("(own)", "subtle")):
        page.set_input_files("#one", surf.photo().path)
        dialog = surf.dialog(page)
        dialog.wait_for_selector("#start:enabled")
        dialog.select_option("#look", look)
        dialog.select_option("#level", level)
        if look == "(own)":
            dialog.fill("#prompt", "a woman with green lipstick")
        surf.protect(page)
    settings = [job.settings for job in surf.live.server.service.jobs]
    assert [s["level"] for s in settings] == ["strong", "subtle"]
    assert settings[1]["prompt"] == "a woman with green lipstick" and "goth" in settings[0]["prompt"].lower()
    assert surf.stored("local", "choices") == {
        HOST: {"prompt": "a woman with green lipstick", "level": "subtle", "faces": "all"}
    }
    page.set_input_files("#one", surf.photo().path)
    dialog = surf.dialog(page)
    dialog.wait_for_selector("#start:enabled")
    assert dialog.input_value("#prompt") == "a woman with green lipstick"
    assert dialog.input_value("#level") == "subtle"


def test_protecting_again_with_another_look(serve: Serve) -> None:
    surf = serve(begin=False)
    page, photo = surf.open("input.html"), surf.photo()
    page.set_input_files("#one", photo.path)
    dialog = surf.dialog(page)
    surf.press(dialog, "#start")
    dialog.wait_for_selector("#use:enabled")
    dialog.select_option("#level", "strong")
    assert dialog.is_disabled("#use") and dialog.text_content("#start") == "Protect again"
    dialog.click("#start")
    dialog.wait_for_selector("#use:enabled")
    dialog.click("#use")
    surf.gets(page, ("me.png", "image/png", photo.protected))
    assert [job.settings["level"] for job in surf.live.server.service.jobs] == ["balanced", "strong"]


def test_what_is_kept_has_no_name_and_no_pixel(surf: Surf) -> None:
    page, photo = surf.open("input.html"), surf.photo("my-secret-name.png")
    page.set_input_files("#one", photo.path)
    surf.protect(page)
    surf.gets(page, ("my-secret-name.png", "image/png", photo.protected))
    kept = surf.control.evaluate("Promise.all([chrome.storage.local.get(), chrome.storage.session.get()])")
    assert "my-secret" not in json.dumps(kept)
    [last] = surf.tell({"type": "last"})["ok"]
    assert {key: last[key] for key in ("host", "faces", "before", "after", "recognisers")} == {
        "host": HOST, "faces": 1, "before": 3, "after": 1, "recognisers": 3,
    }  # fmt: skip


def test_the_badge_says_how_it_stands(surf: Surf) -> None:
    page = surf.open("input.html")
    badge = """async (url) => {
      const [tab] = await chrome.tabs.query({ url });
      return chrome.action.getBadgeText({ tabId: tab.id });
    }"""

    def shows(text: str) -> None:
        wait_for(lambda: surf.control.evaluate(badge, page.url) == text)

    shows("on")
    server = surf.stored("local", "server")
    surf.keep(server=server | {"secret": "", "token": "of an older version"})
    assert surf.tell({"type": "looks"})["trouble"]["code"] == "pair_anew"
    shows("?")
    surf.keep(server=server)
    assert "ok" in surf.tell({"type": "looks"})
    shows("on")
    surf.keep(server=server | {"address": f"http://127.0.0.1:{surf.site.port}"})  # no server of ours
    assert surf.tell({"type": "looks"})["trouble"]["code"] == "other"
    shows("!")
    surf.keep(server=server)
    surf.tell({"type": "unpair"})
    page.bring_to_front()
    assert surf.tell({"type": "status"})["ok"]["state"] == "unpaired"
    shows("?")
    surf.rule("never")
    page.reload()
    shows("")


def test_hosts_below_a_site_follow_the_nearest_rule(surf: Surf) -> None:
    surf.keep(sites={"site.localhost": "ask", "a.site.localhost": "always", "off.site.localhost": "never"})

    def scripts() -> list[tuple[str, list[str], list[str]]]:
        found = surf.control.evaluate("chrome.scripting.getRegisteredContentScripts()")
        return sorted((one["id"], one["matches"], one.get("excludeMatches", [])) for one in found)

    where = (["*://*.site.localhost/*"], ["*://*.off.site.localhost/*"])
    wait_for(lambda: scripts() == [("catch site.localhost", *where), ("hook site.localhost", *where)])
    page, photo = surf.open("input.html", "a.site.localhost"), surf.photo()
    page.set_input_files("#one", photo.path)
    surf.gets(page, ("me.png", "image/png", photo.protected))  # always: without a question
    surf.site.arrived.clear()
    page, photo = surf.open("input.html", "off.site.localhost"), surf.photo()
    page.set_input_files("#one", photo.path)
    surf.gets(page, ("me.png", "image/png", photo.data))

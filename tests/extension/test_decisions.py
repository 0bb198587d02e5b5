"""What was decided and chosen for a photo is what becomes of it, however the rest of the upload goes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.sync_api import Frame, Page

from tests.extension.conftest import HOST, Photo, Serve, Surf
from tests.support.live import running, wait_for


@pytest.fixture
def surf(serve: Serve) -> Surf:
    """Photos wait for a press: what is chosen before it counts."""
    return serve(begin=False)


def pick(surf: Surf, *photos: Photo) -> tuple[Page, Frame]:
    page = surf.open("input.html")
    page.set_input_files("#many", [photo.path for photo in photos])
    dialog = surf.dialog(page)
    dialog.wait_for_selector("#start:enabled")
    return page, dialog


def levels(surf: Surf) -> list[str]:
    return [job.settings["level"] for job in surf.live.server.service.jobs]


def stop(surf: Surf) -> None:
    asyncio.run_coroutine_threadsafe(surf.live.server.stop(), surf.live.loop).result(30)


def test_originals_are_those_of_photos_that_nothing_was_decided_for(surf: Surf) -> None:
    done, out, stuck = surf.photo("done.png"), surf.photo("out.png"), surf.photo("stuck.png", do="slow 60")
    page, dialog = pick(surf, done, out, stuck)
    surf.press(dialog, ".photo:nth-child(2) .skip")
    surf.press(dialog, "#start")
    dialog.wait_for_selector(".photo.done")
    wait_for(lambda: dialog.evaluate("0") == 0 and surf.live.server.service.crew.states == ["busy"])
    stop(surf)
    dialog.wait_for_selector("#trouble:not([hidden])")
    surf.press(dialog, "#originals")
    surf.press(dialog, "#originals-yes")
    surf.gets(page, ("done.png", "image/png", done.protected), ("stuck.png", "image/png", stuck.data))


def test_a_photo_that_was_made_otherwise_is_made_anew(surf: Surf) -> None:
    first, second = surf.photo("first.png"), surf.photo("second.png")
    page, dialog = pick(surf, first, second)
    surf.press(dialog, ".photo:nth-child(2) .skip")
    dialog.select_option("#level", "subtle")
    surf.press(dialog, "#start")
    dialog.wait_for_selector("#use:enabled")
    dialog.select_option("#level", "strong")
    surf.press(dialog, ".photo:nth-child(2) .back")
    surf.press(dialog, "#start")
    dialog.wait_for_selector("#use:enabled")
    assert sorted(levels(surf)) == ["strong", "strong", "subtle"], "both are as strong as was asked for last"
    surf.press(dialog, "#use")
    surf.gets(
        page, ("first.png", "image/png", first.protected), ("second.png", "image/png", second.protected)
    )


def test_a_photo_that_is_taken_back_is_not_used_as_it_was_made_before(surf: Surf) -> None:
    page, dialog = pick(surf, surf.photo("first.png"), surf.photo("second.png"))
    surf.press(dialog, "#start")
    dialog.wait_for_selector("#use:enabled")
    surf.press(dialog, ".photo:nth-child(1) .skip")
    dialog.select_option("#level", "strong")
    surf.press(dialog, "#start")
    dialog.wait_for_selector("#use:enabled")
    surf.press(dialog, ".photo:nth-child(1) .back")
    dialog.wait_for_selector("#use:disabled", state="attached")
    surf.protect(page)
    assert levels(surf) == ["balanced", "balanced", "strong", "strong"]


def test_what_was_chosen_stays_when_the_server_comes_back(surf: Surf, tmp_path: Path) -> None:
    page, dialog = pick(surf, surf.photo())
    dialog.select_option("#level", "strong")
    stop(surf)
    surf.press(dialog, "#start")
    dialog.wait_for_selector("#trouble:not([hidden])")
    (tmp_path / "again").mkdir()
    with running(tmp_path / "again", "--marked") as again:
        surf.live = again
        surf.find_server()
        surf.pair()
        surf.press(dialog, "#retry")
        dialog.wait_for_selector("#use:enabled")
        assert levels(surf) == ["strong"]
        surf.press(dialog, "#cancel")
        wait_for(lambda: page.evaluate("0") == 0 and not surf.dialogs(page))


def test_own_words_have_to_be_said(surf: Surf) -> None:
    _, dialog = pick(surf, surf.photo())
    dialog.select_option("#look", "(own)")
    dialog.wait_for_selector("#start:disabled")
    dialog.fill("#prompt", "red lips")
    dialog.wait_for_selector("#start:enabled")


def test_a_page_that_acts_by_itself_is_asked_about_even_where_nobody_is_asked(surf: Surf) -> None:
    surf.rule("always")
    page = surf.open("alone.html")
    surf.dialog(page).wait_for_selector("#start:enabled")
    surf.gets_nothing(page)
    assert levels(surf) == []


@pytest.mark.parametrize("frame", ["sandbox", "plain"])
def test_a_frame_without_an_origin_follows_the_rules_of_its_page(surf: Surf, frame: str) -> None:
    surf.keep(rules=[{"site": HOST, "least": 0, "most": 0, "level": "strong", "faces": ""}])
    page, photo = surf.open("form.html"), surf.photo()
    page.evaluate(
        """(kind) => {
          const frame = document.createElement('iframe');
          if (kind === 'sandbox') frame.sandbox = 'allow-scripts';
          frame.srcdoc = '<input type="file">';
          document.body.append(frame);
        }""",
        frame,
    )
    page.frame_locator("iframe").locator("input").set_input_files(photo.path)
    dialog = surf.dialog(page)
    assert HOST in (dialog.text_content("#site") or "")
    surf.protect(page)
    assert levels(surf) == ["strong"]
    wait_for(lambda: surf.stored("local", "choices"))
    assert list(surf.stored("local", "choices")) == [HOST]


def test_a_site_that_is_removed_is_forgotten_with_all_hosts_below_it(surf: Surf) -> None:
    choice = {"prompt": "none", "level": "subtle", "faces": "all"}
    surf.keep(
        sites={"a.example": "ask"},
        choices={"www.a.example": choice, "a.example": choice, "b.example": choice},
    )
    assert "ok" in surf.tell({"type": "setSite", "host": "a.example", "rule": None})
    assert list(surf.stored("local", "choices")) == ["b.example"]


def test_looks_at_photos_leave_the_lines_to_the_server_free(serve: Serve) -> None:
    surf = serve(begin=False)
    first = surf.open("input.html")
    first.set_input_files("#one", surf.photo(do="slow 4").path)
    dialog = surf.dialog(first)
    dialog.wait_for_selector("#start:enabled")
    surf.press(dialog, "#start")
    wait_for(lambda: first.evaluate("0") == 0 and surf.live.server.service.crew.states == ["busy"])
    second, _ = pick(surf, *[surf.photo() for _ in range(8)])
    waiting = []

    def done() -> bool:
        second.evaluate("0")
        waiting.append(len(surf.live.server.service.queue))
        return dialog.locator("#use:enabled").count() == 1

    wait_for(done)
    assert max(waiting) == 1, "one look at a time"

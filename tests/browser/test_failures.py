"""What goes wrong is told in words, and can be tried again."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from server.common.problems import CODES
from tests.support.live import running, wait_for
from tests.support.scripted import DO

from .conftest import Tab, Visit, hanging, number, on_loop, picture, script, state_is


def test_failures_are_told_in_the_servers_words_and_can_be_tried_again(tab: Tab) -> None:
    said = CODES["worker_failed"][1]
    place = tab.send(script("die"))
    expect(place.locator(".problem")).to_have_text(said)
    state_is(place, "Not protected")
    expect(tab.page.locator("#news")).to_have_text("photo.png is not protected.")
    expect(place.get_by_role("progressbar")).to_be_hidden()
    expect(place.get_by_role("button", name="Cancel")).to_be_hidden()
    place.get_by_role("button", name="Try again").click()
    wait_for(lambda: [job.state for job in tab.at_server()] == ["failed", "failed"])
    expect(place.locator(".problem")).to_have_text(said)
    assert tab.until(1, "failed").code != "internal"


@pytest.mark.parametrize(
    ("words", "title", "news", "again"),
    [
        ("no face", "No face found", "photo.png shows no face.", False),
        ("strangers", "Your face was not found", "photo.png does not show your face.", True),
    ],
)
def test_a_photo_without_a_face_to_protect_is_no_failure(
    tmp_path: Path, visit: Visit, words: str, title: str, news: str, again: bool
) -> None:
    photo = picture(name="photo.png")
    photo["buffer"] += DO + words.encode()
    with running(tmp_path, "--marked") as live:
        tab = visit(live).open()
        place = tab.send(photo)
        state_is(place, title)
        expect(place.locator(".verdict")).to_contain_text("you can use the photo as it is")
        expect(place.locator(".problem")).to_be_hidden()
        expect(tab.page.locator("#news")).to_have_text(news)
        box = place.get_by_role("img", name="photo.png").bounding_box()
        assert box and box["width"] == 240, "it shows what was looked at"
        color = "element => getComputedStyle(element).color"
        assert place.locator(".state").evaluate(color) == place.locator("h2").evaluate(color)
        expect(place.get_by_role("button", name="Try again")).to_be_visible(visible=again)


def test_a_prompt_without_words_can_be_mended_and_tried_again(tab: Tab) -> None:
    tab.page.get_by_label("Look").select_option(label="My own words…")
    tab.page.get_by_label("in your own words").fill("!!!")
    place = tab.send(picture())
    expect(place.locator(".problem")).to_contain_text("the prompt has no words")
    tab.page.get_by_label("in your own words").fill("red lips")
    place.get_by_role("button", name="Try again").click()
    state_is(place, "Protected")
    expect(place.locator(".problem")).to_be_hidden()
    assert tab.at_server()[-1].settings["prompt"] == "red lips"
    tab.forgive("400")


def test_a_full_queue_is_told_and_later_there_is_room(tmp_path: Path, visit: Visit) -> None:
    with running(tmp_path, queue_length=1) as live:
        tab = visit(live).open()
        first = tab.send(script("slow 120", "first.png"))
        tab.until(0, "running")
        second = tab.send(script("echo 2", "second.png"))
        tab.until(1, "queued")
        third = tab.send(script("echo 3", "third.png"))
        expect(third.locator(".problem")).to_have_text(CODES["queue_full"][1])
        first.get_by_role("button", name="Cancel").click()
        state_is(first, "Cancelled")
        state_is(second, "Protected")
        third.get_by_role("button", name="Try again").click()
        state_is(third, "Protected")
        tab.forgive("429")


def test_a_photo_that_is_too_large_is_told_so(tmp_path: Path, visit: Visit) -> None:
    large = tmp_path / "large.png"
    large.write_bytes(bytes(40 << 20))
    with running(tmp_path, upload_mb=1) as live:
        tab = visit(live).open()
        tab.page.set_input_files("#photos", large)
        problem = tab.job("large.png").locator(".problem")
        expect(problem).to_have_text(f"{CODES['too_large'][1]}: the limit is 1 MiB")
        tab.forgive("413")


def test_networks_that_are_missing_are_told(tmp_path: Path, visit: Visit) -> None:
    with running(tmp_path, "--unusable") as live:
        tab = visit(live).open()
        said = f"{CODES['models_missing'][1]}: no networks"
        expect(tab.send(script("echo")).locator(".problem")).to_have_text(said)


def test_a_server_that_stops_is_told_and_nothing_spins(tmp_path: Path, visit: Visit) -> None:
    with running(tmp_path) as live:
        tab = visit(live).open()
        place = tab.send(script("slow 120"))
        state_is(place, "Working")
        asyncio.run_coroutine_threadsafe(live.server.stop(), live.loop).result(30)
        said = f"The server does not answer|{CODES['stopping'][1]}"
        expect(place.locator(".problem")).to_have_text(re.compile(said))
        state_is(place, "Not protected")
        expect(place.get_by_role("progressbar")).to_be_hidden()
        place.get_by_role("button", name="Try again").click()
        expect(place.locator(".problem")).to_have_text(re.compile("The server does not answer"))
        assert number(tab), "it is still paired when the server is back"
        tab.forgive("net::ERR")


def test_a_server_that_was_started_again_no_longer_knows_the_photo(tab: Tab) -> None:
    place, _ = hanging(tab)
    on_loop(tab.live, tab.live.server.service.jobs._known.clear)
    expect(place.locator(".problem")).to_have_text("The server no longer knows this photo: try again")
    tab.forgive("404")


def test_a_short_silence_of_the_server_is_waited_out(tab: Tab) -> None:
    place = tab.send(script("slow 4"))
    state_is(place, "Working")
    tab.page.context.set_offline(True)
    state_is(place, "No answer, trying again")
    tab.page.context.set_offline(False)
    state_is(place, "Protected")
    tab.forgive("net::ERR")

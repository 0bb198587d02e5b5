"""Photos come in, with what is asked for, and are watched and cancelled."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.support.live import Live, wait_for

from .conftest import Tab, Visit, hanging, on_loop, picture, script, state_is

# --- what is asked for -------------------------------------------------------------------------------------


def test_looks_and_levels_reach_the_server(tab: Tab) -> None:
    look, level = tab.page.get_by_label("Look"), tab.page.get_by_label("Strength")
    expect(look).to_have_value("natural")
    expect(level).to_have_value("balanced")
    words = tab.page.get_by_label("in your own words")
    expect(words).to_be_hidden()
    state_is(tab.send(script("echo 1", "one.png")), "Protected")
    look.select_option("goth")
    level.select_option("strong")
    state_is(tab.send(script("echo 2", "two.png")), "Protected")
    look.select_option(label="My own words…")
    words.fill("blue lips & <b>green</b> lids")
    state_is(tab.send(script("echo 3", "three.png")), "Protected")
    asked = [(job.settings["prompt"], job.settings["level"]) for job in tab.at_server()]
    own = "blue lips & <b>green</b> lids"
    assert asked == [("a natural look", "balanced"), ("goth makeup", "strong"), (own, "strong")]
    expect(tab.job("three.png").locator(".asked")).to_have_text(f"“{own}”, strong")


def test_auto_and_none_are_among_the_looks(tab: Tab) -> None:
    for number, name in enumerate(("auto", "none")):
        tab.page.get_by_label("Look").select_option(name)
        tab.send(script(f"echo {number}"))
        assert tab.until(number, "done").settings["prompt"] == name


def test_no_file_name_is_ever_sent(tab: Tab) -> None:
    state_is(tab.send(picture(name="grandmother's garden.webp")), "Protected")
    with tab.page.expect_download():
        tab.page.get_by_role("link", name="Download").click()
    sent = []
    for request in tab.requests:
        if not request.url.startswith("blob:"):
            sent += [request.url, str(request.all_headers()), str(request.post_data_buffer)]
    assert any(request.method == "POST" and "/v1/jobs" in request.url for request in tab.requests)
    assert [text for text in sent if re.search("grandmother|garden", text)] == []


def dispatch(page: Page, what: str, *files: FilePayload) -> None:
    """A drop or a paste, as the browser makes it."""
    page.evaluate(
        """([what, files]) => {
          const data = new DataTransfer();
          for (const [name, type, content] of files) {
            const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
            data.items.add(new File([bytes], name, { type }));
          }
          const more = { bubbles: true, cancelable: true };
          const event = what === 'paste' ? new ClipboardEvent('paste', { clipboardData: data, ...more })
            : new DragEvent(what, { dataTransfer: data, ...more });
          (what === 'paste' ? document.body : document.querySelector('#drop span')).dispatchEvent(event);
        }""",
        [
            what,
            [[file["name"], file["mimeType"], base64.b64encode(file["buffer"]).decode()] for file in files],
        ],
    )


def test_photos_can_be_dropped(tab: Tab) -> None:
    drop = tab.page.locator("#drop")
    dispatch(tab.page, "dragover", picture())
    expect(drop).to_have_class("over")
    dispatch(tab.page, "drop", picture("red", "a.webp"), picture("blue", "b.webp"))
    expect(drop).not_to_have_class("over")
    for name in ("a.webp", "b.webp"):
        state_is(tab.job(name), "Protected")


def test_a_photo_can_be_pasted(tab: Tab) -> None:
    dispatch(tab.page, "paste", picture(name="image.webp"))
    state_is(tab.job("image.webp"), "Protected")


@pytest.mark.parametrize("how", ["choose", "drop", "paste"])
def test_other_files_are_refused_in_words_and_not_sent(tab: Tab, how: str) -> None:
    files = [
        FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"notes"),
        FilePayload(name="IMG_1.heic", mimeType="image/heic", buffer=b"heic"),
        FilePayload(name="drawing.svg", mimeType="image/svg+xml", buffer=b"<svg/>"),
        picture(name="good.webp"),
    ]
    if how == "choose":
        tab.page.set_input_files("#photos", files)
    else:
        dispatch(tab.page, how, *files)
    refused = tab.page.get_by_role("alert").filter(has_text="Not taken: notes.txt, IMG_1.heic, drawing.svg.")
    expect(refused).to_contain_text("Only JPEG, PNG and WebP photos can be protected.")
    expect(tab.jobs).to_have_count(1)
    state_is(tab.job("good.webp"), "Protected")
    assert len(tab.at_server()) == 1
    tab.send(picture("blue", "next.webp"))
    expect(refused).to_have_count(0)


def test_nothing_is_taken_before_the_browser_is_paired(live: Live, visit: Visit) -> None:
    tab = visit(live).open(code="")
    dispatch(tab.page, "paste", picture())
    dispatch(tab.page, "drop", picture())
    expect(tab.jobs).to_have_count(0)


# --- while it works ----------------------------------------------------------------------------------------


def event(face: int, faces: int, stage: str, done: int, similarity: float | None = None) -> dict[str, Any]:
    return {"face": face, "faces": faces, "stage": stage, "done": done, "total": 10, "similarity": similarity}


def test_progress_with_elapsed_time_and_every_face(tab: Tab) -> None:
    place, job = hanging(tab)
    expect(place.locator(".state")).to_have_text(re.compile(r"^Working · 0:\d\d$"))
    on_loop(tab.live, job.progress, event(1, 3, "invert", 10))
    on_loop(tab.live, job.progress, event(2, 3, "search", 5, 0.42))
    faces = place.locator(".faces li")
    expect(faces).to_have_count(3)
    expect(faces.nth(0)).to_have_text("Face 1Done")
    expect(faces.nth(1)).to_have_text(re.compile(r"^Face 2Searching for the change, \d\d %$"))
    expect(faces.nth(2)).to_have_text("Face 3Waiting")
    expect(place.locator(".now")).to_have_text(
        "Searching for the change. Recognisable: 42 % (aim: below 0 %)"
    )
    bar = place.get_by_role("progressbar", name="Progress of photo.png")
    assert 0.4 < float(bar.evaluate("bar => bar.value")) < 0.6
    expect(place.locator(".state")).to_have_text(re.compile(r"^Working · 0:0[2-9]$"))


def test_a_photo_with_one_face_has_no_list_of_faces(tab: Tab) -> None:
    place, job = hanging(tab)
    on_loop(tab.live, job.progress, event(1, 1, "invert", 5))
    expect(place.locator(".now")).to_have_text("Reading the face")
    expect(place.locator(".faces li")).to_have_count(0)


def test_cancel_while_it_works(tab: Tab) -> None:
    place = tab.send(script("slow 120"))
    state_is(place, "Working")
    place.get_by_role("button", name="Cancel").click()
    state_is(place, "Cancelled")
    assert [job.state for job in tab.at_server()] == ["cancelled"]
    expect(tab.page.locator("#news")).to_have_text("photo.png was cancelled.")
    expect(place.get_by_role("button", name="Try again")).to_be_focused()
    expect(place.get_by_role("progressbar")).to_be_hidden()
    place.get_by_role("button", name="Try again").click()
    tab.until(1, "running")
    state_is(place, "Working")


def test_cancel_before_the_server_has_it(tab: Tab) -> None:
    tab.send(*[script(f"slow 120 {i}", f"{i}.png") for i in range(12)])
    tab.until(0, "running")
    wait_for(lambda: len(tab.at_server()) == 8)
    last = tab.job("11.png")
    state_is(last, "Waiting")
    last.get_by_role("button", name="Cancel").click()
    state_is(last, "Cancelled")
    last.get_by_role("button", name="Remove").click()
    expect(tab.jobs).to_have_count(11)
    tab.job("0.png").get_by_role("button", name="Cancel").click()
    state_is(tab.job("0.png"), "Cancelled")
    wait_for(lambda: len(tab.at_server()) == 9)  # one went, the next one came
    state_is(tab.job("8.png"), "In the queue")


def test_several_photos_in_one_go(tab: Tab) -> None:
    colors = [
        "red",
        "green",
        "blue",
        "black",
        "white",
        "yellow",
        "cyan",
        "magenta",
        "gray",
        "brown",
        "navy",
        "teal",
    ]
    tab.send(*[picture(color, f"{color}.webp") for color in colors])
    expect(tab.jobs.get_by_role("heading", level=2)).to_have_text([f"{color}.webp" for color in colors])
    for color in colors:
        state_is(tab.job(f"{color}.webp"), "Protected")
    expect(tab.page.locator("#news")).to_have_text(re.compile("12 of 12 photos are finished"))
    assert [job.state for job in tab.at_server()] == ["done"] * 12


def test_leaving_the_page_ends_what_it_waits_for(tab: Tab) -> None:
    tab.send(script("slow 120 a", "a.png"), script("slow 120 b", "b.png"))
    tab.until(0, "running")
    state_is(tab.job("b.png"), "In the queue")
    tab.page.reload()
    for number in (0, 1):
        tab.until(number, "cancelled")

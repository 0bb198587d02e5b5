"""The server's page as a person uses it: paired, fed with photos, watched, cancelled, read, left."""

from __future__ import annotations

import asyncio
import base64
import re
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from server.service.jobs import Job, Result
from server.service.problems import CODES
from tests.server.service.conftest import Live, running, wait_for

from . import conftest
from .conftest import Tab, Visit, picture, script


def token(tab: Tab) -> str:
    return tab.page.evaluate("localStorage.getItem('clip2protect-token')")


def on_loop(live: Live, action: Any, *arguments: Any, **options: Any) -> None:
    """Have the server's own thread do something."""
    live.loop.call_soon_threadsafe(partial(action, *arguments, **options))


def state_is(job: Any, text: str) -> None:
    expect(job.locator(".state")).to_contain_text(text)


# --- these tests themselves --------------------------------------------------------------------------------


def test_without_a_browser_they_fail_and_say_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(conftest, "USUAL", tmp_path / "none")
    with pytest.raises(pytest.fail.Exception, match="^no Chromium: `apt-get install chromium`.*$"):
        conftest.find_chromium()


def test_they_notice_what_the_content_security_policy_forbids(tab: Tab) -> None:
    tab.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">')")
    tab.forgive("Content Security Policy")


# --- pairing -----------------------------------------------------------------------------------------------


def test_pairing_by_code(live: Live, visit: Visit) -> None:
    tab = visit(live).open(code="")
    code = live.server.code
    expect(tab.page.get_by_label("Code")).to_be_focused()
    tab.page.keyboard.type(code.lower())
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#work")).to_be_visible()
    expect(tab.page.locator("#pairing")).to_be_hidden()
    expect(tab.page.get_by_label("Look")).to_be_focused()
    assert live.ask("GET", "/v1/status", token=token(tab)).status == 200
    assert tab.page.url == f"{live.server.url}/"


def test_pairing_by_link_leaves_no_code_and_no_token_in_any_address(live: Live, visit: Visit) -> None:
    tab, code = visit(live), live.server.code
    tab.open(code=code)
    assert live.ask("GET", "/v1/status", token=token(tab)).status == 200
    assert tab.page.url == f"{live.server.url}/"
    tab.send(script("echo"))
    state_is(tab.jobs, "Protected")
    addresses = [request.url for request in tab.requests] + [tab.page.url]
    # The browser itself asks for the page without what follows #; Playwright shows it with it.
    assert [url for url in addresses[1:] if code in url or token(tab) in url] == []
    asked = [request for request in tab.requests if not request.url.startswith("blob:")]
    assert [request.url for request in asked if "referer" in request.all_headers()] == []
    tab.page.reload()
    expect(tab.page.locator("#work")).to_be_visible()


def test_a_wrong_code_is_told_and_the_right_one_still_works(live: Live, visit: Visit) -> None:
    tab = visit(live).open(code="")
    tab.page.get_by_label("Code").fill("WRONG234")
    tab.page.get_by_role("button", name="Pair").click()
    expect(tab.page.get_by_role("alert").filter(has_text=CODES["bad_code"][1])).to_be_visible()
    assert token(tab) is None
    tab.page.get_by_label("Code").fill(live.server.code)
    tab.page.get_by_role("button", name="Pair").click()
    expect(tab.page.locator("#work")).to_be_visible()
    tab.forgive("401")


def test_a_link_with_a_wrong_code_asks_for_the_right_one(live: Live, visit: Visit) -> None:
    tab = visit(live)
    tab.page.goto(f"{live.server.url}/#pair=WRONG234")
    expect(tab.page.locator("#pairing-problem")).to_have_text(CODES["bad_code"][1])
    assert tab.page.url == f"{live.server.url}/"
    tab.page.goto(f"{live.server.url}/#pair={live.server.code}")  # the same page: it does not load again
    expect(tab.page.locator("#work")).to_be_visible()
    tab.forgive("401")


def test_a_paired_browser_stays_so_whatever_old_link_it_opens(tab: Tab) -> None:
    before, code = token(tab), tab.live.server.code
    for old in ("WRONG234", code):
        tab.page.goto("about:blank")
        tab.open(code=old)
        assert token(tab) == before
    assert tab.live.server.code == code, "a code was used up for nothing"
    tab.requests[:] = [request for request in tab.requests if request.url != "about:blank"]


def test_whoever_was_revoked_is_asked_for_a_code(tab: Tab) -> None:
    live = tab.live
    you = live.ask("GET", "/v1/clients", token=token(tab)).json["you"]
    assert live.ask("DELETE", f"/v1/clients/{you}", X_Clip2Protect="1").status == 204
    tab.send(script("echo"))
    expect(tab.page.locator("#pairing-problem")).to_have_text(CODES["unpaired"][1])
    assert token(tab) is None
    tab.page.get_by_label("Code").fill(live.server.code)
    tab.page.keyboard.press("Enter")
    tab.jobs.get_by_role("button", name="Try again").click()
    state_is(tab.jobs, "Protected")
    tab.forgive("401")


def test_the_list_of_clients_and_revoking_one(tab: Tab) -> None:
    tab.page.get_by_text("Paired browsers and programs").click()
    entries = tab.page.locator("#clients li")
    expect(entries).to_have_count(2)
    expect(entries.filter(has_text="(this browser)")).to_contain_text(tab.live.server.url)
    entries.filter(has_not_text="(this browser)").get_by_role("button", name="Revoke").click()
    expect(entries).to_have_count(1)
    assert tab.live.ask("GET", "/v1/status").code == "unpaired"
    assert tab.live.ask("GET", "/v1/status", token=token(tab)).status == 200


@pytest.mark.parametrize("how", ["Unpair this browser", "Revoke Web page (this browser)"])
def test_unpairing_this_browser_leaves_nothing_behind(tab: Tab, how: str) -> None:
    state_is(tab.send(picture()), "Protected")
    tab.send(script("slow 60", "slow.png"))
    slow = tab.until(1, "running")
    before = token(tab)
    tab.page.get_by_text("Paired browsers and programs").click()
    tab.page.get_by_role("button", name=how).click()
    expect(tab.page.locator("#pairing")).to_be_visible()
    expect(tab.jobs).to_have_count(0)
    assert tab.page.evaluate("localStorage.length") == 0
    assert tab.live.ask("GET", "/v1/status", token=before).code == "unpaired"
    wait_for(lambda: slow.state == "cancelled")
    assert tab.at_server()[0].result is None
    tab.page.reload()
    expect(tab.page.locator("#pairing")).to_be_visible()
    if any("401" in complaint for complaint in tab.complaints):  # it looked once more at the slow one
        tab.forgive("401")


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
        [what, [[file["name"], file["mimeType"], base64.b64encode(file["buffer"]).decode()] for file in files]],
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


def hanging(tab: Tab) -> tuple[Any, Job]:
    """A photo that the worker holds on to, so that a test can say how far it is: its place, the server's job."""
    place = tab.send(script("hang"))
    return place, tab.until(0, "running")


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
    expect(place.locator(".now")).to_have_text("Searching for the change. Recognisable: 42 % (aim: below 0 %)")
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
    colors = ["red", "green", "blue", "black", "white", "yellow", "cyan", "magenta", "gray", "brown", "navy", "teal"]
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


# --- when it fails -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [("die", CODES["worker_failed"][1]), ("no face", f"{CODES['no_face'][1]}: no face was found")],
)
def test_failures_are_told_in_the_servers_words_and_can_be_tried_again(tab: Tab, words: str, said: str) -> None:
    place = tab.send(script(words))
    expect(place.locator(".problem")).to_have_text(said)
    state_is(place, "Not protected")
    expect(tab.page.locator("#news")).to_have_text("photo.png is not protected.")
    expect(place.get_by_role("progressbar")).to_be_hidden()
    expect(place.get_by_role("button", name="Cancel")).to_be_hidden()
    place.get_by_role("button", name="Try again").click()
    wait_for(lambda: [job.state for job in tab.at_server()] == ["failed", "failed"])
    expect(place.locator(".problem")).to_have_text(said)
    assert tab.until(1, "failed").code != "internal"


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
        assert token(tab), "it is still paired when the server is back"
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


# --- what came of it ---------------------------------------------------------------------------------------


def recogniser(metric: str, values: tuple[float, float, float], matched: tuple[bool, bool], surrogate: bool) -> Any:
    threshold, before, after = values
    return {
        "surrogate": surrogate, "metric": metric, "threshold": threshold, "before": before, "after": after,
        "matched_before": matched[0], "matched_after": matched[1],
    }  # fmt: skip


RECOGNISERS = {
    "alpha-1": recogniser("cosine", (0.36, 0.91, 0.1234), (True, False), True),
    "beta-2": recogniser("distance", (0.69, 0.2, 0.45), (True, True), False),
    "gamma-3": recogniser("cosine", (0.3, 0.1, 0.2), (False, False), False),
}


def finish(tab: Tab, faces: list[dict[str, Any]], name: str = "photo.png") -> Any:
    """A photo that is done, with this report."""
    number = len(tab.at_server())
    place = tab.send(script("hang", name))
    job = tab.until(number, "running")
    report = {"photo": {"format": "WEBP"}, "faces": faces}
    on_loop(tab.live, job.end, "done", result=Result(picture()["buffer"], b"", report))
    state_is(place, "Protected in 0:")
    return place


def face(box: list[float], recognisers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"box": box, "psnr": 32.94, "found_after": True, "recognisers": recognisers, **more}


def test_every_recogniser_is_told_in_words(tab: Tab) -> None:
    place = finish(tab, [face([10, 10, 90, 100], RECOGNISERS)])
    rows = [" ".join(row.split()) for row in place.locator("tbody tr").all_inner_texts()]
    assert rows == [
        "alpha-1 Similarity, matches above 0.360 0.910 matches 0.123 no longer matches",
        "beta-2 held out Distance, matches below 0.690 0.200 matches 0.450 still matches",
        "gamma-3 held out Similarity, matches above 0.300 0.100 does not match 0.200 does not match",
    ]
    expect(place.get_by_role("table")).to_have_accessible_name("What each recogniser makes of face 1 before and after")
    expect(place.get_by_role("columnheader")).to_have_text(["Recogniser", "Before", "After"])
    expect(place.get_by_role("heading", level=3)).to_have_text("1 of 3 recognisers still matches this face")
    expect(place).to_contain_text("How much changed: PSNR 32.9 dB (higher is less to see).")
    meaning = place.get_by_text("What these numbers mean")
    meaning.click()
    expect(place.get_by_text("took no part in the search")).to_be_visible()


def test_every_face_has_its_table_and_its_picture(tab: Tab) -> None:
    safe = {"alpha-1": RECOGNISERS["alpha-1"]}
    lost = face([120, 20, 200, 110], safe, found_after=False)
    place = finish(tab, [face([10, 10, 90, 100], RECOGNISERS), lost])
    expect(place.get_by_role("table")).to_have_count(2)
    second = place.locator("section").nth(1)
    expect(second).to_contain_text("No recogniser here matches this face any more")
    expect(second).to_contain_text("Face 2 of 2. ")
    expect(second).to_contain_text("A face is no longer found here at all.")
    expect(second.locator("canvas")).to_be_visible()
    pixel = second.locator("canvas").evaluate("canvas => [...canvas.getContext('2d').getImageData(48, 48, 1, 1).data]")
    assert pixel[0] > 200 and pixel[1] < 60, "the crop shows the photo"


def cut(tab: Tab) -> str:
    return tab.page.locator(".before").evaluate("image => getComputedStyle(image).clipPath")


def test_the_slider_compares(tab: Tab) -> None:
    place = tab.send(picture())
    state_is(place, "Protected")
    slider = place.get_by_role("slider", name="Before and after: photo.webp")
    for kind in ("before", "after"):
        assert wait_for(lambda kind=kind: place.locator(f".{kind}").evaluate("image => image.naturalWidth")) == 240
    expect(slider).to_have_value("50")
    slider.focus()
    for key, value in (("ArrowRight", 51), ("ArrowLeft", 50), ("End", 100), ("Home", 0), ("ArrowUp", 1)):
        tab.page.keyboard.press(key)
        expect(slider).to_have_value(str(value))
        assert cut(tab) == f"inset(0px {100 - value}% 0px 0px)"
        expect(slider).to_have_attribute("aria-valuetext", f"{value} % before, {100 - value} % after")
    box = place.locator(".photos").bounding_box()
    assert box is not None
    tab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20, steps=4)
    tab.page.mouse.up()
    expect(slider).to_have_value(re.compile("7[3-7]"))


def test_the_download_is_the_servers_answer_with_a_telling_name(tab: Tab) -> None:
    photo = picture(name="my photo.of.me.png")
    state_is(tab.send(photo), "Protected")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("link", name="Download").click()
    # It is a WebP, whatever its name says; the result's name follows the server.
    assert download.value.suggested_filename == "my photo.of.me-protected.webp"
    assert Path(download.value.path()).read_bytes() == photo["buffer"]


def test_the_same_photo_again_is_known(tab: Tab) -> None:
    state_is(tab.send(picture()), "Protected in")
    tab.page.set_input_files("#photos", [picture(name="again.webp")])
    state_is(tab.job("again.webp"), "Protected already")


def test_removing_a_photo_lets_it_go_everywhere(live: Live, visit: Visit) -> None:
    tab = visit(live)
    tab.page.add_init_script(
        """window.urls = new Set();
        for (const [name, action] of [['createObjectURL', 'add'], ['revokeObjectURL', 'delete']]) {
          const real = URL[name].bind(URL);
          URL[name] = (what) => { const url = real(what); window.urls[action](url ?? what); return url; };
        }"""
    )
    tab.open()
    state_is(tab.send(picture("red", "a.webp")), "Protected")
    state_is(tab.send(picture("blue", "b.webp")), "Protected")
    assert tab.page.evaluate("urls.size") == 4
    tab.job("a.webp").get_by_role("button", name="Remove").click()
    expect(tab.jobs).to_have_count(1)
    expect(tab.page.locator("#photos")).to_be_focused()
    assert tab.page.evaluate("urls.size") == 2
    wait_for(lambda: tab.at_server()[0].expired)
    assert tab.at_server()[1].result is not None
    expect(tab.job("b.webp").locator(".after")).to_have_js_property("naturalWidth", 240)


# --- for everybody -----------------------------------------------------------------------------------------


def tab_to(page: Page, what: Any, *, backwards: bool = False) -> None:
    """Press Tab until it has the focus."""
    for _ in range(40):
        if what.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
    pytest.fail(f"Tab does not lead to {what}")


def test_by_keyboard_alone(live: Live, visit: Visit, tmp_path: Path) -> None:
    photo = tmp_path / "portrait.webp"
    photo.write_bytes(picture()["buffer"])
    tab = visit(live).open(code="")
    page, keyboard = tab.page, tab.page.keyboard
    keyboard.type(live.server.code)
    keyboard.press("Enter")
    expect(page.get_by_label("Look")).to_be_focused()
    keyboard.type("My own")
    expect(page.get_by_label("Look")).to_have_value("(own)")
    tab_to(page, page.get_by_label("Strength"))
    keyboard.type("Str")
    expect(page.get_by_label("Strength")).to_have_value("strong")
    tab_to(page, page.get_by_label("in your own words"))
    keyboard.type("red lips")
    tab_to(page, page.locator("#photos"))
    with page.expect_file_chooser() as chooser:
        keyboard.press("Space")
    chooser.value.set_files(photo)
    place = tab.job("portrait.webp")
    state_is(place, "Protected")
    tab_to(page, place.get_by_role("slider"))
    keyboard.press("ArrowRight")
    expect(place.get_by_role("slider")).to_have_value("51")
    tab_to(page, place.get_by_role("link", name="Download"))
    with page.expect_download() as download:
        keyboard.press("Enter")
    assert download.value.suggested_filename == "portrait-protected.webp"
    tab_to(page, place.get_by_role("button", name="Remove"))
    keyboard.press("Enter")
    expect(tab.jobs).to_have_count(0)
    assert [(job.settings["prompt"], job.settings["level"]) for job in tab.at_server()] == [("red lips", "strong")]
    tab_to(page, page.locator("#paired summary"))
    keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Revoke test"))
    keyboard.press("Enter")
    expect(page.locator("#clients li")).to_have_count(1)
    tab_to(page, page.get_by_role("button", name="Unpair this browser"))
    keyboard.press("Enter")
    expect(page.get_by_label("Code")).to_be_focused()


def test_a_photo_can_be_cancelled_by_keyboard(tab: Tab) -> None:
    place = tab.send(script("slow 120"))
    state_is(place, "Working")
    tab_to(tab.page, place.get_by_role("button", name="Cancel photo.png"))
    tab.page.keyboard.press("Space")
    state_is(place, "Cancelled")
    expect(place.get_by_role("button", name="Try again: photo.png")).to_be_focused()


def test_everything_has_a_name_and_shows_its_focus(tab: Tab) -> None:
    finish(tab, [face([10, 10, 90, 100], RECOGNISERS)])
    tab.page.get_by_text("Paired browsers and programs").click()
    expect(tab.page.locator("#clients li")).to_have_count(2)
    controls = tab.page.locator("input, select, button, a, summary, progress").filter(visible=True).all()
    assert len(controls) > 10
    for control in controls:
        expect(control).to_have_accessible_name(re.compile(r"\w{3}"))
    focusable = tab.page.locator("input, select, button, a, summary").filter(visible=True).all()
    tab.page.get_by_label("Look").focus()
    tab.page.keyboard.press("Shift+Tab")
    for control in focusable:
        tab_to(tab.page, control)
        framed = "element => getComputedStyle(element.id === 'photos' ? element.parentElement : element).outlineStyle"
        assert control.evaluate(framed) == "solid", control


def test_news_is_told_to_those_who_do_not_see(tab: Tab) -> None:
    news = tab.page.locator("#news")
    expect(news).to_have_attribute("aria-live", "polite")
    state_is(tab.send(picture()), "Protected")
    expect(news).to_have_text("photo.webp is protected.")


def fits(tab: Tab) -> bool:
    return tab.page.evaluate(
        """() => {
          const { scrollWidth, clientWidth } = document.documentElement;
          const ends = [...document.querySelectorAll('main *')].map((element) => element.getBoundingClientRect().right);
          return Math.max(scrollWidth, ...ends) <= clientWidth;
        }"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_the_light_and_in_the_dark(live: Live, visit: Visit, scheme: str) -> None:
    phone = {"width": 360, "height": 740}
    tab = visit(live, viewport=phone, color_scheme=scheme, is_mobile=True, has_touch=True).open(code="")
    assert fits(tab)
    tab.page.get_by_label("Code").fill(live.server.code)
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#work")).to_be_visible()
    tab.page.get_by_label("Look").select_option(label="My own words…")
    tab.page.get_by_label("in your own words").fill("wide " * 50)
    assert fits(tab)
    tab.send(script("no face", f"{'long' * 30}.png"))
    expect(tab.jobs.locator(".problem").filter(visible=True)).to_have_count(1)
    names = {"a-recogniser-with-quite-a-name": RECOGNISERS["beta-2"], **RECOGNISERS}
    finish(tab, [face([10, 10, 90, 100], names)])
    tab.page.get_by_text("What these numbers mean").filter(visible=True).click()
    wide = FilePayload(name="wide.webp", mimeType="image/webp", buffer=picture()["buffer"])
    tab.page.set_input_files("#photos", [FilePayload(name="n" * 100, mimeType="text/plain", buffer=b""), wide])
    tab.page.get_by_text("Paired browsers and programs").click()
    expect(tab.page.locator("#clients li")).to_have_count(2)
    assert fits(tab)
    back = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", back))) > 3 * 128
    assert light == (scheme == "light")


@pytest.mark.parametrize(("motion", "still"), [("reduce", True), ("no-preference", False)])
def test_nothing_moves_for_those_who_do_not_want_it(live: Live, visit: Visit, motion: str, still: bool) -> None:
    tab = visit(live, reduced_motion=motion).open()
    moving = tab.page.evaluate(
        """() => [...document.querySelectorAll('*')].some((element) => {
          const { transitionDuration, animationName } = getComputedStyle(element);
          return transitionDuration !== '0s' || animationName !== 'none';
        })"""
    )
    assert moving != still


# --- with the real method ----------------------------------------------------------------------------------


@pytest.mark.models
def test_a_real_photo_is_protected_through_the_page(tmp_path: Path, visit: Visit) -> None:
    skimage = pytest.importorskip("skimage.data")
    pixels, sent = skimage.astronaut(), BytesIO()
    Image.fromarray(pixels).save(sent, "JPEG", quality=95)
    with running(tmp_path, real=True) as live:
        tab = visit(live).open()
        place = tab.send(FilePayload(name="eileen.collins.jpg", mimeType="image/jpeg", buffer=sent.getvalue()))
        expect(place.locator(".state")).to_contain_text("Protected in", timeout=180_000)
        expect(place.get_by_role("table")).to_have_count(1)
        [job] = tab.at_server()
        [found] = job.result.report["faces"]
        rows = place.locator("tbody tr")
        expect(rows).to_have_count(len(found["recognisers"]))
        for row, (name, result) in zip(rows.all(), found["recognisers"].items(), strict=True):
            expect(row).to_contain_text(name)
            expect(row).to_contain_text("still matches" if result["matched_after"] else "no longer matches")
            expect(row).to_contain_text(f"{result['before']:.3f}")
            assert ("held out" in row.inner_text()) == (not result["surrogate"])
        expect(place.locator("canvas")).to_be_visible()
        for kind in ("before", "after"):
            expect(place.locator(f".{kind}")).to_have_js_property("naturalWidth", 512)
        with tab.page.expect_download() as download:
            place.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == "eileen.collins-protected.jpg"
        with Image.open(download.value.path()) as result:
            assert (result.format, result.size) == ("JPEG", (512, 512))
            change = np.abs(np.asarray(result, float) - np.asarray(Image.open(sent), float)).mean(axis=2)
    left, top, right, bottom = (int(value) for value in found["box"])
    inside = change[top:bottom, left:right].mean()
    assert inside > 1, "the face has changed"
    assert change[300:, :].mean() < inside / 2, "what is no face has hardly changed"

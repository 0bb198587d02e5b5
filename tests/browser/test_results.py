"""What came of a photo: numbers in words, before and after, the download."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, expect

from tests.support.live import Live, running, wait_for

from .conftest import RECOGNISERS, Tab, Visit, face, finish, picture, state_is


def test_every_recogniser_is_told_in_words(tab: Tab) -> None:
    place = finish(tab, [face([10, 10, 90, 100], RECOGNISERS)])
    rows = [" ".join(row.split()) for row in place.locator("tbody tr").all_inner_texts()]
    assert rows == [
        "alpha-1 Similarity, matches above 0.360 0.910 matches 0.123 no longer matches",
        "beta-2 held out Distance, matches below 0.690 0.200 matches 0.450 still matches",
        "gamma-3 held out Similarity, matches above 0.300 0.100 does not match 0.200 does not match",
    ]
    expect(place.get_by_role("table")).to_have_accessible_name(
        "Verdicts of the recognisers on face 1, before and after"
    )
    expect(place.get_by_role("columnheader")).to_have_text(["Recogniser", "Before", "After"])
    expect(place.get_by_role("heading", level=3)).to_have_text("1 of 3 recognisers still matches this face")
    expect(place).to_contain_text("Change: PSNR 32.9 dB (higher is less visible).")
    meaning = place.get_by_text("What these numbers mean")
    meaning.click()
    expect(place.get_by_text("the search did not use this recogniser")).to_be_visible()


def test_every_face_has_its_table_and_its_picture(tab: Tab) -> None:
    safe = {"alpha-1": RECOGNISERS["alpha-1"]}
    lost = face([120, 20, 200, 110], safe, found_after=False)
    place = finish(tab, [face([10, 10, 90, 100], RECOGNISERS), lost])
    expect(place.get_by_role("table")).to_have_count(2)
    second = place.locator("section").nth(1)
    expect(second).to_contain_text("No recogniser here matches this face any more")
    expect(second).to_contain_text("Face 2 of 2. ")
    expect(second).to_contain_text("The detector no longer finds a face here.")
    expect(second.locator("canvas")).to_be_visible()
    pixel = second.locator("canvas").evaluate(
        "canvas => [...canvas.getContext('2d').getImageData(48, 48, 1, 1).data]"
    )
    assert pixel[0] > 200 and pixel[1] < 60, "the crop shows the photo"


def cut(tab: Tab) -> str:
    return tab.page.locator(".before").evaluate("image => getComputedStyle(image).clipPath")


def test_the_slider_compares(tab: Tab) -> None:
    place = tab.send(picture())
    state_is(place, "Protected")
    slider = place.get_by_role("slider", name="Before and after: photo.webp")
    for kind in ("before", "after"):
        assert (
            wait_for(lambda kind=kind: place.locator(f".{kind}").evaluate("image => image.naturalWidth"))
            == 240
        )
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


# --- with the real method ----------------------------------------------------------------------------------


@pytest.mark.models
def test_of_two_real_faces_only_the_users_own_is_protected(
    tmp_path: Path, visit: Visit, two_faces: tuple[bytes, bytes]
) -> None:
    """With the real method: one photo teaches it the user's face, another is protected and downloaded."""
    me, sent = FilePayload(name="me.png", mimeType="image/png", buffer=two_faces[0]), BytesIO()
    with Image.open(BytesIO(two_faces[1])) as both:
        both.save(sent, "JPEG", quality=95)
    with running(tmp_path, real=True, device="cpu") as live:
        tab = visit(live).open()
        tab.page.get_by_text("Your face", exact=True).click()
        tab.page.set_input_files("#owner-files", [me])
        expect(tab.page.locator("#owner-news")).to_have_text("1 of 1 photo was added.", timeout=300_000)
        tab.page.get_by_label("Faces", exact=True).select_option("mine")
        photo = FilePayload(name="eileen.collins.jpg", mimeType="image/jpeg", buffer=sent.getvalue())
        place = tab.send(photo)
        expect(place.locator(".state")).to_contain_text("Protected in", timeout=300_000)
        expect(place.get_by_role("table")).to_have_count(1)
        [job] = tab.at_server()
        [found] = job.result.report["faces"]
        assert found["box"][2] < 512, "the stranger is on the right"
        rows = place.locator("tbody tr")
        expect(rows).to_have_count(len(found["recognisers"]))
        for row, (name, result) in zip(rows.all(), found["recognisers"].items(), strict=True):
            expect(row).to_contain_text(name)
            expect(row).to_contain_text("still matches" if result["matched_after"] else "no longer matches")
            expect(row).to_contain_text(f"{result['before']:.3f}")
            assert ("held out" in row.inner_text()) == (not result["surrogate"])
        expect(place.locator("canvas")).to_be_visible()
        for kind in ("before", "after"):
            expect(place.locator(f".{kind}")).to_have_js_property("naturalWidth", 1024)
        with tab.page.expect_download() as download:
            place.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == "eileen.collins-protected.jpg"
        with Image.open(download.value.path()) as result, Image.open(sent) as original:
            assert (result.format, result.size) == ("JPEG", (1024, 512))
            change = np.abs(np.asarray(result, float) - np.asarray(original, float)).mean(axis=2)
    left, top, right, bottom = (int(value) for value in found["box"])
    inside = change[top:bottom, left:right].mean()
    assert inside > 1, "the face has changed"
    assert change[:, 512:].mean() < inside / 2, "the other face has hardly changed"
    assert change[300:, :512].mean() < inside / 2, "the rest has hardly changed"

"""Protection begins when the photo is chosen; the page can be used meanwhile; what has no face goes on."""

from __future__ import annotations

import re
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Frame, Page, expect

from tests.extension.conftest import HOST, Photo, Serve, Surf
from tests.support.live import wait_for


def gif() -> bytes:
    buffer = BytesIO()
    Image.new("P", (60, 40), 1).save(buffer, "GIF")
    return buffer.getvalue()


def pick(surf: Surf, *photos: Photo) -> tuple[Page, Frame]:
    page = surf.open("input.html")
    page.set_input_files("#many", [photo.path for photo in photos])
    return page, surf.dialog(page)


def gone(surf: Surf, page: Page) -> None:
    wait_for(lambda: page.evaluate("0") == 0 and not surf.dialogs(page))


def levels(surf: Surf) -> list[str]:
    return [job.settings["level"] for job in surf.live.server.service.jobs if job.kind == "protect"]


# --- at once -----------------------------------------------------------------------------------------------


def test_one_press_from_the_choice_to_the_upload(surf: Surf) -> None:
    photo = surf.photo()
    page, dialog = pick(surf, photo)
    dialog.wait_for_selector("#use:enabled")
    assert dialog.is_hidden("#start")
    surf.gets_nothing(page)
    surf.press(dialog, "#use")
    surf.gets(page, ("me.png", "image/png", photo.protected))


def test_another_choice_begins_anew(surf: Surf) -> None:
    photo = surf.photo(do="slow 2")
    page, dialog = pick(surf, photo)
    dialog.wait_for_selector(".photo.working")
    wait_for(lambda: page.evaluate("0") == 0 and surf.live.server.service.crew.states == ["busy"])
    dialog.select_option("#level", "strong")
    wait_for(lambda: page.evaluate("0") == 0 and len(levels(surf)) == 2)
    first, second = (job for job in surf.live.server.service.jobs if job.kind == "protect")
    wait_for(lambda: page.evaluate("0") == 0 and first.state == "cancelled")
    dialog.wait_for_selector("#use:enabled")
    assert (second.state, levels(surf)) == ("done", ["balanced", "strong"])
    dialog.select_option("#level", "subtle")
    assert dialog.is_disabled("#use"), "what is there is not what was chosen"
    dialog.wait_for_selector("#use:enabled")
    assert levels(surf) == ["balanced", "strong", "subtle"]


def test_what_a_page_brings_by_itself_is_not_begun(surf: Surf) -> None:
    page = surf.open("alone.html")
    surf.dialog(page).wait_for_selector("#start:enabled")
    assert levels(surf) == []


def test_the_time_that_is_left_is_told_and_learnt(surf: Surf) -> None:
    surf.keep(paces=[40.0])
    page, dialog = pick(surf, surf.photo("one.png", do="hang"), surf.photo("two.png", do="hang"))
    states = dialog.locator(".state")
    expect(states.nth(0)).to_have_text(re.compile(r"Working · about (40|35) s left"))
    expect(states.nth(1)).to_have_text(re.compile(r"In the queue · about 2 min left"))
    expect(dialog.locator("#sum")).to_have_text(re.compile(r"0 of 2 photos ready · about .* left"))
    surf.press(dialog, "#cancel")
    gone(surf, page)
    page, dialog = pick(surf, surf.photo())
    dialog.wait_for_selector("#use:enabled")
    wait_for(lambda: page.evaluate("0") == 0 and surf.stored("local", "paces") == [0.1, 40.0])


@pytest.mark.parametrize("size", [(900, 760), (390, 760)], ids=["window", "phone"])
def test_the_verdict_stands_above_a_picture_that_opens_on_the_face(surf: Surf, size: tuple[int, int]) -> None:
    page = surf.open("input.html")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.set_input_files("#many", surf.photo().path)
    dialog = surf.dialog(page)
    dialog.wait_for_selector("#use:enabled")
    verdict, picture = dialog.locator(".words"), dialog.locator(".pair")
    zoom = "frame => Number(frame.style.getPropertyValue('--zoom'))"
    expect(verdict).to_contain_text("1 face protected.")
    expect(verdict).to_be_in_viewport(ratio=1)
    above, below = verdict.bounding_box(), picture.bounding_box()
    assert above and below and above["y"] + above["height"] <= below["y"]
    whole = dialog.get_by_role("button", name="Whole photo")
    # The face is 100 of 160 pixels high: it takes more than half of the photo already.
    expect(whole).to_have_attribute("aria-disabled", "true")
    closer = dialog.get_by_role("button", name="Closer")
    closer.click()
    assert picture.evaluate(zoom) == 1.5
    picture.focus()
    for key, expected in (("+", 2.25), ("-", 1.5), ("ArrowLeft", 1.5), ("0", 1)):
        page.keyboard.press(key)
        assert picture.evaluate(zoom) == pytest.approx(expected), key
    box = picture.bounding_box()
    assert box
    closer.click()
    cut = "frame => frame.style.getPropertyValue('--cut')"
    shift = "frame => Number(frame.style.getPropertyValue('--x'))"
    assert (picture.evaluate(cut), picture.evaluate(shift)) == ("50%", -0.25)
    page.mouse.move(box["x"] + 20, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 20 + box["width"] / 10, box["y"] + 30, steps=3)
    page.mouse.up()
    assert picture.evaluate(cut) == "50%", "far from the cut, the photo moves"
    assert picture.evaluate(shift) == pytest.approx(-0.15, abs=0.01)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 30, steps=3)
    page.mouse.up()
    assert float(picture.evaluate(cut).rstrip("%")) == pytest.approx(80, abs=1)


# --- the page meanwhile ------------------------------------------------------------------------------------


def shrink(surf: Surf, dialog: Frame) -> None:
    surf.press(dialog, "#aside")
    dialog.wait_for_selector("#card:visible")
    dialog.wait_for_selector("html[data-armed=true]")


def test_the_page_is_used_while_it_works_and_the_card_tells_when_it_is_done(surf: Surf) -> None:
    photo = surf.photo(do="slow 3")
    page, dialog = pick(surf, photo)
    shrink(surf, dialog)
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), { id: 'words' }))")
    page.click("#words", timeout=5_000)
    page.keyboard.type("hello")
    assert page.input_value("#words") == "hello"
    page.keyboard.press("Escape")  # it is the page's
    card = dialog.get_by_role("button", name=re.compile("Protecting 1 photo.*left", re.DOTALL))
    expect(card).to_be_visible()
    expect(dialog.locator("#card")).to_have_text(re.compile("Ready: look at it"))
    expect(dialog.locator("#news")).to_have_text("Ready: look at it")
    assert dialog.title() == "Ready: look at it · clip2protect"
    surf.gets_nothing(page)
    surf.press(dialog, "#card")
    surf.press(dialog, "#use")
    surf.gets(page, ("me.png", "image/png", photo.protected))
    gone(surf, page)


def test_esc_means_cancel_in_the_large_form_again(surf: Surf) -> None:
    page, dialog = pick(surf, surf.photo(do="slow 60"))
    shrink(surf, dialog)
    surf.press(dialog, "#card")
    dialog.wait_for_selector("#panel:visible")
    page.keyboard.press("Escape")
    gone(surf, page)
    surf.gets_nothing(page)


def test_the_card_goes_where_nothing_is_asked(serve: Serve) -> None:
    surf = serve(rule="always")
    photo = surf.photo(do="slow 3")
    page, dialog = pick(surf, photo)
    shrink(surf, dialog)
    surf.gets(page, ("me.png", "image/png", photo.protected))
    gone(surf, page)


def test_a_page_with_a_modal_dialog_of_its_own_keeps_the_large_form(surf: Surf) -> None:
    page, photo = surf.open("input.html"), surf.photo(do="slow 60")
    page.evaluate(
        """() => {
          const modal = document.createElement('dialog');
          modal.append(document.querySelector('#one'));
          document.body.append(modal);
          modal.showModal();
        }"""
    )
    page.set_input_files("#one", photo.path)
    dialog = surf.dialog(page)
    surf.press(dialog, "#aside")
    dialog.wait_for_selector("#aside-refused:visible")
    surf.press(dialog, "#cancel")
    gone(surf, page)


# --- no face, and what cannot be read ----------------------------------------------------------------------


@pytest.mark.parametrize("do", ["no face", "faces 0"])
def test_a_photo_without_a_face_takes_one_press(surf: Surf, do: str) -> None:
    photo = surf.photo(do=do)
    surf.keep(habits={"begin": do == "no face"})  # else the look before it says so
    page, dialog = pick(surf, photo)
    expect(dialog.locator(".photo.faceless .state")).to_have_text("No face found")
    shown = dialog.get_by_role("img", name="me.png")
    expect(shown).to_be_visible()
    assert shown.evaluate("canvas => [canvas.width, canvas.height]") == [240, 160]
    pixel = "canvas => [...canvas.getContext('2d').getImageData(120, 80, 1, 1).data].slice(1)"
    assert shown.evaluate(pixel) == [60, 90, 255], "it is the photo"
    assert dialog.evaluate("document.activeElement.id") == "title", "no key hands it over by chance"
    surf.gets_nothing(page)
    assert dialog.text_content("#use") == "Upload unchanged"
    surf.press(dialog, "#use")
    surf.gets(page, ("me.png", "image/png", photo.data))


def test_a_photo_of_others_takes_one_press(surf: Surf) -> None:
    """Only the user's own face was to be protected, and it is not in the photo."""
    photo = surf.photo(do="strangers")
    surf.live.ask("POST", "/v1/owner", surf.photo("owner.png").data, Content_Type="image/png")
    surf.keep(defaults={"prompt": "", "level": "", "faces": "mine"})
    page, dialog = pick(surf, photo)
    expect(dialog.locator(".photo.strangers .state")).to_have_text("Your face was not found")
    expect(dialog.get_by_role("img", name="me.png")).to_be_visible()
    expect(dialog.locator(".problem")).to_be_hidden()
    color = "element => getComputedStyle(element).color"
    state, bad = (dialog.locator(part).first.evaluate(color) for part in (".photo .state", ".bad"))
    assert state != bad
    assert dialog.evaluate("document.activeElement.id") == "title", "no key hands it over by chance"
    surf.gets_nothing(page)
    dialog.select_option("#faces", "all")  # all faces after all
    wait_for(lambda: page.evaluate("0") == 0 and len(levels(surf)) == 2)
    expect(dialog.locator(".photo.strangers")).to_be_visible()
    assert dialog.text_content("#use") == "Upload unchanged"
    surf.press(dialog, "#use")
    surf.gets(page, ("me.png", "image/png", photo.data))


def test_where_nothing_is_asked_a_photo_of_others_never_goes_by_itself(serve: Serve) -> None:
    surf = serve(rule="always")
    surf.keep(habits={"faceless": True})
    page, dialog = pick(surf, surf.photo(do="strangers"))
    dialog.wait_for_selector(".photo.strangers")
    surf.gets_nothing(page)


def test_all_faces_are_counted_before_the_work_begins(surf: Surf) -> None:
    _, dialog = pick(surf, *(surf.photo(f"{i}.png", do="slow 60") for i in range(3)))
    expect(dialog.locator(".found")).to_have_text(["1 face found"] * 3)
    assert dialog.locator(".photo.done").count() == 0


def test_the_button_says_how_many_go_unchanged(surf: Surf) -> None:
    face, none = surf.photo("face.png"), surf.photo("none.png", do="no face")
    page, dialog = pick(surf, face, none)
    dialog.wait_for_selector("#use:enabled")
    assert dialog.text_content("#use") == "Upload: 1 protected, 1 unchanged"
    surf.press(dialog, "#use")
    surf.gets(page, ("face.png", "image/png", face.protected), ("none.png", "image/png", none.data))


def test_where_nothing_is_asked_a_photo_without_a_face_goes_on_only_by_the_users_word(serve: Serve) -> None:
    surf = serve(rule="always")
    photo = surf.photo(do="no face")
    page, dialog = pick(surf, photo)
    dialog.wait_for_selector(".photo.faceless")
    surf.gets_nothing(page)
    surf.press(dialog, "#cancel")
    gone(surf, page)
    surf.keep(habits={"faceless": True})
    page.set_input_files("#one", photo.path)
    surf.gets(page, ("me.png", "image/png", photo.data))


@pytest.mark.parametrize(("name", "data", "shown"), [("me.gif", gif(), True), ("me.heic", b"\0heic", False)])
def test_what_the_server_cannot_read_was_not_looked_at(
    surf: Surf, name: str, data: bytes, shown: bool
) -> None:
    photo = surf.photo(name, data=data)
    page, dialog = pick(surf, photo)
    expect(dialog.locator(".photo.unread .state")).to_have_text("Not looked at")
    expect(dialog.locator(".problem")).to_contain_text("nobody looked for faces in it")
    expect(dialog.locator("canvas.whole-photo" if shown else "p.whole-photo")).to_be_visible()
    assert dialog.is_disabled("#use")
    surf.press(dialog, ".original")
    assert dialog.is_disabled("#use")
    dialog.click(".yes")
    surf.press(dialog, "#use")
    wait_for(lambda: page.evaluate("0") == 0 and surf.site.arrived)
    assert [(file.name, file.data) for file in surf.site.arrived] == [(name, data)]


def test_the_rule_never_lets_through_what_was_not_looked_at(serve: Serve) -> None:
    surf = serve(rule="always")
    surf.keep(habits={"faceless": True})
    page, dialog = pick(surf, surf.photo("me.gif", data=gif()))
    dialog.wait_for_selector(".photo.unread")
    surf.gets_nothing(page)
    assert HOST in (dialog.text_content("#site") or "")

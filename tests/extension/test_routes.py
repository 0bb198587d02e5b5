"""Every way in which sites take photos: the protected photo arrives under its name, and nothing else does."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, TimeoutError

from tests.extension.conftest import HOST, Photo, Surf, choose, drop, notices
from tests.support.chooser import file_chooser
from tests.support.live import wait_for
from tests.support.scripted import MARK


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


@pytest.mark.parametrize(
    ("name", "trusted"), [("me.jpeg", True), ("me.webp", True), ("Bild von mir.v2.PNG", False)]
)
def test_an_input(surf: Surf, name: str, trusted: bool) -> None:
    """Names of results: extension/unit/photo-files.test.js."""
    page, photo = surf.open("input.html"), surf.photo(name)
    kind = {"jpg": "image/jpeg", "peg": "image/jpeg", "ebp": "image/webp"}.get(name[-3:], "image/png")
    page.set_input_files(
        "#one", photo.path if trusted else {"name": name, "mimeType": kind, "buffer": photo.data}
    )
    surf.gets_nothing(page, 100)
    surf.protect(page)
    surf.gets(page, (name, kind, photo.protected))
    assert page.text_content("#state") == "nothing yet input:1 change:1"


@pytest.mark.parametrize(
    "how", ["listener", "property", "capture", "dispatched", "picker", "label", "parent", "markup"]
)
def test_a_detached_input(surf: Surf, how: str) -> None:
    page, photo = surf.open("detached.html"), surf.photo()
    choose(page, f"#{how}", photo)
    surf.gets_nothing(page, 100)
    surf.protect(page)
    surf.gets(page, ("me.png", "image/png", photo.protected))


@pytest.mark.parametrize("how", ["open", "closed", "nested", "declared"])
def test_an_input_in_a_shadow_tree(surf: Surf, how: str) -> None:
    page, photo = surf.open("shadow.html"), surf.photo()
    box = page.locator(f"#{how}").bounding_box()
    assert box
    with file_chooser(page) as chooser:
        page.mouse.click(box["x"] + 20, box["y"] + 10)
    chooser.value.set_files(photo.path)
    surf.gets_nothing(page, 100)
    surf.protect(page)
    surf.gets(page, ("me.png", "image/png", photo.protected))


@pytest.mark.parametrize("button", ["#one", "#button"])
def test_a_page_that_changes_its_prototypes(surf: Surf, button: str) -> None:
    page, photo = surf.open("hooks.html"), surf.photo()
    choose(page, button, photo)
    surf.gets_nothing(page, 100)
    surf.protect(page)
    surf.gets(page, ("me.png", "image/png", photo.protected))
    sizes = page.evaluate("window.stolen.map((file) => file.size)")
    assert len(photo.data) not in sizes


@pytest.mark.parametrize("button", ["#one", "#button"])
def test_a_strict_page(surf: Surf, button: str) -> None:
    page, photo = surf.open("strict.html"), surf.photo()
    choose(page, button, photo)
    surf.protect(page)
    surf.gets(page, ("me.png", "image/png", photo.protected))


def test_a_controlled_input(surf: Surf) -> None:
    page, photo = surf.open("react.html"), surf.photo()
    for _ in range(2):  # the same file twice
        page.set_input_files("#one", photo.path)
        surf.protect(page)
    surf.gets(page, *[("me.png", "image/png", photo.protected)] * 2)


def test_a_page_that_draws_itself_anew_meanwhile(surf: Surf) -> None:
    page, photo = surf.open("rerender.html"), surf.photo()
    page.set_input_files("#one", photo.path)
    surf.dialog(page)
    page.evaluate("draw()")
    surf.protect(page)
    surf.gets(page, ("me.png", "image/png", photo.protected))


def test_a_page_that_stops_events(surf: Surf) -> None:
    page, photo, other = surf.open("stops.html"), surf.photo(), surf.photo("other.jpg")
    page.set_input_files("#one", photo.path)
    surf.gets_nothing(page, 100)
    surf.protect(page)
    surf.gets(page, ("me.png", "image/png", photo.protected))
    drop(page, "#zone", other)
    surf.protect(page)
    surf.gets(page, ("me.png", "image/png", photo.protected), ("other.jpg", "image/jpeg", other.protected))


@pytest.mark.parametrize("which", ["same", "srcdoc", "blank"])
def test_frames(surf: Surf, which: str) -> None:
    page, photo = surf.open("iframe.html"), surf.photo()
    page.frame_locator(f"#{which}").locator("input").first.set_input_files(photo.path)
    page.wait_for_timeout(100)
    assert surf.site.arrived == []
    assert surf.dialog(page).parent_frame == page.main_frame  # where there is room for it
    surf.protect(page)
    surf.gets(page, ("me.png", "image/png", photo.protected))


def test_a_frame_in_a_page_that_is_off_is_asked_for_in_a_window(surf: Surf) -> None:
    page, photo = surf.open("outer.html", host="other.localhost"), surf.photo()
    frame = wait_for(
        lambda: page.evaluate("0") == 0 and next((f for f in page.frames if HOST in f.url), None)
    )
    page.evaluate(f"document.querySelector('iframe').src = '{surf.site.url('input.html')}'")
    frame.wait_for_selector("#one")
    with surf.context.expect_page() as opened:
        frame.set_input_files("#one", photo.path)
    window = opened.value
    surf.pages.append(window)
    window.wait_for_selector("#use:enabled")
    assert surf.site.arrived == [] and surf.dialogs(page) == []
    surf.press(window, "#use")
    surf.gets(page, ("me.png", "image/png", photo.protected))
    wait_for(lambda: page.evaluate("0") == 0 and window.is_closed())


# --- drag and drop, paste, pickers -------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["#zone", "#field"])
def test_a_drop(surf: Surf, zone: str) -> None:
    page, photo = surf.open("drop.html"), surf.photo("me.webp")
    drop(page, zone, photo)
    surf.gets_nothing(page, 100)
    surf.protect(page)
    surf.gets(page, ("me.webp", "image/webp", photo.protected))
    assert page.get_attribute("#zone", "class") in (None, "")


def test_a_drop_that_a_script_makes(surf: Surf) -> None:
    page, photo = surf.open("drop.html"), surf.photo()
    page.evaluate(
        """(bytes) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], 'me.png', { type: 'image/png' }));
          const how = { bubbles: true, composed: true, cancelable: true };
          zone.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, ...how }));
        }""",
        list(photo.data),
    )
    surf.gets_nothing(page, 100)
    surf.protect(page)
    surf.gets(page, ("me.png", "image/png", photo.protected))


@pytest.mark.parametrize("zone", ["#zone", "#handles"])
def test_a_drop_zone_that_asks_for_entries(surf: Surf, zone: str) -> None:
    page, photo, other = surf.open("entries.html"), surf.photo("a.png"), surf.photo("b.jpg")
    drop(page, zone, photo, other)
    surf.gets_nothing(page, 100)
    surf.protect(page)
    surf.gets(page, ("a.png", "image/png", photo.protected), ("b.jpg", "image/jpeg", other.protected))


def test_a_folder_is_refused_in_words(surf: Surf) -> None:
    page, photo = surf.open("drop.html"), surf.photo()
    folder = type(photo)(photo.path.parent, b"")
    drop(page, "#zone", folder)
    surf.gets_nothing(page)
    assert surf.dialogs(page) == []
    assert notices(page) == [
        "clip2protect: photos in a folder cannot be protected. Choose or drop the photos themselves."
    ]


def test_a_photo_by_another_name(surf: Surf) -> None:
    """Its bytes say that it is a photo, and the result's ending fits its type."""
    page, photo = surf.open("input.html"), surf.photo()
    page.set_input_files("#one", surf.photo("me.jpg_large", data=photo.data).path)
    surf.protect(page)
    surf.gets(page, ("me.png", "image/png", photo.protected))


def test_a_file_of_an_unknown_kind_passes(surf: Surf) -> None:
    page, file = surf.open("input.html"), surf.photo("data.bin2", data=b"neither here nor there")
    page.set_input_files("#one", file.path)
    [arrived] = wait_for(lambda: page.evaluate("0") == 0 and surf.site.arrived)
    assert (arrived.name, arrived.data) == ("data.bin2", file.data)
    assert surf.dialogs(page) == []


def test_html_that_comes_with_a_photo_may_hold_it_once_more(surf: Surf) -> None:
    page, photo = surf.open("paste.html"), surf.photo()
    page.evaluate("addEventListener('paste', (e) => { window.types = [...e.clipboardData.types]; })")
    page.evaluate(
        """(bytes) => {
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([new Uint8Array(bytes)], 'me.png', { type: 'image/png' }));
          const whole = 'data:image/png;base64,' + btoa(String.fromCharCode(...bytes));
          clipboardData.setData('text/html', `<img src="${whole}">`);
          clipboardData.setData('text/uri-list', 'https://elsewhere.example/me.png');
          clipboardData.setData('text/plain', 'me at the sea');
          const how = { bubbles: true, composed: true, cancelable: true };
          field.dispatchEvent(new ClipboardEvent('paste', { clipboardData, ...how }));
        }""",
        list(photo.data),
    )
    surf.protect(page)
    wait_for(lambda: page.evaluate("window.types"))
    assert sorted(page.evaluate("window.types")) == ["Files", "text/plain"]


@pytest.mark.parametrize("how", ["paste", "read"])
def test_a_paste(surf: Surf, how: str) -> None:
    page = surf.open("paste.html")
    surf.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async () => {
          const canvas = new OffscreenCanvas(120, 90);
          canvas.getContext('2d').fillRect(5, 5, 50, 50);
          await navigator.clipboard.write([new ClipboardItem({ 'image/png': await canvas.convertToBlob() })]);
        }"""
    )
    if how == "paste":
        page.click("#field")
        page.keyboard.press("Control+V")
    else:
        page.click("#read")
    surf.gets_nothing(page, 100)
    surf.protect(page)
    [file] = wait_for(lambda: page.evaluate("0") == 0 and surf.site.arrived)
    page.wait_for_timeout(200)
    assert len(surf.site.arrived) == 1
    assert (file.name, file.kind) == ("image.png" if how == "paste" else "read.png", "image/png")
    assert file.data.startswith(b"\x89PNG") and file.data.endswith(MARK)


#: No test can answer the browser's own picker, a window of the desktop: handles of real files stand in.
PICKED = """async () => {
  const root = await navigator.storage.getDirectory();
  return Promise.all(window.wanted.map(async ([name, bytes]) => {
    const handle = await root.getFileHandle(name, { create: true }), stream = await handle.createWritable();
    await stream.write(new Uint8Array(bytes));
    await stream.close();
    return handle;
  }));
}"""


def picker(surf: Surf, *photos: Photo) -> Page:
    page = surf.context.new_page()
    page.set_default_timeout(30_000)
    surf.pages.append(page)
    page.add_init_script(f"window.showOpenFilePicker = {PICKED}")
    page.goto(surf.site.url("picker.html"))
    page.evaluate(
        "(wanted) => { window.wanted = wanted; }", [[photo.name, list(photo.data)] for photo in photos]
    )
    return page


def test_show_open_file_picker(surf: Surf) -> None:
    photo, other = surf.photo("a.png"), surf.photo("b.jpg")
    page = picker(surf, photo, other)
    page.click("#one")
    surf.gets_nothing(page)
    surf.protect(page)
    surf.gets(page, ("a.png", "image/png", photo.protected), ("b.jpg", "image/jpeg", other.protected))


def test_a_cancelled_show_open_file_picker(surf: Surf) -> None:
    page = picker(surf, surf.photo())
    page.click("#one")
    surf.press(surf.dialog(page), "#cancel")
    page.wait_for_selector("text=AbortError")
    surf.gets_nothing(page)


def test_show_open_file_picker_with_another_file(surf: Surf) -> None:
    note = surf.photo("notes.txt", data=b"notes")
    page = picker(surf, note)
    page.click("#one")
    surf.gets(page, ("notes.txt", "text/plain", b"notes"))
    assert surf.dialogs(page) == []


def test_an_input_for_folders_is_refused_in_words(surf: Surf) -> None:
    """Its files' places in the folder cannot be given back."""
    page, photo = surf.open("input.html"), surf.photo()
    with pytest.raises(TimeoutError):  # the browser's driver waits for an event that is held back
        page.set_input_files("#folder", photo.path.parent, timeout=2000)
    surf.gets_nothing(page)
    assert surf.dialogs(page) == []
    [said] = notices(page)
    assert said.startswith("clip2protect: photos in a folder cannot be protected.")

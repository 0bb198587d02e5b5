"""A page that means harm: it gets nothing, learns nothing, and presses no button."""

from __future__ import annotations

import re
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat
from playwright.sync_api import BrowserContext, Error, Frame, Page, Playwright

from tests.extension.conftest import EXTENSION, FOLDER, HOST, Photo, Surf, browsing, choose, control_of
from tests.support.live import wait_for


@pytest.fixture
def browser(playwright: Playwright, unpacked: Path) -> BrowserContext:
    """The extension with the moment that it has."""
    return FOLDER.share("guarded browser", lambda: browsing(playwright, unpacked))


@pytest.fixture
def control(browser: BrowserContext) -> Page:
    return FOLDER.share("guarded control", lambda: nullcontext(control_of(browser)))


@pytest.fixture
def held(surf: Surf) -> tuple[Surf, Page, Photo, Frame]:
    """A photo that waits in the dialog above a hostile page."""
    page, photo = surf.open("hostile.html"), surf.photo()
    page.set_input_files("#one", photo.path)
    return surf, page, photo, surf.dialog(page)


Held = tuple[Surf, Page, Photo, Frame]


def test_functions_of_a_fresh_frame_do_not_get_around(surf: Surf) -> None:
    page, photo = surf.open("hostile.html"), surf.photo()
    choose(page, "#evade", photo)
    surf.gets_nothing(page)
    surf.protect(page)
    surf.gets(page, ("me.png", "image/png", photo.protected))


def test_the_input_holds_no_file_while_the_dialog_is_open(held: Held) -> None:
    _, page, _, _ = held
    assert page.evaluate("[one.files.length, one.value, new FormData().getAll('one').length]") == [0, "", 0]


def test_forged_events_give_nothing(held: Held) -> None:
    surf, page, _, _ = held
    for kind in ("input", "change", "cancel", "drop", "paste", "clip2protect-look"):
        page.evaluate(
            """(kind) => {
              const detail = { use: 'original' };
              for (const target of [window, document, one]) {
                target.dispatchEvent(new CustomEvent(kind, { bubbles: true, composed: true, detail }));
                target.dispatchEvent(new MouseEvent(kind, { bubbles: true, relatedTarget: one }));
              }
            }""",
            kind,
        )
        surf.gets_nothing(page, 150)
        assert len(surf.dialogs(page)) == 1, kind


def test_forged_messages_give_nothing(held: Held) -> None:
    surf, page, _, _ = held
    page.evaluate(
        """() => {
          const decisions = [{ use: 'original' }];
          const forged = [{ type: 'deliver', decisions }, { type: 'files', files: [] }, { type: 'cancel' }];
          for (const message of forged) {
            window.postMessage(message, '*');
            for (let i = 0; i < frames.length; i += 1) frames[i].postMessage(message, '*');
          }
        }"""
    )
    surf.gets_nothing(page)
    assert len(surf.dialogs(page)) == 1


def test_the_background_cannot_be_spoken_to(held: Held) -> None:
    surf, page, _, _ = held
    runtime = page.evaluate(
        "typeof chrome === 'undefined' || !chrome.runtime ? 'none' : typeof chrome.runtime.sendMessage"
    )
    assert runtime in ("none", "undefined")
    assert surf.tell({"type": "no such thing"})["trouble"]["code"] == "refused"


def test_a_script_in_a_page_may_ask_for_nothing_but_the_dialog(surf: Surf) -> None:
    """Even our own script: a page that has broken into its process speaks as the script does."""
    page = surf.open("hostile.html")
    handlers = (EXTENSION / "src/background/main.js").read_text("utf-8").partition("const HANDLERS = {")[2]
    kinds = re.findall(r"^  (\w+): ", handlers.partition("\n};")[0], re.MULTILINE)
    assert len(kinds) == 17
    for kind in kinds:
        answer = surf.control.evaluate(
            """async ([url, kind]) => {
              const [tab] = await chrome.tabs.query({ url });
              const rest = { host: 'a.localhost', rule: 'always', code: '', ticket: '', id: '' };
              const func = (kind, rest) => chrome.runtime.sendMessage({ type: kind, ...rest });
              const target = { tabId: tab.id }, args = [kind, rest];
              return (await chrome.scripting.executeScript({ target, func, args }))[0].result;
            }""",
            [page.url, kind],
        )
        assert answer["trouble"]["code"] == "refused", kind
    assert surf.stored("local", "sites") == {HOST: "ask"}


def test_the_dialog_cannot_be_found_or_read(held: Held) -> None:
    _, page, _, _ = held
    assert page.evaluate("frames.length") == 0
    assert (
        page.evaluate(
            "[...document.querySelectorAll('*')]"
            ".filter((e) => e.shadowRoot || e.localName === 'iframe').length"
        )
        == 0
    )
    assert page.evaluate("document.documentElement.lastElementChild.innerHTML") == ""


def addresses(surf: Surf, page: Page, dialog: Frame) -> list[str]:
    """Addresses of the dialog that a page could know: its own, the one that scripts get, with tickets."""
    told = surf.control.evaluate(
        """async (url) => {
          const [tab] = await chrome.tabs.query({ url });
          const func = () => chrome.runtime.getURL('src/dialog/dialog.html');
          return (await chrome.scripting.executeScript({ target: { tabId: tab.id }, func }))[0].result;
        }""",
        page.url,
    )
    ticket = dialog.url.partition("#")[2]
    assert len(ticket) > 30
    return [dialog.url.partition("#")[0], dialog.url, told, f"{told}#{ticket}", f"{told}#x"]


def test_the_dialog_in_a_frame_of_the_page_does_nothing(held: Held) -> None:
    surf, page, _, dialog = held
    known = addresses(surf, page, dialog)
    page.evaluate(
        """(known) => {
          for (const src of known) {
            document.body.append(Object.assign(document.createElement('iframe'), { src }));
          }
        }""",
        known,
    )
    wait_for(lambda: page.evaluate("0") == 0 and len(page.frames) == 2 + len(known))
    framed = wait_for(lambda: page.evaluate("0") == 0 and [f for f in surf.dialogs(page) if f != dialog])
    assert framed  # the address that scripts in pages are told is one that can be shown
    for frame in framed:
        frame.wait_for_selector("#nothing:not([hidden])")
        assert frame.is_hidden("#panel")
    surf.gets_nothing(page)


def cover(page: Page, css: str) -> None:
    page.evaluate(
        """(css) => {
          const cover = document.createElement('dialog');
          cover.style.cssText = css;
          cover.textContent = 'You have won';
          document.body.append(cover);
          cover.popover = 'manual';
          cover.showPopover();
        }""",
        css,
    )


@pytest.mark.parametrize(
    "css",
    [
        "pointer-events:none;position:fixed;inset:0;width:100vw;height:100vh;max-width:none;max-height:none;"
        "border:0;margin:0",
        "pointer-events:none;position:fixed;inset:0;width:60vw;height:60vh;margin:auto;opacity:.9",
    ],
    ids=["all", "part"],
)
def test_a_covered_dialog_hears_no_click(held: Held, css: str) -> None:
    surf, page, _, dialog = held
    dialog.wait_for_selector("html[data-armed=true]")
    place = dialog.locator("#cancel").bounding_box()
    assert place
    cover(page, css)
    dialog.wait_for_selector("html[data-armed=false]")
    page.mouse.click(place["x"] + 5, place["y"] + 5)
    page.wait_for_timeout(700)  # longer than the moment
    page.mouse.click(place["x"] + 5, place["y"] + 5)
    page.wait_for_timeout(200)
    assert len(surf.dialogs(page)) == 1
    page.evaluate("document.querySelector('dialog').remove()")
    surf.press(dialog, "#cancel")
    wait_for(lambda: page.evaluate("0") == 0 and not surf.dialogs(page))


@pytest.fixture
def small(surf: Surf) -> tuple[Surf, Page, Photo, Frame]:
    """A photo that is worked on while the page is used: the dialog is a card in the corner."""
    page, photo = surf.open("hostile.html"), surf.photo(do="slow 60")
    page.set_input_files("#one", photo.path)
    dialog = surf.dialog(page)
    surf.press(dialog, "#aside")
    dialog.wait_for_selector("#card:visible")
    dialog.wait_for_selector("html[data-armed=true]")
    return surf, page, photo, dialog


def middle_of_the_card(page: Page, dialog: Frame) -> tuple[float, float]:
    """In the page, which does not know it."""
    box = dialog.locator("#card").bounding_box()
    size = page.viewport_size
    assert box and size and box["x"] > size["width"] / 2 and box["y"] > size["height"] - 150
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize(
    "css",
    [
        "pointer-events:none;position:fixed;inset:0;width:100vw;height:100vh;max-width:none;max-height:none;"
        "border:0;margin:0",
        "pointer-events:none;position:fixed;inset:auto 12px 12px auto;width:90px;height:60px;margin:0;"
        "opacity:.9",
    ],
    ids=["all", "part"],
)
def test_a_covered_card_hears_no_click(small: Held, css: str) -> None:
    _, page, _, dialog = small
    x, y = middle_of_the_card(page, dialog)
    cover(page, css)
    dialog.wait_for_selector("html[data-armed=false]")
    page.mouse.click(x, y)
    page.wait_for_timeout(700)  # longer than the moment
    page.mouse.click(x, y)
    page.wait_for_timeout(200)
    assert dialog.is_visible("#card"), "it did not grow"
    page.evaluate("document.querySelector('dialog').remove()")
    dialog.wait_for_selector("html[data-armed=true]")  # while the pointer rests on it
    page.mouse.click(x, y)
    dialog.wait_for_selector("#panel:visible")


def test_a_page_neither_finds_nor_presses_nor_moves_the_card(small: Held) -> None:
    surf, page, _, dialog = small
    x, y = middle_of_the_card(page, dialog)
    page.evaluate(
        """([x, y]) => {
          const there = document.elementFromPoint(x, y);
          for (const kind of ['pointerdown', 'click']) {
            there?.dispatchEvent(new MouseEvent(kind, { bubbles: true, clientX: x, clientY: y }));
          }
          there?.click?.();
          const forged = { type: 'size', small: false };
          for (let i = 0; i < frames.length; i += 1) frames[i].postMessage(forged, '*');
          const host = document.documentElement.lastElementChild;
          host.style.cssText += 'position:fixed;left:0;top:0;transform:translate(-300px,-300px)';
          try { host.hidePopover(); } catch { /* it is none */ }
        }""",
        [x, y],
    )
    page.wait_for_timeout(300)
    assert dialog.is_visible("#card") and page.evaluate("frames.length") == 0
    assert middle_of_the_card(page, dialog) == (x, y)
    surf.gets_nothing(page)


def test_nobody_but_the_dialog_of_the_upload_changes_its_size(small: Held) -> None:
    surf, _, _, dialog = small
    known = dialog.url.partition("#")[2]
    answer = surf.tell({"type": "size", "ticket": known, "small": False})
    assert answer["trouble"]["code"] == "refused", "another page of the extension"
    assert dialog.is_visible("#card")


def test_the_growing_dialog_starts_the_moment_again(small: Held) -> None:
    _, _, _, dialog = small
    dialog.evaluate(
        """() => {
          const note = () => { globalThis.armed = document.documentElement.dataset.armed; };
          new MutationObserver(note).observe(document.getElementById('panel'), { attributes: true });
        }"""
    )
    dialog.click("#card")
    dialog.wait_for_selector("#panel:visible")
    assert dialog.evaluate("globalThis.armed") == "false"


def difference(one: bytes, other: bytes) -> float:
    """Mean of what two pictures differ by, of 255: a few pixels at edges are drawn now so, now so."""
    pictures = [Image.open(BytesIO(data)).convert("RGB") for data in (one, other)]
    return sum(ImageStat.Stat(ImageChops.difference(*pictures)).mean) / 3


@pytest.mark.parametrize(
    "css", ["opacity:.01", "filter:blur(9px)", "transform:scale(.4)", "clip-path:inset(30%)"]
)
def test_a_dialog_that_is_made_faint_hears_no_click(held: Held, css: str) -> None:
    _, page, _, dialog = held
    dialog.wait_for_selector("html[data-armed=true]")
    dialog.wait_for_selector("text=1 face found")  # the last that changes by itself
    box = dialog.locator("#panel").bounding_box()
    assert box
    before = page.screenshot(clip=box)
    page.evaluate(
        """(css) => {
          const root = document.documentElement;
          for (const element of [root, root.lastElementChild]) element.style.cssText += css;
        }""",
        css,
    )
    page.wait_for_timeout(500)
    # The browser's top layer is above what the page does to its own elements; if not, no button works.
    seen = dialog.evaluate("document.documentElement.dataset.armed")
    assert seen == "false" or difference(before, page.screenshot(clip=box)) < 0.1


def test_clicks_that_a_script_makes_do_nothing(held: Held) -> None:
    surf, page, _, dialog = held
    dialog.wait_for_selector("html[data-armed=true]")
    dialog.evaluate("document.getElementById('cancel').click()")
    page.wait_for_timeout(300)
    assert len(surf.dialogs(page)) == 1
    surf.press(dialog, "#cancel")
    wait_for(lambda: page.evaluate("0") == 0 and not surf.dialogs(page))


def heard(dialog: Frame) -> str:
    """Whether clicks counted when the click came: "true" or "false"; empty before it."""
    try:
        return dialog.evaluate("globalThis.armed ?? ''")
    except Error:  # it went away: the click counted
        return "true"


def test_clicks_in_the_first_moment_do_nothing(surf: Surf) -> None:
    page, photo = surf.open("hostile.html"), surf.photo()
    for _ in range(10):  # a slow machine may click too late
        page.set_input_files("#one", photo.path)
        dialog = surf.dialog(page)
        dialog.evaluate(
            """() => {
              const note = () => { globalThis.armed = document.documentElement.dataset.armed; };
              document.getElementById('cancel').addEventListener('click', note, true);
            }"""
        )
        place = dialog.locator("#cancel").bounding_box()
        assert place
        page.mouse.click(place["x"] + 5, place["y"] + 5)
        if wait_for(lambda dialog=dialog: heard(dialog)) == "false":
            break
    else:
        pytest.fail("no click came in the first moment")
    dialog.wait_for_selector("html[data-armed=true]")
    assert len(surf.dialogs(page)) == 1
    surf.press(dialog, "#cancel")
    wait_for(lambda: page.evaluate("0") == 0 and not surf.dialogs(page))


def test_a_page_cannot_ask_the_server_by_itself(surf: Surf) -> None:
    page, origin = surf.open("hostile.html"), f"http://127.0.0.1:{surf.live.port}"
    ask = "([url, options]) => fetch(url, options).then((answer) => answer.status, (error) => error.name)"
    jobs = len(list(surf.live.server.service.jobs))
    for path in ("/v1/health", "/v1/status", "/v1/jobs"):
        assert page.evaluate(ask, [origin + path, {}]) == "TypeError"
    posted = {"method": "POST", "mode": "no-cors", "body": "photo", "headers": {"Content-Type": "text/plain"}}
    page.evaluate(ask, [f"{origin}/v1/jobs", posted])
    assert len(list(surf.live.server.service.jobs)) == jobs


def test_the_page_sees_nothing_of_the_server_or_the_secret(held: Held) -> None:
    surf, page, _, _ = held
    secret = surf.stored("local", "server")["secret"]
    assert len(secret) > 20
    text = page.evaluate(
        "JSON.stringify("
        "[document.documentElement.outerHTML, performance.getEntries(), heard, Object.keys(window)])"
    )
    assert secret not in text and str(surf.live.port) not in text


def test_a_page_elsewhere_is_not_touched(surf: Surf) -> None:
    page, photo = surf.open("input.html", host="other.localhost"), surf.photo()
    assert HOST not in page.url
    page.set_input_files("#one", photo.path)
    surf.gets(page, ("me.png", "image/png", photo.data))


def test_the_dialog_in_a_window_of_the_page_does_nothing(held: Held) -> None:
    surf, page, _, dialog = held
    for address in addresses(surf, page, dialog):
        with surf.context.expect_page() as opened:
            page.evaluate("(url) => { window.open(url); }", address)
        opened.value.wait_for_timeout(300)
        assert opened.value.locator("#panel:not([hidden])").count() == 0
        opened.value.close()
    surf.gets_nothing(page)


@pytest.mark.parametrize("what", ["mark", "folder"])
def test_a_page_cannot_pass_its_event_off_as_one_to_let_through(surf: Surf, what: str) -> None:
    page, photo = surf.open("hostile.html"), surf.photo()
    page.evaluate(
        """([bytes, what]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], 'me.png', { type: 'image/png' }));
          one.files = transfer.files;
          const event = new Event('change', { bubbles: true });
          if (what === 'mark') event[Symbol.for('clip2protect')] = true;
          else one.webkitdirectory = true;
          one.dispatchEvent(event);
        }""",
        [list(photo.data), what],
    )
    surf.dialog(page)
    surf.gets_nothing(page)


def test_a_script_in_a_page_reads_nothing_that_is_kept(surf: Surf) -> None:
    """Even one that is ours, as above: the secret is there."""
    page = surf.open("hostile.html")
    read = surf.control.evaluate(
        """async (url) => {
          const [tab] = await chrome.tabs.query({ url });
          const func = () => chrome.storage.local.get()
            .then((all) => Object.keys(all), (error) => String(error));
          return (await chrome.scripting.executeScript({ target: { tabId: tab.id }, func }))[0].result;
        }""",
        page.url,
    )
    assert "Access to storage is not allowed" in read

"""What arrives at a site, for every way of a photo in every kind of document: never an original.

`make test-leaks` prints the table.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Frame, Page, Playwright

from tests.extension.conftest import PAGES, Photo, Site, Surf, browsing, control_of, drop, notices
from tests.support.chooser import file_chooser
from tests.support.live import wait_for
from tests.support.scripted import MARK

Record = Callable[[str, object], None]

KINDS = (
    "top",
    "frame",
    "srcdoc",
    "blob",
    "sandboxed",
    "data",
    "script",
    "nested",
    "frameset",
    "xhtml",
    "drawing",
    "filled frame",
    "filled frame later",
    "filled popup",
    "written frame",
    "written later",
    "written top",
    "written without open",
    "written in lines",
    "popup",
    "written popup",
    "written popup later",
)
ROUTES = ("input", "detached input", "drop", "paste")


def taker(surf: Surf) -> str:
    """The page that takes photos, with the site's address in it."""
    text = (PAGES / "taker.html").read_text("utf-8")
    return text.replace("http://SITE", surf.site.url("").rstrip("/"))


XHTML = "http://www.w3.org/1999/xhtml"
#: Pages that are XML, and what stands around the taker in them.
XML = {
    "taker.xhtml": (f'<html xmlns="{XHTML}"><head></head><body>', "</body></html>"),
    "taker.svg": (
        '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300"><foreignObject width="400"'
        f' height="300"><body xmlns="{XHTML}">',
        "</body></foreignObject></svg>",
    ),
}


def as_xml(page: str) -> str:
    """A page's body as XML."""
    body = page.partition("</title>")[2]
    body = re.sub(r"(<input [^>]*)>", r"\1/>", body)
    return body.replace("<script>", "<script><![CDATA[").replace("</script>", "]]></script>")


def in_every_form(page: str) -> dict[str, bytes]:
    """The page as HTML and as XML, by its name on the site."""
    forms = {name: before + as_xml(page) + after for name, (before, after) in XML.items()}
    return {name: text.encode() for name, text in {"taker.html": page, **forms}.items()}


def show(surf: Surf, kind: str) -> tuple[Page, Frame]:
    """A document of a kind, and the page whose tab it is in."""
    surf.site.replaced |= in_every_form(taker(surf))
    if kind == "top":
        page = surf.open("taker.html")
        return page, page.main_frame
    page = surf.open("kinds.html")
    page.wait_for_timeout(50)
    make = "([kind, text]) => { setTimeout(() => KINDS[kind](text)); }"
    if "popup" in kind:
        with surf.context.expect_page() as opened:
            page.evaluate(make, [kind, taker(surf)])
        page = opened.value
        surf.pages.append(page)
        frame = page.main_frame
    else:
        page.evaluate(make, [kind, taker(surf)])
        page.wait_for_timeout(100)
        inner = "top" not in kind and kind not in ("written without open", "written in lines")
        frame = wait_for(lambda: page.frame("inner")) if inner else page.main_frame
    frame.wait_for_selector("#zone")
    frame.wait_for_function("window.seen")
    return page, frame


def choose(page: Page, frame: Frame, photo: Photo) -> None:
    """Choose a photo by an input.  Playwright does not know those of XML pages, so the browser is told."""
    if frame.evaluate("document.contentType") == "text/html":
        frame.set_input_files("#one", photo.path)
        return
    session = page.context.new_cdp_session(page)
    nodes = [session.send("DOM.getDocument", {"depth": -1, "pierce": True})["root"]]
    while "one" not in nodes[0].get("attributes", ()):
        node = nodes.pop(0)
        nodes += [*node.get("children", ()), *filter(None, [node.get("contentDocument")])]
    session.send("DOM.setFileInputFiles", {"files": [str(photo.path)], "nodeId": nodes[0]["nodeId"]})
    session.detach()


def bring(page: Page, frame: Frame, route: str, photo: Photo) -> None:
    """Bring a photo into a document as a person would."""
    if route == "input":
        choose(page, frame, photo)
    elif route == "detached input":
        with file_chooser(page) as chooser:
            frame.click("#detached")
        chooser.value.set_files(photo.path)
    elif route == "drop":
        box = frame.locator("#zone").bounding_box()
        assert box
        drop(page, (box["x"] + 20, box["y"] + 20), photo)
    else:
        frame.evaluate(
            """(bytes) => {
              const how = { bubbles: true, composed: true, cancelable: true };
              const clipboardData = new DataTransfer();
              clipboardData.items.add(new File([new Uint8Array(bytes)], 'me.png', { type: 'image/png' }));
              const field = document.getElementById('field');
              field.dispatchEvent(new ClipboardEvent('paste', { clipboardData, ...how }));
            }""",
            list(photo.data),
        )


def arrived(surf: Surf, photo: Photo) -> str:
    """What the site has of a photo."""
    if not surf.site.arrived:
        return "nothing"
    core = photo.data
    whole = [core in file.data or base64.b64encode(core)[:-4] in file.data for file in surf.site.arrived]
    protected = [file.data.endswith(MARK) for file in surf.site.arrived]
    if any(w and not p for w, p in zip(whole, protected, strict=True)):
        return "original"
    return "protected" if all(protected) else "something else"


@contextmanager
def noted(record: Record, where: str, way: str, surf: Surf, photo: Photo) -> Iterator[None]:
    """Adds a row to the table, however the test ends."""
    try:
        yield
    finally:
        record("leak", [where, way, arrived(surf, photo)])


def cell(kind: str, route: str) -> object:
    """A case; `make test` takes one way in every document, and all ways in two."""
    quick = route == "input" or kind in ("top", "written top")
    return pytest.param(kind, route, marks=() if quick else pytest.mark.slow)


#: Playwright answers no chooser of an XML page.
UNTRIED = {("xhtml", "detached input"), ("drawing", "detached input")}
CELLS = [cell(*way) for way in itertools.product(KINDS, ROUTES) if way not in UNTRIED]


@pytest.mark.parametrize(("kind", "route"), CELLS)
def test_a_photo_in_a_document(surf: Surf, kind: str, route: str, record_property: Record) -> None:
    photo = surf.photo()
    with noted(record_property, kind, route, surf, photo):
        page, frame = show(surf, kind)
        bring(page, frame, route, photo)
        wait_for(lambda: page.evaluate("0") == 0 and (surf.dialogs(page) or surf.site.arrived))
        assert surf.site.arrived == []
        surf.protect(page)
        wait_for(lambda: page.evaluate("0") == 0 and surf.site.arrived)
        page.wait_for_timeout(100)
        assert arrived(surf, photo) == "protected" and len(surf.site.arrived) == 1


# --- pages that were there before --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["open", "back", "back anew"])
def test_a_photo_chosen_while_the_site_was_off(surf: Surf, how: str, record_property: Record) -> None:
    """The browser keeps the page, or loads it anew and fills its input without an event."""
    photo = surf.photo()
    with noted(record_property, "chosen before", how, surf, photo):
        surf.rule("never")
        if how == "back anew":
            surf.site.headers["form.html"] = {"Cache-Control": "no-store"}
        page = surf.open("form.html")
        page.set_input_files("input", photo.path)
        if how != "open":
            page.goto(surf.site.url("paste.html"))
        surf.rule("ask")
        if how != "open":
            page.go_back()
        surf.dialog(page)
        assert page.evaluate("new FormData(document.forms[0]).get('photo').size") == 0
        surf.protect(page)
        page.click("button")
        surf.gets(page, ("me.png", "image/png", photo.protected))


def test_a_tab_that_was_open_when_its_site_was_turned_on(surf: Surf, record_property: Record) -> None:
    photo = surf.photo()
    with noted(record_property, "open tab", "input", surf, photo):
        surf.rule("never")
        page = surf.open("input.html")
        surf.rule("ask")
        page.set_input_files("#one", photo.path)
        surf.protect(page)
        surf.gets(page, ("me.png", "image/png", photo.protected))
        assert page.evaluate("String(HTMLElement.prototype.click)") == "function click() { [native code] }"


def test_an_open_tab_after_an_update_of_the_extension(
    playwright: Playwright, hurried: Path, record_property: Record, tmp_path: Path
) -> None:
    """The new version's scripts take over: the old ones have lost their extension."""
    site, photo = Site(), tmp_path / "me.jpg"
    photo.write_bytes(b"\xff\xd8\xff\xe0 a photo")
    try:
        with browsing(playwright, hurried) as browser:
            control = control_of(browser)
            turn_on = "chrome.runtime.sendMessage({ type: 'setSite', host: 'photos.localhost', rule: 'ask' })"
            control.evaluate(turn_on)
            page = browser.new_page()
            page.goto(site.url("input.html"))
            settings = browser.new_page()
            settings.goto("chrome://extensions")
            settings.evaluate(
                "new Promise((done) => chrome.developerPrivate.updateProfileConfiguration("
                "{ inDeveloperMode: true }, done))"
            )
            settings.wait_for_timeout(500)
            control.evaluate("() => { setTimeout(() => chrome.runtime.reload()); }")
            page.wait_for_timeout(3000)
            page.set_input_files("#one", photo)
            wait_for(
                lambda: page.evaluate("0") == 0 and any("/dialog.html" in frame.url for frame in page.frames)
            )
            page.wait_for_timeout(300)
            record_property("leak", ["after an update", "input", "original" if site.arrived else "nothing"])
            assert site.arrived == []
    finally:
        site.stop()


# --- texts, kinds of files, handles ------------------------------------------------------------------------

PASTE = """([kind, text]) => {
  window.got = null;
  addEventListener(HOW, (event) => {
    event.preventDefault();
    window.got = (event.clipboardData ?? event.dataTransfer).getData(kind);
  });
  const data = new DataTransfer(), how = { bubbles: true, composed: true, cancelable: true };
  data.setData(kind, text);
  const field = document.getElementById('field');
  field.dispatchEvent(HOW === 'paste' ? new ClipboardEvent('paste', { clipboardData: data, ...how })
    : new DragEvent('drop', { dataTransfer: data, ...how }));
}"""


def address(photo: Photo) -> str:
    return "data:image/png;base64," + base64.b64encode(photo.data).decode()


def protected(photo: Photo) -> str:
    return "data:image/png;base64," + base64.b64encode(photo.protected).decode()


@pytest.mark.parametrize("how", ["paste", "drop"])
@pytest.mark.parametrize("kind", ["text/html", "text/uri-list", "text/plain"])
def test_a_photo_in_a_text(surf: Surf, kind: str, how: str, record_property: Record) -> None:
    page, photo = surf.open("paste.html"), surf.photo()
    text = f'<p>me</p><img src="{address(photo)}">' if kind == "text/html" else address(photo)
    page.evaluate(PASTE.replace("HOW", f"'{how}'"), [kind, text])
    surf.protect(page)
    got = wait_for(lambda: page.evaluate("window.got"))
    record_property("leak", [kind, how, "protected" if protected(photo) in got else "original"])
    assert got.strip() == text.replace(address(photo), protected(photo))


@pytest.mark.parametrize("how", ["read", "readText"])
def test_a_photo_in_a_copied_text(surf: Surf, how: str, record_property: Record) -> None:
    page, photo = surf.open("paste.html"), surf.photo()
    surf.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.bring_to_front()
    page.evaluate(
        """async ([how, address]) => {
          const kind = how === 'read' ? 'text/html' : 'text/plain';
          const text = how === 'read' ? `<img src="${address}">` : address;
          await navigator.clipboard.write([new ClipboardItem({ [kind]: new Blob([text], { type: kind }) })]);
          const item = async () => (await navigator.clipboard.read())[0];
          const read = async () => (how === 'readText' ? navigator.clipboard.readText()
            : (await (await item()).getType(kind)).text());
          setTimeout(async () => { window.got = await read(); });
        }""",
        [how, address(photo)],
    )
    surf.protect(page)
    got = wait_for(lambda: page.evaluate("window.got"))
    record_property("leak", ["clipboard", how, "protected" if protected(photo) in got else "original"])
    assert got.replace("<img src=", "").strip('">') == protected(photo)


@pytest.mark.parametrize("name", ["me.svg", "me.html", "me.pdf", "me.txt", "me.bak"])
def test_a_file_that_is_or_holds_a_photo(surf: Surf, name: str, record_property: Record) -> None:
    photo = surf.photo()
    text = {"me.svg": '<svg><image href="{}"/></svg>', "me.html": "<!doctype html><img src={}>"}.get(name)
    data = text.format(address(photo)).encode() if text else photo.data
    file = surf.photo(name, data=data)
    page = surf.open("input.html")
    with noted(record_property, "file", name, surf, file):
        page.set_input_files("#one", file.path)
        surf.protect(page)
        wait_for(lambda: page.evaluate("0") == 0 and surf.site.arrived)
    [got] = surf.site.arrived
    if text:
        assert (got.name, got.data.decode()) == (name, text.format(protected(photo)))
    else:
        assert (got.name, got.data) == ("me.png", photo.protected)


@pytest.mark.parametrize("name", ["me.raf", "me.orf", "me.pef", "me.gif"])
def test_a_photo_that_the_server_cannot_read(surf: Surf, name: str, record_property: Record) -> None:
    page, photo = surf.open("input.html"), surf.photo(name, data=b"raw pixels")
    with noted(record_property, "file", name, surf, photo):
        page.set_input_files("#one", photo.path)
        surf.press(surf.dialog(page), "#cancel")
        surf.gets_nothing(page)


KEEP = """() => new Promise((resolve, reject) => {
  const request = indexedDB.open('kept', 1);
  request.onupgradeneeded = () => request.result.createObjectStore('handles');
  request.onerror = reject;
  request.onsuccess = () => {
    const base = request.result;
    const store = () => base.transaction('handles', 'readwrite').objectStore('handles');
    window.kept = (key) => new Promise((done) => {
      const got = store().get(key);
      got.onsuccess = () => done(got.result);
    });
    window.ondragover = (event) => event.preventDefault();
    window.ondrop = async (event) => {
      event.preventDefault();
      const handle = await event.dataTransfer.items[0].getAsFileSystemHandle();
      store().put(handle, 'one');
      window.stored = true;
    };
    resolve();
  };
})"""


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_handle_that_the_page_has_kept(surf: Surf, what: str, record_property: Record) -> None:
    photo = surf.photo()
    with noted(record_property, "kept handle", what, surf, photo):
        surf.rule("never")
        page = surf.open("paste.html")
        page.evaluate(KEEP)
        drop(page, (50, 50), photo if what == "file" else Photo(photo.path.parent, b""))
        wait_for(lambda: page.evaluate("window.stored"))
        surf.rule("ask")
        page.evaluate(
            """() => {
              const read = async () => {
                let handle = await window.kept('one');
                if (handle.kind === 'directory') for await (const inner of handle.values()) handle = inner;
                const file = await handle.getFile();
                await fetch('/upload', { method: 'POST', body: file, headers: { 'X-Name': file.name } });
              };
              setTimeout(() => read().catch((error) => { window.failed = String(error); }));
            }"""
        )
        surf.protect(page)
        surf.gets(page, ("me.png", "image/png", photo.protected))


def test_a_photo_that_an_installed_page_opens(surf: Surf, record_property: Record) -> None:
    """The browser launches the page with the photo, as from a window of files."""
    page, photo = surf.open("app.html"), surf.photo()
    session = page.context.new_cdp_session(page)
    app = {"manifestId": page.url}
    with noted(record_property, "launched page", "file handler", surf, photo):
        session.send("PWA.install", app)
        try:
            with surf.context.expect_page() as opened:
                session.send("PWA.launchFilesInApp", {**app, "files": [str(photo.path)]})
            launched = opened.value
            surf.pages.append(launched)
            surf.dialog(launched)
            assert launched.evaluate("window.launched") == 1
            surf.gets_nothing(launched)
            surf.protect(launched)
            surf.gets(launched, ("me.png", "image/png", photo.protected))
        finally:
            session.send("PWA.uninstall", app)


# --- pages without room for the dialog ---------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["require-corp", "credentialless"])
def test_a_page_that_is_isolated_from_other_origins(surf: Surf, policy: str, record_property: Record) -> None:
    photo = surf.photo()
    with noted(record_property, "isolated page", policy, surf, photo):
        surf.site.headers["input.html"] = {
            "Cross-Origin-Embedder-Policy": policy,
            "Cross-Origin-Opener-Policy": "same-origin",
        }
        page = surf.open("input.html")
        assert page.evaluate("crossOriginIsolated")
        with surf.context.expect_page() as opened:
            page.set_input_files("#one", photo.path)
        window = opened.value
        surf.pages.append(window)
        assert surf.dialogs(page) == []  # and nothing covers the page
        window.wait_for_selector("#use:enabled")
        surf.press(window, "#use")
        surf.gets(page, ("me.png", "image/png", photo.protected))


# --- what the page would have got from the browser ---------------------------------------------------------


@pytest.mark.parametrize("how", ["paste", "drop"])
def test_an_editor_without_scripts_gets_the_picture(surf: Surf, how: str) -> None:
    page, photo = surf.open("editor.html"), surf.photo()
    page.click("#editor")
    if how == "drop":
        drop(page, "#editor", photo)
    else:
        page.evaluate(
            """(bytes) => {
              const how = { bubbles: true, composed: true, cancelable: true };
              const clipboardData = new DataTransfer();
              clipboardData.items.add(new File([new Uint8Array(bytes)], 'me.png', { type: 'image/png' }));
              editor.dispatchEvent(new ClipboardEvent('paste', { clipboardData, ...how }));
            }""",
            list(photo.data),
        )
    surf.protect(page)
    picture = wait_for(lambda: page.evaluate("document.querySelector('#editor img')?.src"))
    assert base64.b64decode(picture.partition(",")[2]) == photo.protected
    assert notices(page) == []


CELLS = """(bytes) => {
  window.got = null;
  addEventListener('paste', ({ clipboardData }) => {
    window.got = ['text/plain', 'text/html'].map((kind) => clipboardData.getData(kind));
    window.got.push([...clipboardData.files].length);
  });
  const clipboardData = new DataTransfer(), how = { bubbles: true, composed: true, cancelable: true };
  clipboardData.items.add(new File([new Uint8Array(bytes)], 'image.png', { type: 'image/png' }));
  clipboardData.setData('text/plain', 'a\\tb');
  clipboardData.setData('text/html', '<table><tr><td>a<td>b<img src="file:///me.png"></table>');
  document.getElementById('field').dispatchEvent(new ClipboardEvent('paste', { clipboardData, ...how }));
}"""


@pytest.mark.parametrize("end", ["protect", "cancel"])
def test_cells_of_a_table_keep_their_text(surf: Surf, end: str) -> None:
    page, photo = surf.open("paste.html"), surf.photo()
    page.evaluate(CELLS, list(photo.data))
    if end == "protect":
        surf.protect(page)
    else:
        surf.press(surf.dialog(page), "#cancel")
    plain, html, files = wait_for(lambda: page.evaluate("window.got"))
    assert plain == "a\tb" and "<td>a</td>" in html and "img" not in html
    assert files == (1 if end == "protect" else 0)


def test_a_page_that_wants_the_browsers_own_event_is_told_of(surf: Surf) -> None:
    page, photo = surf.open("editor.html"), surf.photo()
    page.evaluate(
        """() => {
          window.addEventListener('dragover', (event) => event.preventDefault());
          window.addEventListener('drop', (event) => {
            event.preventDefault();
            if (event.isTrusted) fetch('/upload', { method: 'POST', body: event.dataTransfer.files[0] });
          });
        }"""
    )
    drop(page, "#other", photo)
    surf.protect(page)
    wait_for(lambda: page.evaluate("0") == 0 and notices(page))
    assert notices(page)[0].startswith("clip2protect: the page did not take the photo.")
    assert surf.site.arrived == []


# --- noise -------------------------------------------------------------------------------------------------


def test_a_page_gets_one_dialog_at_a_time(surf: Surf) -> None:
    page, photo = surf.open("input.html"), surf.photo()
    page.evaluate(
        """(bytes) => {
          for (let i = 0; i < 30; i += 1) {
            const transfer = new DataTransfer(), input = document.createElement('input');
            transfer.items.add(new File([new Uint8Array(bytes)], `${i}.png`, { type: 'image/png' }));
            input.type = 'file';
            document.body.append(input);
            input.files = transfer.files;
            input.dispatchEvent(new Event('change', { bubbles: true }));
          }
        }""",
        list(photo.data),
    )
    dialog = surf.dialog(page)
    page.wait_for_timeout(500)
    assert len(surf.dialogs(page)) == 1
    assert dialog.text_content("h2") == "0.png"
    surf.press(dialog, "#cancel")
    wait_for(lambda: page.evaluate("0") == 0 and dialog.is_detached())
    assert surf.dialog(page).text_content("h2") == "1.png"  # the next waited for its turn
    assert len(surf.stored("session", "tickets")) <= 20


def test_always_asks_for_photos_that_a_script_brings_after_a_click(surf: Surf) -> None:
    surf.rule("always")
    page, photo = surf.open("input.html"), surf.photo()
    page.mouse.click(5, 5)  # the browser now counts the page as used
    page.evaluate(
        """(bytes) => {
          const transfer = new DataTransfer(), input = document.getElementById('one');
          transfer.items.add(new File([new Uint8Array(bytes)], 'mine.png', { type: 'image/png' }));
          input.files = transfer.files;
          input.dispatchEvent(new Event('change', { bubbles: true }));
        }""",
        list(photo.data),
    )
    surf.dialog(page)
    surf.gets_nothing(page, 800)

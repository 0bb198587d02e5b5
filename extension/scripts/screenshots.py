"""Pictures of the extension for the README: `python extension/scripts/screenshots.py docs` writes three PNG files.

Needs Chromium and the packages for development.  The photo is scikit-image's, protected by the real server.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Frame, Page
from skimage import data

from tests.extension.conftest import Photo, Site, Surf, browsing, control_of, unpack
from tests.server.service.conftest import running

SCHEMES = ("light", "dark")
PLACE = {
    "facebook.com": "ask",
    "instagram.com": "always",
    "messenger.com": "ask",
    "photos.localhost": "ask",
    "work.example": "never",
}
RULES = [
    {"site": "facebook.com", "least": 0, "most": 0, "level": "strong", "faces": ""},
    {"site": "", "least": 6, "most": 0, "level": "", "faces": "mine"},
]


def main(folder: Path) -> None:
    """Take them all."""
    with ExitStack() as stack:
        held = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        site = Site()
        stack.callback(site.stop)
        live = stack.enter_context(running(held, real=True, device="auto"))
        browser = stack.enter_context(
            browsing(unpack(held / "extension", *(f"*://*.{site}/*" for site in PLACE)))
        )
        surf = Surf(browser, site, live, held, control_of(browser), patience=300_000)
        surf.find_server()
        surf.pair()
        surf.keep(sites=PLACE, rules=RULES)
        photo = surf.photo("me.png", data=_png())
        live.ask("POST", "/v1/owner", photo.data, Content_Type="image/png")
        _join([_dialog(surf, photo, scheme) for scheme in SCHEMES], folder / "extension-dialog.png")
        _join(
            [_page(surf, "options/options.html", scheme, 760) for scheme in SCHEMES],
            folder / "extension-options.png",
        )
        _join(
            [_page(surf, "popup/popup.html", scheme, 360) for scheme in SCHEMES],
            folder / "extension-popup.png",
        )


def _png() -> bytes:
    buffer = BytesIO()
    Image.fromarray(data.astronaut()).save(buffer, "PNG")
    return buffer.getvalue()


def _dialog(surf: Surf, photo: Photo, scheme: str) -> bytes:
    page = surf.open("form.html")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 760, "height": 980})
    page.set_input_files("input", photo.path)
    dialog: Frame = surf.dialog(page)
    dialog.wait_for_selector("#start:enabled")
    surf.press(dialog, "#start")
    dialog.wait_for_selector("#use:enabled", timeout=surf.patience)
    page.wait_for_timeout(500)
    picture = page.screenshot()
    surf.press(dialog, "#use")
    page.wait_for_timeout(500)
    return picture


def _page(surf: Surf, name: str, scheme: str, width: int) -> bytes:
    page: Page = surf.context.new_page()
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 430})
    if name.startswith("popup"):  # it speaks of the tab in front of which it opens
        page.add_init_script("chrome.tabs.query = async () => [{ id: 1, url: 'https://photos.localhost/' }]")
    page.goto(f"{surf.control.url.partition('src/')[0]}src/{name}")
    page.wait_for_selector("[data-state=ready]")
    page.wait_for_timeout(500)
    return page.screenshot(full_page=True)


def _join(pictures: list[bytes], path: Path) -> None:
    images = [Image.open(BytesIO(picture)).convert("RGB") for picture in pictures]
    whole = Image.new(
        "RGB", (sum(image.width for image in images), max(image.height for image in images)), "white"
    )
    for i, image in enumerate(images):
        whole.paste(image, (sum(other.width for other in images[:i]), 0))
    whole.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

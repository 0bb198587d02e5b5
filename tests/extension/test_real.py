"""Every kind of page with the real method at small settings: exactly the server's bytes arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page
from skimage import data as samples

from server.service.proofs import ROUNDS
from tests.extension import test_routes as routes
from tests.extension.conftest import Photo, Site, Surf
from tests.support.live import QUICK, Live, running, wait_for

pytestmark = pytest.mark.models
#: The route that every run takes; the others take minutes.
USUAL = "input"
#: One step of the search, and no words: whether it protects is for other tests to say.
SMALL = {"steps": "1", "prompt": "none"}
ROUTES: dict[str, Callable[[Surf], None]] = {
    "form": routes.test_a_plain_form,
    "input": partial(routes.test_an_input, name="me.jpeg", trusted=True),
    "script": partial(routes.test_an_input, trusted=False, name="me.png"),
    "react": routes.test_a_controlled_input,
    "detached": partial(routes.test_a_detached_input, how="listener"),
    "shadow": partial(routes.test_an_input_in_a_shadow_tree, how="closed"),
    "hooks": partial(routes.test_a_page_that_changes_its_prototypes, button="#one"),
    "strict": partial(routes.test_a_strict_page, button="#one"),
    "rerender": routes.test_a_page_that_draws_itself_anew_meanwhile,
    "stops": routes.test_a_page_that_stops_events,
    "frame": partial(routes.test_frames, which="same"),
    "drop": partial(routes.test_a_drop, zone="#zone"),
    "entries": partial(routes.test_a_drop_zone_that_asks_for_entries, zone="#zone"),
    "picker": routes.test_show_open_file_picker,
}


@dataclass
class RealPhoto(Photo):
    """A photo of a person, and what the server makes of it when it is asked directly."""

    live: Live

    @property
    def protected(self) -> bytes:
        query = "&".join(f"{name}={value}" for name, value in SMALL.items())
        answer = self.live.ask(
            "POST", f"/v1/protect?{query}&level=balanced&faces=all", self.data, Content_Type="image/png"
        )
        assert answer.status == 200
        return answer.body


@dataclass
class RealSurf(Surf):
    """Photos of a person, each cut otherwise."""

    patience: float = field(default=120_000, kw_only=True)

    def photo(self, name: str = "me.png", do: str = "", color: str = "", data: bytes = b"") -> RealPhoto:
        self.count += 1
        kind = {"png": "PNG", "webp": "WEBP"}.get(name.rpartition(".")[2].lower(), "JPEG")
        left = 120 + self.count
        buffer = BytesIO()
        Image.fromarray(samples.astronaut()[:240, left : left + 220]).save(buffer, kind)
        path = self.folder / str(self.count) / name
        path.parent.mkdir()
        path.write_bytes(buffer.getvalue())
        return RealPhoto(path, buffer.getvalue(), self.live)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(tmp_path_factory.mktemp("real"), command=QUICK, rounds=ROUNDS) as server:
        yield server


@pytest.fixture
def surf(browser: BrowserContext, control: Page, live: Live, tmp_path: Path) -> Iterator[RealSurf]:
    control.evaluate("Promise.all([chrome.storage.local.clear(), chrome.storage.session.clear()])")
    site = Site()
    surf = RealSurf(browser, site, live, tmp_path, control)
    surf.find_server()
    surf.pair()
    surf.rule("ask")
    surf.keep(testing=SMALL)
    yield surf
    for page in surf.pages:
        page.close()
    site.stop()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == USUAL else pytest.mark.slow) for name in ROUTES]
)
def test_a_page(surf: RealSurf, name: str) -> None:
    ROUTES[name](surf)
    [last, *_] = surf.tell({"type": "last"})["ok"]
    assert last["faces"] >= 1 and last["recognisers"] >= 1, "the real report was read"


@pytest.mark.slow
def test_a_paste(surf: RealSurf) -> None:
    """The browser writes what was copied anew, so that nobody else can say which bytes are to come."""
    page, photo = surf.open("paste.html"), surf.photo()
    surf.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """bytes => {
          const blob = new Blob([new Uint8Array(bytes)], { type: 'image/png' });
          return navigator.clipboard.write([new ClipboardItem({ 'image/png': blob })]);
        }""",
        list(photo.data),
    )
    page.click("#field")
    page.keyboard.press("Control+V")
    surf.gets_nothing(page, 100)
    surf.protect(page)
    [file] = wait_for(lambda: page.evaluate("0") == 0 and surf.site.arrived)
    before, after = (
        np.asarray(Image.open(BytesIO(data)).convert("RGB"), float) for data in (photo.data, file.data)
    )
    changed = np.abs(after - before).max(axis=2) > 3
    assert changed[60:180, 60:160].mean() > 0.1, "the face"
    assert changed[200:, :40].mean() == 0, "the rest"

"""Browsers of their own: what the extension does after its installation, and with pages of the internet."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, Playwright

from tests.extension.conftest import Site, Surf, browsing, control_of
from tests.support.live import running, wait_for


def test_the_first_page_opens_by_itself(playwright: Playwright, unpacked: Path) -> None:
    with browsing(playwright, unpacked) as browser:
        front = browser.pages[0]

        def first() -> list[Page]:
            front.evaluate("0")  # hears of new pages
            return [page for page in browser.pages if page.url.endswith("/onboarding/onboarding.html")]

        wait_for(first)[0].wait_for_selector("#step-start")
        assert len(first()) == 1


def test_pages_of_the_internet_cannot_reach_the_server_and_the_extension_can(
    playwright: Playwright, unpacked: Path, tmp_path: Path
) -> None:
    """The browser keeps public pages away from this machine, and takes the site for one of them."""
    site, local = Site(), Site()
    flag = f"--ip-address-space-overrides=127.0.0.1:{site.port}=public"
    try:
        with running(tmp_path, "--marked") as live, browsing(playwright, unpacked, flag) as browser:
            surf = Surf(browser, site, live, tmp_path, control_of(browser))
            surf.find_server()
            surf.pair()
            surf.rule("ask")
            page, photo = surf.open("input.html"), surf.photo()
            asking = "url => fetch(url, { mode: 'no-cors' }).then(() => 'asked', () => 'stopped')"
            assert page.evaluate(asking, local.url("form.html", "127.0.0.1")) == "stopped"
            assert local.asked == [], "the browser does as it does with sites of the internet"
            page.set_input_files("#one", photo.path)
            surf.protect(page)
            surf.gets(page, ("me.png", "image/png", photo.protected))
    finally:
        site.stop()
        local.stop()

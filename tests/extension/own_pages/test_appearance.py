"""Names of controls, narrow windows, light and dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.extension.conftest import HOST, Surf

from .conftest import OPTIONS, PAGES, Visit, enrol, photo_rule

LONG = "a-rather-long-name-of-a-site.and-of-what-is-above-it.example.com"


def fill_in(surf: Surf) -> None:
    """Something in every list."""
    surf.keep(rules=[photo_rule(level="strong"), photo_rule(LONG, 6, faces="mine")])
    enrol(surf)


def unfold(page: Page, name: str, paired: bool) -> None:
    """Have the settings show all that they can."""
    if name == OPTIONS:
        expect(page.locator("#rules li")).to_have_count(2)
        expect(page.locator("#owner-photos li")).to_have_count(1 if paired else 0)
        page.locator("#rules li").last.get_by_role("button").nth(1).click()
        page.select_option("#rule-faces", "")
        page.click("#rule-form .main")
        expect(page.locator("#rules-problem")).not_to_be_empty()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("paired", [True, False])
def test_every_control_has_a_name(surf: Surf, visit: Visit, name: str, paired: bool) -> None:
    fill_in(surf)
    if not paired:
        surf.tell({"type": "unpair"})
    page = visit(name, front=surf.open("input.html"))
    unfold(page, name, paired)
    controls = page.locator("input:visible, select:visible, button:visible").all()
    assert len(controls) > 3
    for control in controls:
        named = "e => e.ariaLabel || e.labels?.[0]?.textContent || (e.tagName === 'BUTTON' && e.textContent)"
        assert control.evaluate(named), control.evaluate("e => e.outerHTML")
        height = "e => Math.max(...[e, e.labels?.[0] ?? e].map((x) => x.getBoundingClientRect().height))"
        assert control.evaluate(height) >= 24, control.evaluate("e => e.outerHTML")
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("locale", "paired"), [("en", True), ("de", True), ("de", False)])
def test_nothing_sticks_out_of_a_narrow_window(
    surf: Surf, visit: Visit, name: str, locale: str, paired: bool
) -> None:
    surf.keep(sites={HOST: "ask", LONG: "always"})
    fill_in(surf)
    if not paired:
        surf.tell({"type": "unpair"})
    page = visit(name, front=f"https://{LONG}/", locale=locale)
    page.set_viewport_size({"width": 320, "height": 600})
    unfold(page, name, paired)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    out = """() => [...document.querySelectorAll('.card *')].filter((e) => {
      if (!e.checkVisibility()) return false;
      const [part, card] = [e, e.closest('.card')].map((x) => x.getBoundingClientRect().right);
      return part > card - 8;
    }).map((e) => e.outerHTML)"""
    assert page.evaluate(out) == []


@pytest.mark.parametrize("name", PAGES)
def test_dark_and_light(surf: Surf, visit: Visit, name: str) -> None:
    """The page's and the cards' own colours, and the contrast of all that is written there (WCAG AA: 4.5)."""
    seen = {}
    fill_in(surf)
    for scheme in ("light", "dark"):
        page = visit(name, color_scheme=scheme)
        unfold(page, name, paired=True)
        seen[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        low = page.evaluate("""() => {
          const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
          const light = (color) => rgb(color).slice(0, 3).map((v) => v / 255)
            .map((v) => (v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4))
            .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
          const behind = (e) => { for (; e; e = e.parentElement) {
            const color = getComputedStyle(e).backgroundColor;
            if ((rgb(color)[3] ?? 1) === 1) return color;
          } return 'rgb(255 255 255)'; };
          const texts = [...document.body.querySelectorAll('*')].filter((e) => e.checkVisibility()
            && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
          if (texts.length < 5) return ['hardly anything is written there'];
          return texts.filter((e) => {
            const [a, b] = [getComputedStyle(e).color, behind(e)].map(light).sort((x, y) => y - x);
            return (a + .05) / (b + .05) < 4.5;
          }).map((e) => e.outerHTML);
        }""")
        assert low == [], scheme
    assert seen["light"] == "rgb(245, 246, 248)"
    assert seen["dark"] == "rgb(18, 21, 24)"

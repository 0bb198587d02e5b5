"""Draws the icons: a face on a shield.  `python extension/scripts/icons.py` writes extension/icons/."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

SIZES = (16, 32, 48, 128)
BLUE, WHITE = (29, 91, 184, 255), (255, 255, 255, 255)
#: Drawn so much larger, then made smaller: Pillow's own edges are steps.
SCALE = 8
FOLDER = Path(__file__).parents[1] / "icons"


def draw(size: int) -> Image.Image:
    """The icon, `size` pixels high."""
    side = size * SCALE
    icon = Image.new("RGBA", (side, side), (*BLUE[:3], 0))
    pen = ImageDraw.Draw(icon)
    pen.polygon([(x * side, y * side) for x, y in shield()], fill=BLUE)
    pen.ellipse(box(side, 0.5, 0.37, 0.15), fill=WHITE)
    # The shoulders are the upper half of a circle.
    pen.pieslice(box(side, 0.5, 0.79, 0.245), 180, 360, fill=WHITE)
    return icon.resize((size, size), Image.Resampling.LANCZOS)


def shield() -> list[tuple[float, float]]:
    """Its outline, for a side of 1: a flat top with round corners, and two curves that meet below."""
    steps = [i / 24 for i in range(25)]
    right = [bezier(t, (0.8375, 0.0625), (0.9375, 0.0625), (0.9375, 0.1625)) for t in steps]
    right += [bezier(t, (0.9375, 0.5), (0.92, 0.82), (0.5, 0.98)) for t in steps]
    return right + [(1 - x, y) for x, y in reversed(right)]


def bezier(t: float, *points: tuple[float, float]) -> tuple[float, float]:
    """A point of a quadratic curve."""
    (x0, y0), (x1, y1), (x2, y2) = points
    a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t**2
    return a * x0 + b * x1 + c * x2, a * y0 + b * y1 + c * y2


def box(side: int, x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    """The square around a circle."""
    return (x - radius) * side, (y - radius) * side, (x + radius) * side, (y + radius) * side


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for size in SIZES:
        draw(size).save(FOLDER / f"{size}.png", optimize=True)

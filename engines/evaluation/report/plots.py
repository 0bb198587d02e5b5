"""The report's plots: PNG files whose bytes depend on nothing but the report and matplotlib's version.

The colours are those of Okabe and Ito, which colour-blind people can tell apart; shapes and words repeat
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from engines.errors import ConfigError
from engines.evaluation.report.schema import EvaluationReport, Row, at, modes, pooled
from engines.evaluation.report.wording import MODES, percent
from engines.evaluation.score.statistics import RateReport
from engines.photo.quality import MAX_PSNR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Kind of method -> its colour, marker and name.
_KINDS = {
    "ours": ("#0072b2", "o", "ours"),
    "ablation": ("#56b4e9", "D", "ours, changed"),
    "paper": ("#cc79a7", "^", "paper's settings"),
    "baseline": ("#d55e00", "s", "others"),
    "control": ("#6f7780", "X", "control"),
}
_OTHER = ("#009e73", "P", "other")
_GALLERIES = {"clean": "#0072b2", "mixed": "#e69f00", "protected": "#009e73"}
_INK, _QUIET, _LINE = "#1b2026", "#59636e", "#d5dbe1"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _QUIET,
    "ytick.color": _QUIET,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "hatch.color": _LINE,
    "text.parse_math": False,  # names are no formulas
}
_DPI, _WIDTH = 150, 8.6
#: Places of a label beside its point: offset in points, and alignment.
_PLACES = (
    (7, 0, "left", "center"),
    (-7, 0, "right", "center"),
    (0, 7, "center", "bottom"),
    (0, -7, "center", "top"),
    (6, 8, "left", "bottom"),
    (6, -8, "left", "top"),
    (-6, 8, "right", "bottom"),
    (-6, -8, "right", "top"),
    (6, 18, "left", "bottom"),
    (6, -18, "left", "top"),
    (-6, 18, "right", "bottom"),
)


def plots(report: EvaluationReport) -> dict[str, bytes]:
    """Caption -> PNG, in reading order; a plot without figures is left out.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    made = {}
    with _drawing():
        for caption, draw in (
            ("Protection against change", _change),
            ("What transforms undo", _robustness),
            ("Owner found first, by gallery", _ranks),
        ):
            for mode in modes(report):
                figure = draw(pooled(report, mode))
                if figure:
                    made[f"{caption}, {MODES.get(mode, mode)}"] = _png(figure)
    return made


@contextmanager
def _drawing() -> Iterator[None]:
    """matplotlib with its defaults and this program's style, whatever the machine's settings."""
    try:
        import matplotlib
    except ImportError as error:
        raise ConfigError("plots need matplotlib: pip install 'clip2protect[eval]'") from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def _figure(height: float) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _png(figure: Figure) -> bytes:
    to = BytesIO()
    figure.savefig(to, format="png", metadata={"Software": None})
    return to.getvalue()


def _change(rows: Sequence[Row]) -> Figure | None:
    """Share still matched over the face's PSNR, one marker a method; a line joins the best trade-offs."""
    points = [row for row in rows if _psnr(row) is not None and _still(row) is not None]
    moved = [row for row in points if _psnr(row) < MAX_PSNR]
    if not moved:
        return None
    figure, axes = _figure(5.2)
    axes.grid(color=_LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    best = _best(moved)
    axes.plot([_psnr(r) for r in best], [100 * _still(r) for r in best], color=_LINE, linewidth=5, zorder=1)
    for kind in dict.fromkeys(row["kind"] for row in moved):
        colour, marker, name = _KINDS.get(kind, _OTHER)
        same = [row for row in moved if row["kind"] == kind]
        axes.errorbar(
            [_psnr(r) for r in same],
            [100 * _still(r) for r in same],
            yerr=_errors([_own(r) for r in same]),
            fmt=marker,
            color=colour,
            ecolor=colour + "66",
            elinewidth=1.2,
            markersize=7,
            label=name,
            zorder=3,
        )
    for row in points:
        if _psnr(row) >= MAX_PSNR:
            axes.axhline(100 * _still(row), color=_QUIET, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
            axes.annotate(
                _text(f"{row['title']}: {percent(_still(row))}"),
                (0, 100 * _still(row)),
                (4, -4),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="top",
                color=_QUIET,
            )
    axes.set(
        xlabel="face PSNR, dB (right: less change)", ylabel="pairs still matched, % (lower: better protected)"
    )
    axes.set_ylim(-4, 104)
    axes.margins(x=0.12)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=6, frameon=False, handletextpad=0.2)
    figure.draw_without_rendering()
    _label(axes, moved)
    return figure


def _label(axes: Axes, rows: Sequence[Row]) -> None:
    """Names beside the points, each at the place where it covers the least of the others."""
    from matplotlib.patheffects import withStroke

    points = axes.transData.transform([(_psnr(row), 100 * _still(row)) for row in rows])
    taken: list[tuple[float, ...]] = [(x - 9, y - 9, x + 9, y + 9) for x, y in points]
    bars = axes.transData.transform(
        [(0, 100 * _end(_own(row), end)) for row in rows for end in ("low", "high")]
    )[:, 1]
    taken += [
        (x - 2, low, x + 2, high) for (x, _), low, high in zip(points, bars[::2], bars[1::2], strict=True)
    ]
    frame = axes.get_window_extent()
    halo = [withStroke(linewidth=2.5, foreground="white")]
    for row, (x, y) in zip(rows, points, strict=True):
        tries: list[tuple[float, int, Any, Any]] = []
        for dx, dy, ha, va in _PLACES:
            text = axes.annotate(
                _text(row["title"]),
                (x, y),
                (dx, dy),
                xycoords="figure pixels",
                textcoords="offset points",
                ha=ha,
                va=va,
                fontsize=8.5,
                path_effects=halo,
            )
            text.xy, text.xycoords = (_psnr(row), 100 * _still(row)), "data"
            box = text.get_window_extent()
            outside = max(0, frame.x0 - box.x0) + max(0, box.x1 - frame.x1)
            outside += max(0, frame.y0 - box.y0) + max(0, box.y1 - frame.y1)
            tries.append(
                (sum(_overlap(box.extents, other) for other in taken) + 50 * outside, len(tries), text, box)
            )
        _, kept, text, box = min(tries, key=lambda one: one[:2])
        for _, place, other, _ in tries:
            if place != kept:
                other.remove()
        taken.append(tuple(box.extents))


def _robustness(rows: Sequence[Row]) -> Figure | None:
    """Methods by transforms; the squares show the shares still matched."""
    rows = [row for row in rows if row.get("transforms")]
    names = list(dict.fromkeys(name for row in rows for name in row["transforms"]))
    if not names:
        return None
    heads = ["as saved", *names, "any of them"]
    table = [
        [
            _still(row),
            *(at(row, "transforms", name, "matched", "value") for name in names),
            at(row, "any", "value"),
        ]
        for row in rows
    ]
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    figure, axes = _figure(1.2 + 0.34 * len(rows))
    for y, line in enumerate(table):
        for x, value in enumerate(line):
            fill = "white" if value is None else colormaps["Blues"](0.04 + 0.9 * value)
            axes.add_patch(
                Rectangle((x, y), 0.96, 0.94, facecolor=fill, hatch="////" if value is None else None)
            )
            text = "" if value is None else percent(value).removesuffix(" %")
            ink = "white" if (value or 0) > 0.72 else _INK
            axes.text(x + 0.48, y + 0.48, text, ha="center", va="center", color=ink)
    for x in (1, 1 + len(names)):
        axes.axvline(x - 0.02, color=_INK, linewidth=1)
    axes.set(xlim=(0, len(heads)), ylim=(len(rows), 0))
    tilt: dict[str, Any] = {"rotation": 35, "ha": "left", "rotation_mode": "anchor"} if len(names) > 6 else {}
    axes.xaxis.tick_top()
    axes.set_xticks([x + 0.48 for x in range(len(heads))], [_text(head) for head in heads], **tilt)
    axes.set_yticks([y + 0.48 for y in range(len(rows))], [_text(row["title"]) for row in rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("pairs still matched, %, own threshold (darker: less protected)")
    return figure


def _ranks(rows: Sequence[Row]) -> Figure | None:
    """Share of photos whose owner comes first in the gallery: one bar for each method and gallery."""

    def rate(row: Row, gallery: str) -> RateReport | None:
        first = at(row, "identification", gallery, "rank1")
        return first if first and first["value"] is not None else None

    shown = [gallery for gallery in _GALLERIES if any(rate(row, gallery) for row in rows)]
    rows = [row for row in rows if any(rate(row, gallery) for gallery in shown)]
    if not rows:
        return None
    figure, axes = _figure(1.1 + 0.2 * len(rows) * (1 + len(shown)))
    step = 0.84 / len(shown)
    for nth, gallery in enumerate(shown):
        bars = [(y, first) for y, row in enumerate(rows) if (first := rate(row, gallery))]
        places = [y + step * (nth - (len(shown) - 1) / 2) for y, _ in bars]
        axes.barh(
            places,
            [100 * (first["value"] or 0) for _, first in bars],
            0.86 * step,
            color=_GALLERIES[gallery],
            xerr=_errors([first for _, first in bars]),
            error_kw={"ecolor": _INK, "elinewidth": 0.9},
            label=f"{gallery} gallery",
        )
    axes.set_yticks(range(len(rows)), [_text(row["title"]) for row in rows])
    axes.set(
        xlim=(0, 102),
        ylim=(len(rows) - 0.45, -0.55),
        xlabel="owner ranked first, % (lower: better protected)",
    )
    axes.grid(axis="x", color=_LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    return figure


def _best(rows: Sequence[Row]) -> list[Row]:
    """The rows that no other beats in both likeness to the original and protection, by likeness."""
    ordered = sorted(rows, key=lambda row: (-_psnr(row), _still(row)))
    kept: list[Row] = []
    for row in ordered:
        if not kept or _still(row) < _still(kept[-1]):
            kept.append(row)
    return kept


def _errors(rates: Sequence[RateReport]) -> list[list[float]]:
    """Lengths of error bars in percent, below and above."""
    both = [(_end(rate, "low"), rate["value"], _end(rate, "high")) for rate in rates]
    return [
        [100 * max(0.0, middle - low) for low, middle, _ in both],
        [100 * max(0.0, high - middle) for _, middle, high in both],
    ]


def _end(rate: RateReport, name: Literal["low", "high"]) -> Any:
    """An end of a rate's interval, or its value where there is none."""
    return rate["value"] if rate.get(name) is None else rate[name]


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Common area of two boxes (left, bottom, right, top)."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _text(text: str) -> str:
    """Text on one line."""
    return " ".join(text.split())


def _psnr(row: Row) -> Any:
    return at(row, "naturalness", "psnr", "median")


def _own(row: Row) -> Any:
    return at(row, "verification", "own")


def _still(row: Row) -> Any:
    return at(row, "verification", "own", "value")

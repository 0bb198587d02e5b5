"""A table of text, as Markdown and as HTML: the page and the README show the same cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

#: The cell of a missing figure.
NOTHING = "–"
#: A figure and the small text beside it; a share, for its bar.
_ASIDE = re.compile(r"^([<>-]?[\d.]+(?: %)?)( \(.+)$")
_SHARE = re.compile(r"^[<>]?(\d+(?:\.\d)?) %")


@dataclass(frozen=True)
class Table:
    """A table of text: `rows` as wide as `head`, each named by its first cell; `section` groups tables."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    section: str = ""


def to_markdown(table: Table) -> str:
    """A pipe table under its title, with its note below."""
    lines = [table.head, ("---",) * len(table.head), *table.rows]
    cells = "\n".join("| " + " | ".join(map(_plain, line)) + " |" for line in lines)
    return f"**{_plain(table.title)}**\n\n{cells}\n" + (f"\n{_plain(table.note)}\n" if table.note else "")


def to_html(table: Table) -> str:
    """A table with caption and scopes; shares carry `--share` for a bar, intervals are set small."""
    head = "".join(f'<th scope="col">{_spaced(cell)}</th>' for cell in table.head)
    body = "\n".join(f"<tr>{''.join(_cells(row))}</tr>" for row in table.rows)
    note = f"<span>{_spaced(table.note)}</span>" if table.note else ""
    caption = f"<caption><strong>{_spaced(table.title)}</strong>{note}</caption>"
    return f"<table>{caption}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def _plain(text: str) -> str:
    """Text that no Markdown reader takes for a border, a line's end or a tag."""
    return re.sub(r"([\\`*_|\[\]])", r"\\\1", " ".join(text.split())).replace("<", "&lt;")


def _spaced(text: str) -> str:
    """Escaped text whose numbers stay with their percent sign."""
    return escape(text).replace(" %", "&nbsp;%")


def _cells(row: Sequence[str]) -> Iterable[str]:
    yield f'<th scope="row">{_spaced(row[0])}</th>'
    for cell in row[1:]:
        share, aside = _SHARE.match(cell), _ASIDE.match(cell)
        style = ' class="none"' if cell == NOTHING else ""
        if share:
            style = f' class="share" style="--share:{share[1]}%"'
        text = f"{_spaced(aside[1])}<small>{_spaced(aside[2])}</small>" if aside else _spaced(cell)
        yield f"<td{style}>{text}</td>"

"""The report as one HTML file, which loads nothing and runs nothing."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from itertools import groupby

from engines.evaluation.report.cells import Table, to_html
from engines.evaluation.report.schema import EvaluationReport
from engines.evaluation.report.summary import headline, limits
from engines.evaluation.report.tables import tables

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_WARNING = "This page shows faces from the photos. Keep it to yourself, unless everyone on them agrees."


def render(report: EvaluationReport, plots: Mapping[str, bytes], sheets: Mapping[str, bytes]) -> str:
    """The report with its plots (caption -> PNG) and contact sheets (caption -> JPEG) as an HTML file.

    Every text of the report is escaped, because a file can have any name.
    """
    sections = dict(_sections(report, plots, sheets))
    links = "".join(f'<li><a href="#{_anchor(title)}">{escape(title)}</a></li>' for title in sections)
    sentences = "".join(f"<li>{_unbroken(sentence)}</li>" for sentence in headline(report))
    data = report["dataset"]
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    about = f"{data['people']} people, {data['photos']} photos; clip2protect {report['version']}"
    body = "\n".join(
        f'<section><h2 id="{_anchor(title)}">{escape(title)}</h2>\n{content}</section>'
        for title, content in sections.items()
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>How well photos are protected</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>How well photos are protected</h1>
<p>{escape(about)}</p>
<ul class="headline">{sentences}</ul>
<p class="warning" role="note">{_WARNING}</p>
<nav aria-label="Contents"><ul>{links}</ul></nav>
{body}
</main>
</body>
</html>
"""


def _sections(
    report: EvaluationReport, plots: Mapping[str, bytes], sheets: Mapping[str, bytes]
) -> Iterator[tuple[str, str]]:
    """Title -> content."""
    yield "Basis and limits", _listed(limits(report))
    if plots:
        yield "At a glance", "".join(_figure(caption, data, "png") for caption, data in plots.items())
    if sheets:
        note = "<p>In each row, the first recogniser of the method is held out.</p>"
        yield "Faces", note + "".join(_figure(caption, data, "jpeg") for caption, data in sheets.items())
    for section, members in groupby(tables(report), key=lambda table: table.section):
        yield section, "".join(_scrolling(table) for table in members)
    settings = escape(json.dumps(report["settings"], indent=1, ensure_ascii=False))
    yield "How it was measured", f"{_listed(report['notes'])}<pre>{settings}</pre>"


def _listed(sentences: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{_unbroken(sentence)}</li>' for sentence in sentences)}</ul>\n"


def _unbroken(sentence: str) -> str:
    """An escaped sentence that never breaks within a percentage or an interval."""
    return escape(sentence).replace(" %", "&nbsp;%").replace("–", "–&NoBreak;")


def _scrolling(table: Table) -> str:
    """A table in a box of its own, in which it scrolls, by keyboard too."""
    label = escape(table.title)
    return f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">{to_html(table)}</div>\n'


def _figure(caption: str, data: bytes, kind: str) -> str:
    shown, sheet = escape(caption), ' class="sheet"' if kind == "jpeg" else ""
    source = f"data:image/{kind};base64,{b64encode(data).decode()}"
    what = f"Faces by method and photo: {shown}" if sheet else f"{shown}; the tables have the figures"
    image = f'<img alt="{what}" src="{source}">'
    return f'<figure{sheet} tabindex="0">{image}<figcaption>{shown}</figcaption></figure>\n'


def _anchor(title: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in title.lower())

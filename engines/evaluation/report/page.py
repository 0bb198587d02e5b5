"""The report as one page: a file that asks nobody for anything, and runs nothing."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from html import escape
from itertools import groupby

from engines.evaluation.report.cells import Table, to_html
from engines.evaluation.report.summary import headline, limits
from engines.evaluation.report.tables import Report, tables

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_WARNING = "This page shows faces from the photos that were measured. Keep it to yourself, unless everybody on them agrees."
_STYLE = """
:root { color-scheme: light dark; --paper: #fbfbf9; --ink: #1b2026; --quiet: #59636e; --line: #dde1e5;
  --bar: #0072b21f; --card: #ffffff; --note: #fff6e0; --accent: #0a5c91; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e8eaed; --quiet: #9aa5b1; --line: #30363d;
  --bar: #56b4e933; --card: #1b1f24; --note: #33290f; --accent: #7cc4f0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 74rem; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .25rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 3.25rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
p, li { max-width: 46rem; }
a { color: var(--accent); }
.said { list-style: none; margin: 1.5rem 0; padding: 0; display: grid; gap: 1rem 2.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.said li { padding-left: 1rem; border-left: 3px solid var(--line); }
.said li:first-child { grid-column: 1 / -1; max-width: 52rem; font-size: 1.3rem; font-weight: 600; line-height: 1.35;
  border-color: var(--accent); text-wrap: pretty; }
.warning { background: var(--note); padding: .6rem .9rem; border-radius: .4rem; max-width: 46rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; list-style: none; padding: 0; margin: 1rem 0; }
.scroll { overflow-x: auto; margin: 1.25rem 0 2rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--card); }
table { border-collapse: collapse; font-size: .875rem; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .8rem .9rem .6rem; }
/* As wide as what is seen of the table, and there while it scrolls. */
caption > * { display: block; position: sticky; left: .9rem; width: fit-content;
  max-width: min(46rem, 100vw - 4.5rem); }
caption strong { font-size: 1rem; }
caption span { color: var(--quiet); line-height: 1.45; }
th, td { padding: .38rem .9rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { color: var(--quiet); font-weight: 600; min-width: 6.2rem; vertical-align: bottom; }
tbody th { font-weight: 500; min-width: 10.5rem; position: sticky; left: 0; background: var(--card); }
td { min-width: 6.2rem; }
td.share { background: linear-gradient(90deg, var(--bar) var(--share), transparent var(--share)); }
td.none { color: var(--quiet); }
td small { color: var(--quiet); font-size: .78rem; white-space: nowrap; }
figure { margin: 1.5rem 0 2.25rem; overflow-x: auto; }
/* A plot's letters stay as large as the text about it; a sheet's faces stay as they are. */
figure img { display: block; width: 56rem; max-width: 100%; min-width: 42rem; height: auto; border-radius: .5rem;
  border: 1px solid var(--line); background: #fff; }
figure.sheet img { width: auto; max-width: none; min-width: 0; }
figcaption { color: var(--quiet); font-size: .875rem; margin-top: .4rem; position: sticky; left: 0;
  width: fit-content; }
pre { overflow-x: auto; padding: .9rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  font-size: .8rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
@media (max-width: 40rem) {
  main { padding: 1.5rem 1rem 3rem; }
  th, td { padding: .38rem .6rem; }
  tbody th { min-width: 7.5rem; max-width: 9rem; overflow-wrap: anywhere; }
  thead th, td { min-width: 4.5rem; }
}
@media print { .scroll, figure { overflow: visible; } }
"""


def page(report: Report, plots: Mapping[str, bytes], sheets: Mapping[str, bytes]) -> str:
    """The report with its plots (caption -> PNG) and contact sheets (caption -> JPEG) as an HTML file.

    Everything that the report holds is escaped: names of files are whatever somebody made them.
    """
    sections = dict(_sections(report, plots, sheets))
    links = "".join(f'<li><a href="#{_anchor(title)}">{escape(title)}</a></li>' for title in sections)
    said = "".join(f"<li>{_said(sentence)}</li>" for sentence in headline(report))
    data = report["dataset"]
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
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>How well photos are protected</h1>
<p>{escape(about)}</p>
<ul class="said">{said}</ul>
<p class="warning" role="note">{_WARNING}</p>
<nav aria-label="Contents"><ul>{links}</ul></nav>
{body}
</main>
</body>
</html>
"""


def _sections(
    report: Report, plots: Mapping[str, bytes], sheets: Mapping[str, bytes]
) -> Iterator[tuple[str, str]]:
    """Title -> content."""
    yield "What this shows, and what not", _listed(limits(report))
    if plots:
        yield "At a glance", "".join(_figure(caption, data, "png") for caption, data in plots.items())
    if sheets:
        note = "<p>Each row with the first recogniser held out that it was tried with.</p>"
        yield "Faces", note + "".join(_figure(caption, data, "jpeg") for caption, data in sheets.items())
    for section, found in groupby(tables(report), key=lambda table: table.section):
        yield section, "".join(_scrolling(table) for table in found)
    settings = escape(json.dumps(report["settings"], indent=1, ensure_ascii=False))
    yield "How it was measured", f"{_listed(report['notes'])}<pre>{settings}</pre>"


def _listed(sentences: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{_said(sentence)}</li>' for sentence in sentences)}</ul>\n"


def _said(sentence: str) -> str:
    """An escaped sentence whose percentages and intervals no line's end takes apart."""
    return escape(sentence).replace(" %", "&nbsp;%").replace("–", "–&NoBreak;")


def _scrolling(table: Table) -> str:
    """A wide table scrolls in its own box, by keyboard too."""
    return f'<div class="scroll" role="region" aria-label="{escape(table.title)}" tabindex="0">{to_html(table)}</div>\n'


def _figure(caption: str, data: bytes, kind: str) -> str:
    shown, sheet = escape(caption), ' class="sheet"' if kind == "jpeg" else ""
    source = f"data:image/{kind};base64,{b64encode(data).decode()}"
    what = f"Faces by method and photo: {shown}" if sheet else f"{shown}; the tables have the figures"
    return f'<figure{sheet} tabindex="0"><img alt="{what}" src="{source}"><figcaption>{shown}</figcaption></figure>\n'


def _anchor(title: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in title.lower())

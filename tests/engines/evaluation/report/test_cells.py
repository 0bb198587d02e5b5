"""Tables as Markdown and as HTML."""

from __future__ import annotations

import re

from engines.evaluation.report.cells import Table, to_html, to_markdown
from engines.evaluation.report.tables import tables
from tests.support.evaluation import sample_report


def test_markdown_keeps_its_columns_whatever_a_name_holds() -> None:
    for one in tables(sample_report()):
        lines = [line for line in to_markdown(one).splitlines() if line.startswith("|")]
        widths = {len(re.split(r"(?<!\\)\|", line)) for line in lines}
        assert len(lines) == len(one.rows) + 2 and len(widths) == 1
        assert "<script>" not in to_markdown(one)


def test_tables_say_what_their_heads_are_for() -> None:
    (thresholds,) = (table for table in tables(sample_report()) if table.title == "Thresholds")
    made = to_html(thresholds)
    assert made.count('<th scope="col">') == 5 and '<th scope="row">' in made and "<caption>" in made


def test_a_figure_below_nought_has_its_worst_set_small_too() -> None:
    assert "<td>-0.37<small> (-0.77)</small></td>" in to_html(
        Table("t", "", ("m", "margin"), (("a", "-0.37 (-0.77)"),))
    )

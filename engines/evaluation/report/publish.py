"""The report's files: figures as JSON, one page for people, questions for the study."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engines.config import Mode
from engines.evaluation.experiment.methods import METHODS
from engines.evaluation.experiment.plan import Evidence
from engines.evaluation.experiment.tasks import Networks, Result
from engines.evaluation.report import html, plots, sheets
from engines.evaluation.report.assemble import assemble, judges_of
from engines.evaluation.report.tables import MODES
from engines.evaluation.score.trials import Judge, Tried, tried_by
from engines.evaluation.study import answers
from engines.evaluation.study.questions import write_trials
from engines.files import write_atomic

REPORT, PAGE = "report.json", "report.html"


def publish(evidence: Evidence, networks: Networks, folder: Path) -> dict[str, Any]:
    """Write report.json, report.html and the study's questions; returns the report.

    Raises OutputError; ConfigError where a library that the report needs is missing.
    """
    judges = judges_of(evidence)
    write_trials(evidence, next(iter(judges.values())), list(_shown(evidence, judges, "dodge")), folder)
    report = assemble(evidence, judges, networks) | {"study": answers.score(folder)}
    sheet_of = {MODES[mode]: _sheet(evidence, judges, mode) for mode in evidence.plan.modes}
    page = html.page(
        report, plots.plots(report), {title: sheet for title, sheet in sheet_of.items() if sheet}
    )
    write_atomic(folder / REPORT, (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode())
    write_atomic(folder / PAGE, page.encode())
    return report


def _shown(evidence: Evidence, judges: Mapping[str, Judge], mode: Mode) -> Iterator[Tried]:
    """Every method once, with the first recogniser held out that it was tried with."""
    for wanted in evidence.plan.methods:
        method = wanted.partition("@")[0]
        tried = (tried_by(evidence, judge, method, mode) for judge in judges.values())
        yield from [one for one in tried if one is not None][:1]


def _sheet(evidence: Evidence, judges: Mapping[str, Judge], mode: Mode) -> bytes | None:
    """Faces by method and photo; None where there are none."""
    rows = list(_shown(evidence, judges, mode))
    names = list(dict.fromkeys(name for one in rows for name in one.first))
    if not names:
        return None
    faces = [[_face(one.looks.get(name)) for name in names] for one in rows]
    return sheets.contact_sheet(
        [(METHODS[r.method].title, f) for r, f in zip(rows, faces, strict=True)], names
    )


def _face(look: Result | None) -> np.ndarray | None:
    if look is None:
        return None
    return np.asarray(Image.open(BytesIO(look.arrays["face"].tobytes())).convert("RGB"))

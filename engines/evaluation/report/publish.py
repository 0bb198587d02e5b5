"""The report's files: figures as JSON, one page for people, questions for the study."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from engines.config import Mode
from engines.evaluation.experiment.evidence import Evidence
from engines.evaluation.experiment.methods import METHODS
from engines.evaluation.experiment.tasks import Networks, Result
from engines.evaluation.report import page, plots, sheets
from engines.evaluation.report.assemble import assemble, judges_of
from engines.evaluation.report.schema import EvaluationReport
from engines.evaluation.report.wording import MODES
from engines.evaluation.score.trials import Judge, Outcome, outcome_of
from engines.evaluation.study import answers
from engines.evaluation.study.preparation import write_trials
from engines.files import write_atomic

REPORT, PAGE = "report.json", "report.html"


def publish(evidence: Evidence, networks: Networks, folder: Path) -> EvaluationReport:
    """Write report.json, report.html and the study's questions; returns the report.

    Raises:
        OutputError: a file cannot be written.
        ConfigError: a library that the report needs is missing.
    """
    judges = judges_of(evidence)
    write_trials(evidence, next(iter(judges.values())), list(_shown(evidence, judges, "dodge")), folder)
    report = assemble(evidence, judges, networks)
    report["study"] = answers.score(folder)
    made = {MODES[mode]: _sheet(evidence, judges, mode) for mode in evidence.plan.modes}
    sheets_of_modes = {mode: sheet for mode, sheet in made.items() if sheet}
    html = page.render(report, plots.plots(report), sheets_of_modes)
    write_atomic(folder / REPORT, (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode())
    write_atomic(folder / PAGE, html.encode())
    return report


def _shown(evidence: Evidence, judges: Mapping[str, Judge], mode: Mode) -> Iterator[Outcome]:
    """Every method once, with the first of its recognisers held out."""
    for method, _ in evidence.plan.entries:
        outcomes = (outcome_of(evidence, judge, method, mode) for judge in judges.values())
        yield from [outcome for outcome in outcomes if outcome is not None][:1]


def _sheet(evidence: Evidence, judges: Mapping[str, Judge], mode: Mode) -> bytes | None:
    """Faces by method and photo; None where there are none."""
    rows = list(_shown(evidence, judges, mode))
    names = list(dict.fromkeys(name for outcome in rows for name in outcome.compared))
    if not names:
        return None
    faces = [[_face(outcome.inspections.get(name)) for name in names] for outcome in rows]
    titles = [METHODS[outcome.method].title for outcome in rows]
    return sheets.contact_sheet(list(zip(titles, faces, strict=True)), names)


def _face(inspection: Result | None) -> np.ndarray | None:
    if inspection is None:
        return None
    return np.asarray(Image.open(BytesIO(inspection.arrays["face"].tobytes())).convert("RGB"))

"""The files of a report, from made-up evidence."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from engines.evaluation.experiment.tasks import Networks
from engines.evaluation.report.publish import PAGE, REPORT, publish
from engines.evaluation.study.questions import read_trials
from tests.support.evaluation import sample_evidence


def face(shade: int) -> np.ndarray:
    """The bytes of a JPEG."""
    buffer = BytesIO()
    Image.fromarray(np.full((32, 32, 3), shade, np.uint8)).save(buffer, "JPEG")
    return np.frombuffer(buffer.getvalue(), np.uint8)


def test_a_report_is_figures_a_page_and_questions(tmp_path: Path) -> None:
    evidence = sample_evidence(modes=("dodge", "impersonate"))
    for number, result in enumerate(evidence.clean.values()):
        result.arrays["face"] = face(number)
    for number, results in enumerate(evidence.protected.values()):
        for other, (name, (protection, inspection)) in enumerate(results.items()):
            picture = {"face": face(100 + 10 * number + 3 * other)}
            results[name] = protection, replace(inspection, arrays=inspection.arrays | picture)
    report = publish(evidence, Networks("cpu"), tmp_path)
    assert json.loads((tmp_path / REPORT).read_text("utf-8")) == json.loads(json.dumps(report))
    assert report["study"] is None
    html = (tmp_path / PAGE).read_text("utf-8")
    assert html.count("data:image/jpeg") == 2 and html.count("data:image/png") >= 2
    trials = read_trials(tmp_path)
    assert {trial.kind for trial in trials} == {"identity", "retouched"}
    answer = {"participant": "p", "trial": trials[0].id, "choice": 0, "correct": True, "milliseconds": 9}
    (tmp_path / "study.json").write_text(json.dumps([answer | {"familiar": False}]))
    again = publish(evidence, Networks("cpu"), tmp_path)
    assert again["study"] is not None and again["study"][trials[0].kind]["n"] == 1

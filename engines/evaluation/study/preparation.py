"""Preparation of a study: pictures and questions from an evaluation's evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from engines.evaluation.experiment.evidence import Evidence
from engines.evaluation.experiment.methods import METHODS
from engines.evaluation.score.statistics import similarities
from engines.evaluation.score.trials import Judge, Outcome
from engines.evaluation.study.questions import TRIALS
from engines.files import explained, write_atomic

#: The folder of the pictures, in the folder of a report.
_FOLDER = "pictures"


def write_trials(evidence: Evidence, judge: Judge, outcomes: list[Outcome], folder: Path) -> None:
    """Write pictures of faces, and the questions about every photo that was compared, by method.

    "identity": which of two photos shows the person of the protected face?  One is another photo of the
    owner, the other the photo of another person that the judge finds most like the clean one.  "retouched":
    which of two photos was changed?

    Raises:
        OutputError: a file cannot be written.
    """
    written: dict[str, bytes] = {}
    trials = list(_trials(evidence, judge, outcomes, written))
    if not trials:
        return
    pictures = folder / _FOLDER
    with explained(pictures):
        pictures.mkdir(exist_ok=True)
    for name, data in written.items():
        write_atomic(folder / name, data)
    write_atomic(folder / TRIALS, json.dumps({"trials": trials}, indent=1).encode())


def _trials(
    evidence: Evidence, judge: Judge, outcomes: list[Outcome], written: dict[str, bytes]
) -> Iterator[dict[str, Any]]:
    numbers = {shot.name: number for number, shot in enumerate(evidence.dataset.shots)}

    def picture(name: str, face: np.ndarray, method: str = "clean") -> str:
        path = f"{_FOLDER}/{numbers[name]:05}-{method}.jpg"
        written[path] = face.tobytes()
        return path

    for outcome in outcomes:
        if METHODS[outcome.method].kind == "control":
            continue
        for name, inspection in outcome.inspections.items():
            person = outcome.owners[name]
            # Answers belong to a picture, not to a photo: another seed makes another picture.
            mark = hashlib.sha256(inspection.arrays["face"].tobytes()).hexdigest()[:12]
            changed = picture(name, inspection.arrays["face"], outcome.method)
            about = {"method": outcome.method, "person": person}
            others = [n for n in judge.references.get(person, {}) if n != name]
            stranger = _most_alike(judge, person, name)
            if others and stranger is not None:
                options = [picture(n, evidence.clean[n].arrays["face"]) for n in (others[0], stranger)]
                question = {"kind": "identity", "shown": changed, "options": options, "answer": 0}
                yield {"id": f"identity/{outcome.method}/{mark}"} | about | question
            options = [picture(name, evidence.clean[name].arrays["face"]), changed]
            question = {"kind": "retouched", "shown": None, "options": options, "answer": 1}
            yield {"id": f"retouched/{outcome.method}/{mark}"} | about | question


def _most_alike(judge: Judge, person: str, name: str) -> str | None:
    """The photo of another person that the judge finds most like a clean one."""
    others = [(n, e) for p, of in judge.references.items() if p != person for n, e in of.items()]
    if not others or name not in judge.references.get(person, {}):
        return None
    alike = similarities(judge.metric, judge.references[person][name][None], np.stack([e for _, e in others]))
    return others[int(alike.argmax())][0]

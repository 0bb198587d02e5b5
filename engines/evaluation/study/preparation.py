"""Pictures and questions for `clip2protect study`, made of an evaluation's evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from engines.evaluation.experiment.methods import METHODS
from engines.evaluation.experiment.plan import Evidence
from engines.evaluation.score.statistics import similarities
from engines.evaluation.score.trials import Judge, Tried
from engines.files import explained, write_atomic

TRIALS, PICTURES = "study-trials.json", "pictures"


def write_trials(evidence: Evidence, judge: Judge, tried: list[Tried], folder: Path) -> None:
    """Pictures of faces, and the questions that are asked about them: of every photo that was compared, by method.

    "identity": which of two is the person whose protected face is shown: another photo of the owner, or the
    photo of somebody else that the judge finds most like the clean one.  "retouched": which of two was changed.
    Raises OutputError.
    """
    written: dict[str, bytes] = {}
    trials = list(_trials(evidence, judge, tried, written))
    if not trials:
        return
    pictures = folder / PICTURES
    with explained(pictures):
        pictures.mkdir(exist_ok=True)
    for name, data in written.items():
        write_atomic(folder / name, data)
    write_atomic(folder / TRIALS, json.dumps({"trials": trials}, indent=1).encode())


def _trials(
    evidence: Evidence, judge: Judge, tried: list[Tried], written: dict[str, bytes]
) -> Iterator[dict[str, Any]]:
    numbers = {shot.name: number for number, shot in enumerate(evidence.dataset.shots)}

    def picture(name: str, face: np.ndarray, method: str = "clean") -> str:
        path = f"{PICTURES}/{numbers[name]:05}-{method}.jpg"
        written[path] = face.tobytes()
        return path

    for one in tried:
        if METHODS[one.method].kind == "control":
            continue
        for name, look in one.looks.items():
            person = one.owners[name]
            # Answers belong to a picture, not to a photo: another seed makes another one.
            mark = hashlib.sha256(look.arrays["face"].tobytes()).hexdigest()[:12]
            changed = picture(name, look.arrays["face"], one.method)
            about = {"method": one.method, "person": person}
            others = [n for n in judge.references.get(person, {}) if n != name]
            stranger = _most_alike(judge, person, name)
            if others and stranger is not None:
                options = [picture(n, evidence.clean[n].arrays["face"]) for n in (others[0], stranger)]
                question = {"kind": "identity", "shown": changed, "options": options, "answer": 0}
                yield {"id": f"identity/{one.method}/{mark}"} | about | question
            options = [picture(name, evidence.clean[name].arrays["face"]), changed]
            question = {"kind": "retouched", "shown": None, "options": options, "answer": 1}
            yield {"id": f"retouched/{one.method}/{mark}"} | about | question


def _most_alike(judge: Judge, person: str, name: str) -> str | None:
    """The photo of somebody else that the judge finds most like a clean one."""
    others = [(n, e) for p, of in judge.references.items() if p != person for n, e in of.items()]
    if not others or name not in judge.references.get(person, {}):
        return None
    alike = similarities(judge.metric, judge.references[person][name][None], np.stack([e for _, e in others]))
    return others[int(alike.argmax())][0]

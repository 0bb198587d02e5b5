"""A worker whose photos say what it does, for what real photos cannot bring about on demand.

PHOTO = b"echo", b"slow SECONDS", b"deaf SECONDS" (and no cancelling), b"die", b"hang", b"no face", and
answers that are none: b"nonsense", b"flood", b"deep", b"stage", b"overflow"; the result is the photo itself,
of b"owner" the owner's embeddings.  b"faces N" shows that many faces, the first of them the owner's.  With
`--marked` the words come after `DO` at the end of a real photo, and `MARK` is added to the result, which
still is one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from server.service.work import wire

DO, MARK = b"#do:", b"#protected"
MARKED = "--marked" in sys.argv
FACE = {
    "box": [60, 30, 160, 130],
    "psnr": 33.0,
    "ssim": 0.96,
    "steps": 1,
    "seed": 0,
    "prompt": "none",
    "target": None,
    "seconds": {"search": 0.1},
    "found_after": True,
    "recognisers": {
        name: {
            "metric": "cosine",
            "threshold": 0.4,
            "surrogate": True,
            "before": 0.9,
            "after": after,
            "matched_before": True,
            "matched_after": after > 0.4,
        }
        for name, after in (("one", 0.1), ("two", 0.2), ("three", 0.5))
    },
}


#: Keys and types are those of `engines.report.Report`, as tests/server/service/test_openapi.py checks.
REPORT = {
    "photo": {"width": 1, "height": 1, "format": "PNG", "psnr": 40.0, "ssim": 0.99},
    "faces": [FACE] if MARKED else [],
    "settings": {
        "mode": "dodge",
        "target": None,
        "level": "balanced",
        "faces": "all",
        "render": "residual",
        "surrogates": ["one", "two"],
        "steps": 1,
        "tuning_steps": 0,
        "seed": 0,
        "prompt": "none",
        "source_text": "no makeup",
        "without": [],
    },
    "stages": {"search": 0.1},
    "seconds": 0.1,
    "backends": {"detection": "torch"},
    "fallbacks": [],
}


def main() -> None:
    unwanted: set[str] = set()
    jobs: list[wire.Frame] = []
    more = threading.Condition()

    def listen() -> None:
        while (frame := wire.read(sys.stdin.buffer)) is not None:
            with more:
                if frame[0]["do"] == "cancel":
                    unwanted.add(frame[0]["job"])
                else:
                    jobs.append(frame)
                more.notify_all()
        os._exit(0)

    def tell(header: dict, body: bytes = b"") -> None:
        sys.stdout.buffer.write(wire.pack(header, len(body)) + body)
        sys.stdout.buffer.flush()

    threading.Thread(target=listen, daemon=True).start()
    if "--stillborn" in sys.argv:
        return
    if "--unusable" in sys.argv:
        tell({"event": "unusable", "detail": "no networks"})
        return
    tell({"event": "ready", "device": "none"})
    while True:
        with more:
            more.wait_for(lambda: bool(jobs))
            header, photo = jobs.pop(0)
        tell({"event": "begun", "job": header["job"]})
        if header["do"] == "enrol" and words_of(photo)[:1] != [b"no"]:
            tell(
                {"event": "done", "job": header["job"], "report": {"embeddings": {"scripted": [len(photo)]}}}
            )
        elif header["do"] == "look" and words_of(photo) != [b"no"]:
            tell(
                {
                    "event": "done",
                    "job": header["job"],
                    "report": {"faces": faces_of(photo, bool(header["owner"]))},
                }
            )
        else:
            work(
                header["job"],
                json.dumps(header["owner"]).encode() if photo == b"owner" else photo,
                unwanted,
                tell,
            )


def words_of(photo: bytes) -> list[bytes]:
    return (photo.rpartition(DO)[2] if DO in photo[-100:] else b"").split() if MARKED else photo.split()


def faces_of(photo: bytes, known: bool) -> list[dict]:
    words = words_of(photo)
    count = int(words[1]) if words[:1] == [b"faces"] else 1
    return [
        {
            "box": [10.0 * i, 0.0, 10.0 * i + 8, 8.0],
            "mine": i == 0 and words[:1] != [b"strangers"] if known else None,
        }
        for i in range(count)
    ]


def work(job: str, photo: bytes, unwanted: set[str], tell) -> None:  # noqa: ANN001
    words = words_of(photo)
    what = words[0].decode("utf-8", "replace") if words else ""
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what in ("nonsense", "flood", "deep"):
        deep = b"\0\3\x0d\x40" + bytes(8) + b"[" * 200_000
        said = {"nonsense": b"\0\0\0\4" + bytes(8) + b"junk", "flood": b"\xff" * 100_000, "deep": deep}[what]
        sys.stdout.buffer.write(said)
        sys.stdout.buffer.flush()
        time.sleep(3600)
    if what in ("stage", "overflow"):
        stage, done = ("unheard of", 1) if what == "stage" else ("search", 10**400)
        tell(
            {
                "event": "progress",
                "job": job,
                "stage": stage,
                "face": 1,
                "faces": 1,
                "done": done,
                "total": 2,
                "similarity": None,
            }
        )
        time.sleep(3600)
    if what == "hang":
        time.sleep(3600)
    if what == "strangers":
        tell({"event": "failed", "job": job, "code": "not_mine", "detail": "none is yours", "where": []})
        return
    if what == "no":
        tell({"event": "failed", "job": job, "code": "no_face", "detail": "no face was found", "where": []})
        return
    timed = what in ("slow", "deaf") and words[1:] and words[1].replace(b".", b"", 1).isdigit()
    seconds = float(words[1]) if timed else 0
    ends = time.monotonic() + seconds
    step, steps = 0, 50
    while time.monotonic() < ends:
        if job in unwanted and what != "deaf":
            tell({"event": "cancelled", "job": job})
            return
        step = min(step + 1, steps)
        tell(
            {
                "event": "progress",
                "job": job,
                "stage": "search",
                "face": 1,
                "faces": 1,
                "done": step,
                "total": steps,
                "similarity": 0.5,
            }
        )
        time.sleep(0.02)
    report = REPORT | {"photo": REPORT["photo"] | {"format": format_of(photo)}}
    tell({"event": "preview", "job": job}, b"preview")
    tell({"event": "done", "job": job, "report": report}, photo + MARK if MARKED else photo)


def format_of(photo: bytes) -> str:
    return "JPEG" if photo.startswith(b"\xff\xd8") else "WEBP" if photo.startswith(b"RIFF") else "PNG"


if __name__ == "__main__":
    main()

"""How seconds and memory grow with faces, photo size, search steps and photos, as a plot.

    python benchmarks/measure_growth.py -o growth.png [--json FILE] [--photos 200] [--device auto]

Needs matplotlib (`pip install 'clip2protect[eval]'`).  Photos are generated faces on a gray ground.
Every point runs in a process of its own, whose peak memory is counted above what it held with the
networks loaded; "photos" is one process that protects many, one search step each, and what it holds
after every tenth.  With `--json` a second run goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engines.config import Settings
from engines.evaluation.bench import peak_memory
from engines.latent.search import STEPS
from engines.latent.target import generated_face
from engines.load import embedded_stack
from engines.photo.decode import Photo, decode
from engines.pipeline import protect
from engines.runtime import tune_allocator
from engines.stack import Stack

FACES = (1, 2, 4)
MEGAPIXELS = (0.25, 1.0, 4.0, 16.0, 48.0)
SEARCH_STEPS = (10, STEPS, 2 * STEPS)
#: What a photo is made of: faces in a row, and their side in px.
_PER_ROW, _SIDE = 4, 400

Point = dict[str, Any]


def main() -> int:
    """Parse, measure every point, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", dest="output", type=Path, required=True, help="the plot, a PNG")
    parser.add_argument("--json", type=Path, help="also keep the figures")
    parser.add_argument("--photos", type=int, default=200, help="0 leaves that panel out")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    wanted = [("faces", n) for n in FACES] + [("megapixels", n) for n in MEGAPIXELS]
    wanted += [("steps", n) for n in SEARCH_STEPS] + [("photos", args.photos)] * (args.photos > 0)
    points: list[Point] = json.loads(args.json.read_text("utf-8")) if args.json and args.json.exists() else []
    known = {(p["what"], p["count"]) for p in points}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn, max_tasks_per_child=1) as pool:
        for what, count in wanted:
            if (what, count) in known:
                continue
            measure = held_over_photos if what == "photos" else one_protection
            points.append(pool.submit(measure, what, count, args.device).result())
            sys.stderr.write(json.dumps(points[-1]) + "\n")
            if args.json:
                args.json.write_text(json.dumps(points) + "\n", encoding="utf-8")
    draw(points, args.output)
    return 0


def one_protection(what: str, count: float, device: str) -> Point:
    """Seconds and peak memory of one photo with so many faces, megapixels or search steps."""
    tune_allocator()
    stack = embedded_stack(device)
    loaded = _resident()
    photo = _photo(stack, int(count) if what == "faces" else 1, count if what == "megapixels" else None)
    protect(_photo(stack, 1, None), stack, Settings(steps=1))  # warms up
    report = protect(photo, stack, Settings(steps=int(count) if what == "steps" else STEPS)).report
    return {"what": what, "count": count, "seconds": report["seconds"], "mib": peak_memory() - loaded}


def held_over_photos(what: str, count: float, device: str) -> Point:
    """What a process holds, MiB, after every tenth of so many photos of different faces and sizes."""
    tune_allocator()
    stack = embedded_stack(device)
    held = []
    for number in range(int(count)):
        photo = _photo(stack, 1 + number % 3, None if number % 2 else 1 + number % 5, first=number)
        protect(photo, stack, Settings(steps=1, faces="largest"))
        if (number + 1) % 10 == 0:
            held.append(round(_resident()))
            sys.stderr.write(f"{number + 1} photos: {held[-1]} MiB\n")
    return {"what": what, "count": count, "mib": held}


def _photo(stack: Stack, faces: int, megapixels: float | None, first: int = 0) -> Photo:
    """Generated faces side by side, a JPEG; with `megapixels` scaled to that size."""
    rows, columns = -(-faces // _PER_ROW), min(faces, _PER_ROW)
    canvas = Image.new("RGB", (columns * _SIDE, rows * _SIDE), (120, 120, 120))
    for i in range(faces):
        face = Image.fromarray(generated_face(stack.generator, first + i)).resize(
            (_SIDE, _SIDE), Image.Resampling.LANCZOS
        )
        canvas.paste(face, (i % _PER_ROW * _SIDE, i // _PER_ROW * _SIDE))
    if megapixels is not None:
        factor = (megapixels * 1e6 / (canvas.width * canvas.height)) ** 0.5
        canvas = canvas.resize((round(canvas.width * factor), round(canvas.height * factor)))
    buffer = BytesIO()
    canvas.save(buffer, "JPEG", quality=95)
    return decode(buffer.getvalue())


def _resident() -> float:
    """Memory of this process now, MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def draw(points: list[Point], path: Path) -> None:
    """Three panels of seconds and memory, and one of what many photos leave behind."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3), layout="constrained")
    many = [p["mib"] for p in points if p["what"] == "photos"]
    panels = figure.subplots(1, 3 + len(many))
    labels = {"faces": "faces in a photo", "megapixels": "megapixels", "steps": "search steps"}
    for panel, (what, label) in zip(panels, labels.items(), strict=False):
        series = [p for p in points if p["what"] == what]
        counts = [p["count"] for p in series]
        panel.plot(counts, [p["seconds"] for p in series], "o-", color="tab:blue")
        panel.set(xlabel=label, ylim=(0, 1.1 * max(p["seconds"] for p in series)))
        panel.set_ylabel("seconds", color="tab:blue")
        memory = panel.twinx()
        memory.plot(counts, [p["mib"] for p in series], "s--", color="tab:red")
        memory.set_ylabel("MiB above the networks", color="tab:red")
        memory.set_ylim(0, 1.1 * max(p["mib"] for p in series))
    for panel, held in zip(panels[3:], many, strict=True):
        panel.plot(10 * np.arange(1, len(held) + 1), held, color="tab:red")
        panel.set(xlabel="photos in one process", ylabel="MiB held", ylim=(0, 1.2 * max(held)))
        panel.set_title(
            f"second half: median {statistics.median(held[len(held) // 2 :]):.0f} MiB", fontsize=9
        )
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())

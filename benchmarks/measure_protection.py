"""How well protection holds against a recogniser that took no part, on any folder of people.

    python benchmarks/measure_protection.py FOLDER -o RESULTS.jsonl [--levels balanced] [--prompts natural]
        [--per-person N]

FOLDER has one folder a person with two photos or more.  Each photo's largest face is protected
(mode dodge) once for every recogniser held out, against all the others as surrogates; the held-out
one then compares it with the person's *other* photos, as it is and after JPEG at quality 75.  Only
pairs that matched before count.  "Unpainted" is the PSNR of the aligned face where a prompt paints
nothing.  Results are appended line by line: a second run goes on where the first one stopped.  The
tables are printed at the end.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import math
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from engines import encoding, evaluate, imaging
from engines.composite import Rendering, composite
from engines.config import NO_PROMPT, Level, Settings
from engines.detect import Face, detect
from engines.errors import Clip2ProtectError
from engines.face import MASK_WINDOW, AlignedFace
from engines.guidance import Guidance
from engines.invert import invert
from engines.networks.generator import IMAGE_SIZE
from engines.recognise import Recogniser
from engines.runtime import tune_allocator
from engines.search import BUDGETS, LatentCode, Scene, final_rendering, search
from engines.stack import Stack

Row = dict[str, Any]


def main() -> int:
    """Parse, measure what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", dest="output", type=Path, required=True, help="JSON lines, one a protected photo")
    parser.add_argument("--levels", nargs="+", choices=list(BUDGETS), default=["balanced"])
    parser.add_argument("--prompts", nargs="+", metavar="TEXT", default=[Settings().prompt])
    parser.add_argument("--held-out", nargs="+", metavar="NAME", help="default: every recogniser in turn")
    parser.add_argument("--per-person", type=int, default=1000, help="photos to protect of each person")
    parser.add_argument("--pictures", type=Path, help="also keep the protected photos in this folder")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    people = _people(args.folder)
    if not people:
        parser.error(f"{args.folder} holds no folder with two photos or more")
    tune_allocator()
    stack = Stack.embedded(args.device)
    rows = _read(args.output)
    for row in _measure(stack, people, args, {_key(row) for row in rows}):
        rows.append(row)
        with args.output.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    sys.stdout.write(tables(rows))
    return 0


def _people(folder: Path) -> dict[str, list[Path]]:
    """Folder name -> its photos, of everyone with two or more."""
    people = {}
    for person in sorted(p for p in folder.iterdir() if p.is_dir()):
        photos = sorted(p for p in person.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
        if len(photos) > 1:
            people[person.name] = photos
    return people


def _read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def _key(row: Row) -> tuple[str, ...]:
    return row["photo"], row["held_out"], row["level"], row["prompt"]


def _measure(
    stack: Stack, people: dict[str, list[Path]], args: argparse.Namespace, known: set[tuple[str, ...]]
) -> Iterator[Row]:
    held_out = args.held_out or list(stack.recognisers)
    stack.choose(tuple(held_out))
    for person, paths in people.items():
        for path in paths[: args.per_person]:
            name = f"{person}/{path.name}"
            every = itertools.product(held_out, args.levels, args.prompts)
            wanted = [one for one in every if (name, *one) not in known]
            if wanted:
                try:
                    yield from _one_photo(stack, name, path, [p for p in paths if p != path], wanted, args.pictures)
                except Clip2ProtectError as error:
                    sys.stderr.write(f"{name}: {error}\n")


def _one_photo(
    stack: Stack, name: str, path: Path, others: list[Path], wanted: list[tuple[str, Level, str]], pictures: Path | None
) -> Iterator[Row]:
    photo = imaging.load(path)
    face = detect(stack.detector, photo.pixels)[0]
    aligned = AlignedFace.cut(photo.pixels, face, stack.device)
    start = time.perf_counter()
    pivot = LatentCode.at(invert(stack.preview, aligned.crop, encoder=stack.encoder), stack.generator)
    inversion = time.perf_counter() - start
    for held_out, level, prompt in wanted:
        start = time.perf_counter()
        judge = stack.recognisers[held_out]
        surrogates = [r for r in stack.recognisers.values() if r is not judge]
        guidance = None if prompt == NO_PROMPT else stack.prompter.guide([aligned], prompt, Settings().source_text)
        scene = Scene(
            [aligned], stack.preview, pivot, kind="residual", gray=photo.gray, budget=BUDGETS[level], guidance=guidance
        )  # fmt: skip
        code = search(scene, surrogates)
        rendering = final_rendering(stack.generator, scene, code)
        pixels = composite(photo.pixels, aligned, rendering)
        data = encoding.encode(photo, pixels)
        seconds = inversion + time.perf_counter() - start
        after = imaging.decode(data).pixels
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            (pictures / f"{name.replace('/', '-')}-{level}-{prompt}-{held_out}{path.suffix}").write_bytes(data)
        before_box, after_box = evaluate.box_of(photo.pixels, face), evaluate.box_of(after, face)
        row = {
            "photo": name,
            "held_out": held_out,
            "level": level,
            "prompt": prompt,
            "unpainted": _unpainted(rendering, guidance),
            "psnr": evaluate.psnr(before_box, after_box),
            "ssim": evaluate.ssim(before_box, after_box),
            "seconds": seconds,
            "before": _values(stack, judge, photo.pixels, face, others),
            "after": _values(stack, judge, after, face, others),
            "jpeg75": _values(stack, judge, _jpeg(after, 75), face, others),
            "threshold": judge.threshold.far_1pct,
            "metric": judge.threshold.metric,
        }
        sys.stderr.write(
            f"{name} {level} {prompt} {held_out}: PSNR {row['psnr']:.1f} {row['before']} -> {row['after']}\n"
        )
        yield row


def _unpainted(rendering: Rendering, guidance: Guidance | None) -> float:
    """PSNR in dB of an aligned face within the mask's window, where a prompt paints nothing."""
    error = rendering.light.square().mean(dim=1, keepdim=True)
    weight = torch.ones_like(error)
    if guidance is not None:
        rows, columns = MASK_WINDOW.pixels
        weight = (
            1
            - F.interpolate(guidance.regions.amax(dim=1, keepdim=True), size=IMAGE_SIZE, mode="bilinear")[
                :, :, rows, columns
            ]
        )
    return -10 * math.log10(float((error * weight).sum() / weight.sum()))


def _values(stack: Stack, judge: Recogniser, pixels: np.ndarray, face: Face, others: list[Path]) -> list[float]:
    """The judge's value for this face against the largest face of every other photo."""
    found = evaluate.same_face(stack, pixels, face) or face
    mine = evaluate.embed_face(judge, pixels, found)
    values = []
    for path in others:
        other = imaging.load(path).pixels
        theirs = evaluate.embed_face(judge, other, detect(stack.detector, other)[0])
        values.append(round(float(judge.compare(mine, theirs)), 4))
    return values


def _jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def tables(rows: Iterable[Row]) -> str:
    """Markdown: what still matches, by level and held-out recogniser, and how much has changed."""
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["level"], row["prompt"], row["held_out"]].append(row)
        groups[row["level"], row["prompt"], "all"].append(row)
    heads = "level, prompt, held out, photos, pairs, still match, after JPEG 75, PSNR (min), unpainted, SSIM (min), s"
    lines = [_line(heads.split(", ")), "|---" * (heads.count(",") + 1) + "|"]
    order = sorted(groups.items(), key=lambda g: (list(BUDGETS).index(g[0][0]), *g[0][1:]))
    for key, group in order:
        pairs = sum(sum(_matched(row, "before")) for row in group)
        kept = {
            moment: sum(
                now for row in group
                for was, now in zip(_matched(row, "before"), _matched(row, moment), strict=True) if was
            )
            for moment in ("after", "jpeg75")
        }  # fmt: skip
        shares = [f"{n} ({100 * n / max(pairs, 1):.0f} %)" for n in kept.values()]
        psnr, ssim = ([row[k] for row in group] for k in ("psnr", "ssim"))
        rest, seconds = (statistics.median(row[k] for row in group) for k in ("unpainted", "seconds"))
        of_box = f"{statistics.median(psnr):.1f} ({min(psnr):.1f})", f"{statistics.median(ssim):.3f} ({min(ssim):.3f})"
        lines.append(_line([*key, len(group), pairs, *shares, of_box[0], f"{rest:.1f}", of_box[1], f"{seconds:.0f}"]))
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _matched(row: Row, moment: str) -> list[bool]:
    if row["metric"] == "cosine":
        return [value > row["threshold"] for value in row[moment]]
    return [value < row["threshold"] for value in row[moment]]


if __name__ == "__main__":
    sys.exit(main())

"""Does a face get the makeup of its prompt: the right colour, in the right place, and nowhere else?

    python benchmarks/measure_guidance.py [FOLDER] -o sheet.png [--generated 20] [--json FILE]

FOLDER has a folder for each person; the benchmark uses the first photo of each.  For every face and prompt it
compares the change of colour (CIE Lab, 1976) inside the prompt's parts with the change in the other parts.
The right direction is the prompt's: from the photo's colour to the plain colour of its words.  The sheet has
a row for each face.  With `--json` a second run goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from skimage.color import rgb2lab

from engines.config import Settings
from engines.face.crop import AlignedFace
from engines.face.detect import detect
from engines.latent.target import generated_face
from engines.load import embedded_stack
from engines.makeup.regions import locate, masks
from engines.networks.frame import REGIONS, Region, quarter
from engines.photo.decode import Photo, decode, load_photo
from engines.pipeline import protect
from engines.runtime import tune_allocator
from engines.stack import Stack

#: Prompt -> where it belongs, and the direction in Lab that its words ask for: lightness, red, yellow.
PROMPTS: dict[str, tuple[tuple[Region, ...], tuple[float, float, float]]] = {
    "red lipstick": (("lips",), (0, 1, 0)),
    "purple eyeshadow": (("shadow",), (0, 0.3, -1)),
    "pink blush": (("blush",), (0, 1, 0)),
    "dark smoky eyes": (("shadow", "liner"), (-1, 0, 0)),
    "tanned skin": (("skin",), (-1, 0, 0.3)),
}
#: What is compared with them: every one of these that does not lie in them.
_OTHERS: tuple[Region, ...] = ("lips", "shadow", "brows", "blush", "contour", "highlight", "skin")
_APART = 0.3
Row = dict[str, Any]
_TILE = 224


def main() -> int:
    """Parse, protect every face with every prompt, print, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("-o", dest="output", type=Path, required=True, help="the contact sheet, a PNG")
    parser.add_argument("--generated", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    tune_allocator()
    stack = embedded_stack()
    rows: list[Row] = json.loads(args.json.read_text("utf-8")) if args.json and args.json.exists() else []
    known = {row["face"] for row in rows}
    tiles = []
    for name, photo in photos(stack, args.folder, args.generated):
        if name in known:
            continue
        tiles.append([_tile(photo.pixels, stack)])
        for prompt in PROMPTS:
            rows.append(one(stack, name, photo, prompt, tiles[-1]))
            sys.stderr.write(json.dumps(rows[-1]) + "\n")
        if args.json:
            args.json.write_text(json.dumps(rows) + "\n", encoding="utf-8")
        Image.fromarray(np.concatenate([np.concatenate(line, axis=1) for line in tiles])).save(args.output)
    for prompt in PROMPTS:
        sys.stdout.write(summary(prompt, [row for row in rows if row["prompt"] == prompt]))
    return 0


def summary(prompt: str, rows: list[Row]) -> str:
    """One line about a prompt."""
    times = [row["inside"] / max(row["outside"], 1e-6) for row in rows]
    along = statistics.mean(row["along"] > 0 for row in rows)
    return (
        f"{prompt}: {statistics.median(times):.1f} times the change of other parts in the median, 3 times"
        f" or more in"
        f" {sum(t >= 3 for t in times)} of {len(rows)}; in the direction {100 * along:.0f} %; inside"
        f" {statistics.median(row['inside'] for row in rows):.1f} Lab in the median\n"
    )


def photos(stack: Stack, folder: Path | None, generated: int) -> Iterator[tuple[str, Photo]]:
    """Every person's first photo, and generated faces."""
    for person in sorted(p for p in folder.iterdir() if p.is_dir()) if folder else []:
        yield person.name, load_photo(sorted(person.iterdir())[0])
    for seed in range(generated):
        buffer = BytesIO()
        Image.fromarray(generated_face(stack.generator, 5000 + seed)).resize((512, 512)).save(buffer, "PNG")
        yield f"generated-{seed}", decode(buffer.getvalue())


def one(stack: Stack, name: str, photo: Photo, prompt: str, tiles: list[np.ndarray]) -> Row:
    """One face with one prompt: what changed inside the right parts and in the others, in Lab."""
    result = protect(photo, stack, Settings(prompt=prompt, faces="largest"))
    face = result.report["faces"][0]
    before, after = (_lab(_aligned(stack, photo.pixels, pixels)) for pixels in (photo.pixels, result.pixels))
    crop = _aligned(stack, photo.pixels, photo.pixels)
    parts = masks(locate(stack.prompter.landmarks, crop)[0].numpy())
    right, direction = PROMPTS[prompt]
    mask = dict(zip(REGIONS, parts, strict=True))
    asked = np.max([mask[region] for region in right], axis=0)
    change = after - before
    inside = np.mean([_mean(change, mask[region]) for region in right], axis=0)
    others = [mask[r] * (1 - asked) for r in _OTHERS if (mask[r] * asked).sum() < _APART * mask[r].sum()]
    outside = [float(np.linalg.norm(_mean(change, other))) for other in others]
    tiles.append(_tile(result.pixels, stack, photo.pixels))
    return {
        "face": name,
        "prompt": prompt,
        "inside": float(np.linalg.norm(inside)),
        "outside": float(np.mean(outside)),
        "along": float(np.dot(inside, direction)),
        "shift": [round(float(v), 1) for v in inside],
        "psnr": face["psnr"],
        "seconds": face["seconds"]["search"],
        "matched": [n for n, r in face["recognisers"].items() if r["matched_after"]],
    }


def _aligned(stack: Stack, where: np.ndarray, pixels: np.ndarray) -> torch.Tensor:
    """The face (1, 3, 256, 256) in [0, 1], cut where it lies in `where`."""
    face = detect(stack.detector, where)[0]
    return quarter(AlignedFace.cut(pixels, face, torch.device("cpu")).crop)


def _lab(image: torch.Tensor) -> np.ndarray:
    return rgb2lab(image[0].permute(1, 2, 0).numpy())


def _mean(change: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return (change * mask[:, :, None]).sum(axis=(0, 1)) / (mask.sum() + 1e-6)


def _tile(pixels: np.ndarray, stack: Stack, where: np.ndarray | None = None) -> np.ndarray:
    image = _aligned(stack, pixels if where is None else where, pixels)[0].permute(1, 2, 0).numpy()
    return np.asarray(Image.fromarray((image * 255).round().astype(np.uint8)).resize((_TILE, _TILE)))


if __name__ == "__main__":
    sys.exit(main())

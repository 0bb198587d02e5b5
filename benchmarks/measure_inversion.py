"""How near each way of inverting comes to the photo, and what it costs, on any folder of people.

    python benchmarks/measure_inversion.py FOLDER [--people N] [--per-person N] [--pictures FILE.png]

FOLDER has one folder a person.  Of every photo the largest face is inverted in every way.  PSNR and
SSIM are of the face within the mask at 256 px; a recogniser's value is the photo against the same
photo with the drawn face in it.  All are means over the photos; the table is printed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from engines.face.crop import AlignedFace
from engines.face.detect import detect
from engines.latent.change import structural_dissimilarity
from engines.latent.invert import STEPS, TUNING_STEPS, invert, tuned
from engines.load import embedded_stack
from engines.networks.frame import MASK_WINDOW, face_mask, quarter
from engines.photo.decode import load_photo
from engines.runtime import tune_allocator
from engines.stack import Stack

#: Steps of the inversion that starts from the mean latent: what it took before there was an encoder.
STEPS_ALONE = 40
_SMALL = 256


def main() -> int:
    """Parse, invert, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, default=1000, help="so many of them")
    parser.add_argument("--per-person", type=int, default=1000, help="photos of each person")
    parser.add_argument("--pictures", type=Path, help="also draw photo and faces side by side into this PNG")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    tune_allocator()
    stack = embedded_stack(args.device)
    people = [sorted(p.glob("*.jpg"))[: args.per_person] for p in sorted(args.folder.iterdir()) if p.is_dir()]
    people = people[: args.people]
    rows: dict[str, list[list[float]]] = defaultdict(list)
    strips = []
    for path in (path for photos in people for path in photos):
        photo = load_photo(path)
        face = AlignedFace.cut(photo.pixels, detect(stack.detector, photo.pixels)[0], stack.device)
        strip = [F.avg_pool2d(face.crop, 4)[:, :, *_window()]]
        for name, drawn, seconds in ways(stack, face):
            rows[name].append([*scores(stack, face, drawn), seconds])
            strip.append(drawn)
        strips.append(torch.cat(strip, dim=3))
        sys.stderr.write(f"{path.parent.name}/{path.name}\n")
    sys.stdout.write(table(rows, list(stack.recognisers)))
    if args.pictures:
        pixels = ((torch.cat(strips, dim=2)[0].clamp(-1, 1) + 1) * 127.5).round().byte()
        Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy()).save(args.pictures)
    return 0


def ways(stack: Stack, face: AlignedFace) -> Iterator[tuple[str, Tensor, float]]:
    """Every way to invert: its name, the window (1, 3, 196, 168) that it draws, and its seconds."""
    for name, encoder, steps in (
        (f"optimisation alone, {STEPS_ALONE} steps", None, STEPS_ALONE),
        ("encoder alone", stack.encoder, 0),
        (f"encoder + {STEPS} steps of refinement", stack.encoder, STEPS),
    ):
        start = time.perf_counter()
        pivot = invert(stack.preview, face.crop, encoder=encoder, steps=steps)
        seconds = time.perf_counter() - start
        with torch.no_grad():
            yield name, stack.preview.small(pivot, None, MASK_WINDOW), seconds
    start = time.perf_counter()
    pivot = invert(stack.generator, face.crop, encoder=stack.encoder, steps=0)
    with tuned(stack.generator, pivot, face.crop):
        seconds = time.perf_counter() - start
        with torch.no_grad():
            drawn = stack.generator.small(pivot, None, MASK_WINDOW)
    yield f"encoder + {TUNING_STEPS} steps of tuning", drawn, seconds


@torch.no_grad()
def scores(stack: Stack, face: AlignedFace, drawn: Tensor) -> list[float]:
    """PSNR in dB, SSIM, and every recogniser's value, of a drawn window against the photo."""
    photo = quarter(face.crop)
    mask = F.avg_pool2d(face_mask(photo.device), 4)
    known, inverted = photo[:, :, *_window()], (drawn / 2 + 0.5).clamp(0, 1)
    error = float((mask * (inverted - known).square()).sum() / (3 * mask.sum()))
    lost = float((mask * structural_dissimilarity(known, inverted)).sum() / (3 * mask.sum()))
    pasted = photo.clone()
    pasted[:, :, *_window()] = inverted
    values = []
    for recogniser in stack.recognisers.values():
        transform = recogniser.crop_transform(face.points * (_SMALL / face.crop.shape[-1]))
        values.append(
            float(recogniser.compare(*(recogniser.embed(image, transform) for image in (photo, pasted))))
        )
    return [-10 * torch.log10(torch.tensor(error)).item(), 1 - lost, *values]


def table(rows: dict[str, list[list[float]]], recognisers: list[str]) -> str:
    """Markdown: a way a row, means over the faces."""
    columns = ["inversion", "PSNR", "SSIM", *recognisers, "seconds"]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for name, values in rows.items():
        psnr, ssim, *similar, seconds = (statistics.mean(column) for column in zip(*values, strict=True))
        cells = [f"{psnr:.1f} dB", f"{ssim:.3f}", *(f"{s:.2f}" for s in similar), f"{seconds:.1f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _window() -> tuple[slice, slice]:
    """Rows and columns of the mask's window at 256 px."""
    rows, columns = (slice(s.start // 4, s.stop // 4) for s in MASK_WINDOW.pixels)
    return rows, columns


if __name__ == "__main__":
    sys.exit(main())

"""How well the makeup model reads faces it never saw: retrieval, and what it takes for what.

    python benchmarks/measure_makeup_clip.py [-o confusion.png] [--weights FILE] [--faces 400]

Generated faces of other seeds than the training's, each painted with one caption's look.  The right caption
must come first among 50 whose looks all differ.  The picture (needs matplotlib, `pip install
'clip2protect[eval]'`) shows which part and colour is taken for which.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from engines.makeup.text_image import Embedded
from engines.networks.makeup_clip import MakeupClip
from engines.training.augment import degraded
from engines.training.makeup_clip import LIGHT, GeneratedFaces, embed_texts, fresh_model
from engines.training.painter import paint
from engines.training.vocabulary import Caption, Layer, Look, caption, phrase
from engines.training.words import EFFECTS
from engines.weights import load_shipped

#: Seeds that training, which counts from 0, never reaches.
_FIRST_SEED = 10**6
AMONG = 50
KINDS = {
    "one part, wordings trained on": (1, False),
    "one part, wordings never trained on": (1, True),
    "two parts": (2, False),
    "three parts": (3, False),
    "two parts, wordings never trained on": (2, True),
    "any caption": (None, False),
}


def main() -> int:
    """Parse, measure, print, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", dest="output", type=Path, help="the confusion matrix, a PNG")
    parser.add_argument("--weights", type=Path, help="other weights than those that ship")
    parser.add_argument("--faces", type=int, default=400)
    args = parser.parse_args()
    model = load(args.weights)
    faces = GeneratedFaces(torch.device("cpu")).draw(args.faces, _FIRST_SEED)
    for kind, (parts, held_out) in KINDS.items():
        right = retrieval(model, faces, parts, held_out)
        sys.stdout.write(f"{kind}: {100 * right:.1f} % of {args.faces} first among {AMONG}\n")
        sys.stdout.flush()
    if args.output:
        draw(*confusion(model, faces), args.output)
    return 0


def load(weights: Path | None) -> MakeupClip:
    """The model with weights of a file, or those that ship."""
    model = fresh_model(torch.device("cpu"))
    apart = "clip.text.transformer."
    if weights is None:
        return load_shipped("makeup_clip", model, apart=apart)
    state = {
        k: v.float() if v.is_floating_point() else v for k, v in safetensors.torch.load_file(weights).items()
    }
    model.load_state_dict(state | {k: v for k, v in model.state_dict().items() if k.startswith(apart)})
    return model.eval()


@torch.no_grad()
def painted_embeddings(model: MakeupClip, faces: list[tuple[Tensor, Tensor]], looks: list[Look]) -> Tensor:
    """Embeddings of painted faces, degraded as photos are."""
    views, regions = (torch.stack(parts).float() / 255 for parts in zip(*faces, strict=True))
    painted = paint(views, regions, looks, _FIRST_SEED)
    parts = [
        degraded(part * 2 - 1, i, light=LIGHT, gray_part=0.0) / 2 + 0.5
        for i, part in enumerate(painted.split(50))
    ]
    return torch.cat([Embedded(model).images(part) for part in parts])


@torch.no_grad()
def retrieval(
    model: MakeupClip, faces: list[tuple[Tensor, Tensor]], parts: int | None, held_out: bool
) -> float:
    """The part of the faces whose own caption comes first among `AMONG` with different looks."""
    chance = random.Random(7)
    right = [caption(chance, parts=parts, held_out=held_out) for _ in faces]
    images = painted_embeddings(model, faces, [c.look for c in right])
    hits = 0
    for image, own in zip(images, right, strict=True):
        others: dict[frozenset[str], Caption] = {own.look.key: own}
        while len(others) < AMONG:
            other = caption(chance, parts=parts, held_out=held_out)
            others.setdefault(other.look.key, other)
        texts = embed_texts(model, model.read([c.text for c in others.values()]))
        hits += int((texts @ image).argmax() == 0)
    return hits / len(faces)


@torch.no_grad()
def confusion(model: MakeupClip, faces: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, list[str]]:
    """How often (K, K) a look of one part and colour is taken for another, and what the K are."""
    layers = [Layer(name, colour) for name, effect in EFFECTS.items() for colour in effect.colours]
    chance = random.Random(8)
    texts = torch.stack(
        [
            embed_texts(model, model.read([phrase(chance, layer) for _ in range(4)])).mean(dim=0)
            for layer in layers
        ]
    )
    counts = torch.zeros(len(layers), len(layers))
    for i, layer in enumerate(layers):
        some = [faces[(4 * i + k) % len(faces)] for k in range(4)]
        for taken in (painted_embeddings(model, some, [Look((layer,))] * 4) @ texts.T).argmax(dim=1).tolist():
            counts[i, taken] += 0.25
    return counts, [f"{layer.colour} {layer.effect}" for layer in layers]


def draw(counts: Tensor, names: list[str], path: Path) -> None:
    """The matrix as a picture: rows are what was painted, columns what it was taken for."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 14), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts, cmap="magma", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
    axes.set_yticks(range(len(names)), names, fontsize=6)
    axes.set(xlabel="taken for", ylabel="painted")
    axes.set_title(f"right: {100 * float(counts.diagonal().mean()):.1f} %")
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    sys.exit(main())

"""Choice of prompt and target for a face by short searches, which the paper leaves as future work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from engines.face.recognise import Identity, Recogniser
from engines.latent.scene import Scene
from engines.latent.search import OnStep, outcome, search

#: Steps of a short search: a third of a whole search ranks candidates well enough.
SHORT = 10


def choose_prompt(
    prompts: Sequence[str],
    scene_of: Callable[[str], Scene],
    surrogates: list[Recogniser],
    target: Identity | None,
    seed: int,
    on_step: OnStep | None = None,
) -> str:
    """The prompt whose short search protects most for its visible change (see `_worth`).

    `on_step` gets the step, the number of steps of all searches, and the similarity.
    """
    worths = [
        _worth(scene_of(prompt), surrogates, target, seed, _counted(on_step, number, len(prompts)))
        for number, prompt in enumerate(prompts)
    ]
    return prompts[worths.index(max(worths))]


def choose_target(
    targets: Mapping[str, Identity],
    scene: Scene,
    surrogates: list[Recogniser],
    seed: int,
    on_step: OnStep | None = None,
) -> str:
    """The name of the target whose short search gains most for its visible change; `on_step` as above."""
    worths = {
        name: _worth(scene, surrogates, target, seed, _counted(on_step, number, len(targets)))
        for number, (name, target) in enumerate(targets.items())
    }
    return max(worths, key=worths.__getitem__)


def _counted(on_step: OnStep | None, number: int, count: int) -> OnStep | None:
    """`on_step` for search `number` (from 0) of `count`."""
    if on_step is None:
        return None
    return lambda done, total, similarity: on_step(number * total + done, count * total, similarity)


def _worth(
    scene: Scene, surrogates: list[Recogniser], target: Identity | None, seed: int, on_step: OnStep | None
) -> float:
    """The gain of a short search for each unit of visible change; the mean over faces side by side.

    The gain is the fall of the adversarial term.  The visible change is the root mean square of the change,
    makeup included.
    """
    code = search(scene, surrogates, target=target, steps=SHORT, seed=seed, on_step=on_step)
    with torch.no_grad():
        gain, change = outcome(scene, surrogates, code, target)
    return float((gain / change).mean())

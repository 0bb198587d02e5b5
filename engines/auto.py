"""Choosing prompt and target for a face by short searches, which the paper leaves as future work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from engines.losses.adversarial import Identity
from engines.recognise import Recogniser
from engines.search import Scene, outcome, search

#: Steps of a short search: enough to rank candidates, a third of a whole one.
SHORT = 10


def choose_prompt(
    prompts: Sequence[str], scene_of: Callable[[str], Scene], surrogates: list[Recogniser],
    target: Identity | None, seed: int,
) -> str:  # fmt: skip
    """The prompt whose short search protects most for what it shows (see `_worth`)."""
    return max(prompts, key=lambda prompt: _worth(scene_of(prompt), surrogates, target, seed))


def choose_target(targets: Mapping[str, Identity], scene: Scene, surrogates: list[Recogniser], seed: int) -> str:
    """The target, by its name, that a short search comes nearest to for what it shows."""
    return max(targets, key=lambda face: _worth(scene, surrogates, targets[face], seed))


def _worth(scene: Scene, surrogates: list[Recogniser], target: Identity | None, seed: int) -> float:
    """Protection for what is shown, by a short search; of faces side by side, their mean.

    Protection is how much less the surrogates match the owner, and more the target if there is one; what
    is shown is the root mean square of the change, makeup included.
    """
    code = search(scene, surrogates, target=target, steps=SHORT, seed=seed)
    with torch.no_grad():
        gained, shown = outcome(scene, surrogates, code, target)
    return float((gained / shown).mean())

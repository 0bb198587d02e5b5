"""The recipe of the preview."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from engines.networks.preview import PreviewHead
from engines.stack import Stack
from engines.training import preview as recipe
from engines.training.loop import steps_done, train

pytestmark = pytest.mark.models


def test_a_stopped_run_goes_on_as_if_it_had_not_been(stack: Stack, tmp_path: Path) -> None:
    def trained(checkpoint: Path, *stops: int) -> PreviewHead:
        for stop in stops:
            torch.manual_seed(0 if not checkpoint.exists() else 99)
            head = PreviewHead()
            pool = recipe.Pool(stack.generator, steps_done(checkpoint))
            calls = []

            def loss_of(
                step: int, head: PreviewHead = head, pool: recipe.Pool = pool, calls: list[int] = calls
            ) -> Tensor:
                calls.append(step)
                return recipe.distillation(head, *pool.pick(step))

            train(head, loss_of, steps=4, stop=stop, rate=1e-3, checkpoint=checkpoint, say=lambda line: None)
        assert calls[-1] == 3
        return head

    whole, resumed = trained(tmp_path / "a.pt", 4), trained(tmp_path / "b.pt", 2, 4)
    assert steps_done(tmp_path / "b.pt") == 4
    start = nn.utils.parameters_to_vector(PreviewHead().parameters())
    a, b = (nn.utils.parameters_to_vector(head.parameters()) for head in (whole, resumed))
    assert torch.equal(a, b)
    assert not torch.equal(a, start)

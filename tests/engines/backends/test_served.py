"""An exported network that fails hands over to torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.backends.attach import Served
from engines.errors import EngineError

CPU = torch.device("cpu")


def test_an_engine_that_fails_hands_over_to_torch_and_says_so() -> None:
    class Failing:
        name, differentiable, calls = "onnxruntime 1.0 cpu fp32", False, 0

        def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
            self.calls += 1
            raise EngineError("ONNX Runtime failed on double: no memory")

    notes: list[str] = []
    failing, network = Failing(), nn.Linear(3, 2)
    served = Served("double", network, failing, notes)
    x = torch.rand(4, 3)
    for _ in range(2):
        assert torch.equal(served(x), network(x))
    assert failing.calls == 1
    assert served.backend == "torch"
    assert notes == ["double runs in torch: ONNX Runtime failed on double: no memory"]

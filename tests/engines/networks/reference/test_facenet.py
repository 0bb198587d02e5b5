"""FaceNet takes every tensor but the classifier."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from engines.models.checkpoints import fill
from tests.support import published
from tests.support.published import LAYOUTS, drawer
from tests.support.tensors import faces, off_from_varied


@torch.no_grad()
def test_facenet_takes_every_tensor_but_the_classifier() -> None:
    named = LAYOUTS["facenet"](drawer())
    network = fill("facenet", named).eval()
    state = network.state_dict()
    kept = {name for name in named if not name.startswith("logits.")}
    assert set(state) == kept
    assert all(torch.equal(state[name], named[name]) for name in kept if "num_batches" not in name)
    assert network(faces(160)).shape == (2, 512)
    first = F.conv2d(faces(160), named["conv2d_1a.conv.weight"], stride=2)
    expected = F.relu(published.normed(named, "conv2d_1a.bn", first, eps=1e-3))  # TensorFlow's epsilon
    assert off_from_varied(network.conv2d_1a(faces(160)), expected) < 1e-5

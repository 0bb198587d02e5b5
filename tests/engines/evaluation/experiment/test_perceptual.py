"""LPIPS beside its own definition, with weights made up here: nobody packages AlexNet's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data

from engines.evaluation.experiment import perceptual

published = pytest.importorskip("lpips")
#: AlexNet's convolutions: layer, stride, padding, and whether a pooling precedes it.
LAYERS = ((0, 4, 2, False), (3, 1, 2, True), (6, 1, 1, True), (8, 1, 1, False), (10, 1, 1, False))
A, B = data.astronaut()[:200, 100:300], data.astronaut()[20:220, 110:310]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Random weights of AlexNet where torchvision looks for them."""
    from torchvision.models import alexnet

    torch.manual_seed(0)
    made = alexnet().state_dict()
    (tmp_path / "checkpoints").mkdir()
    torch.save(made, tmp_path / "checkpoints" / perceptual.ALEXNET)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    perceptual._network.cache_clear()
    yield made
    perceptual._network.cache_clear()


def test_without_weights_nothing_is_measured_nothing_is_fetched_and_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert perceptual.lpips(A, B) is None
    assert perceptual.ALEXNET in (perceptual.why_no_lpips() or "")
    assert list(tmp_path.iterdir()) == []


def test_lpips_is_its_definition(weights: dict[str, torch.Tensor]) -> None:
    """Zhang et al. 2018, equation 1: weighted squared differences of unit features, averaged over places,
    summed.
    """
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    package = Path(published.__file__).parent / "weights/v0.1/alex.pth"
    linear = torch.load(package, weights_only=True, map_location="cpu")

    def features(pixels: np.ndarray) -> list[torch.Tensor]:
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
        x = (x - shift[None, :, None, None]) / scale[None, :, None, None]
        found = []
        for layer, stride, padding, pooled in LAYERS:
            x = F.max_pool2d(x, 3, 2) if pooled else x
            name = f"features.{layer}"
            x = F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, padding))
            found.append(x / x.norm(dim=1, keepdim=True))
        return found

    expected = 0.0
    for i, (a, b) in enumerate(zip(features(A), features(B), strict=True)):
        expected += float(((a - b).square() * linear[f"lin{i}.model.1.weight"]).sum(dim=1).mean())
    assert perceptual.why_no_lpips() is None
    assert perceptual.lpips(A, B) == pytest.approx(expected, rel=1e-4)
    assert perceptual.lpips(A, A) == 0


def test_large_faces_are_looked_at_small(weights: dict[str, torch.Tensor]) -> None:
    large = np.asarray(data.astronaut())
    assert perceptual._prepared(large).shape == (1, 3, 256, 256)
    assert perceptual._prepared(A[:50, :80]).shape == (1, 3, 50, 80)

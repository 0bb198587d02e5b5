"""The generator: rows, noise maps, windows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engines.networks.frame import IMAGE_SIZE, Window
from engines.networks.mobilestylegan import ACTING_ROWS, W_ROWS, Generator, inverse_haar
from engines.stack import Stack
from tests.support.tensors import off

MIDDLE = Window(24, 24, 40, 40)


def test_inverse_haar_undoes_the_transform() -> None:
    image = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    a, b, c, d = (image[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1))
    low, vertical, horizontal, diagonal = a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d
    detail = torch.stack((vertical, horizontal, diagonal), dim=2).flatten(1, 2)
    assert torch.allclose(inverse_haar(torch.cat((low, detail), dim=1) / 2), image, atol=1e-12)


@pytest.fixture(scope="module")
def generator(stack: Stack) -> Generator:
    return stack.generator


@pytest.fixture(scope="module")
def w(generator: Generator) -> Tensor:
    return generator.sample_w(5)


@pytest.fixture(scope="module")
@torch.no_grad()
def whole(generator: Generator, w: Tensor) -> Tensor:
    return generator(w)


@pytest.mark.models
@torch.no_grad()
def test_rows_that_do_not_act_change_nothing(generator: Generator, w: Tensor, whole: Tensor) -> None:
    idle = [row for row in range(W_ROWS) if row not in ACTING_ROWS]
    assert len(idle) == 7
    other = w.clone()
    other[:, idle] += 1
    assert torch.equal(generator(other), whole)


@pytest.mark.models
@pytest.mark.parametrize("row", ACTING_ROWS)
@torch.no_grad()
def test_every_acting_row_acts(generator: Generator, w: Tensor, whole: Tensor, row: int) -> None:
    other = w.clone()
    other[:, row] = generator.sample_w(6)[:, row]
    rows, columns = MIDDLE.pixels
    change = generator(other, window=MIDDLE) - whole[:, :, rows, columns]
    assert float(change.abs().mean()) > 1e-3  # an eighth of a step of 8 bits, over all pixels


@pytest.mark.models
@pytest.mark.parametrize(
    "window",
    [MIDDLE, Window(0, 0, 1, 1), Window(63, 63, 64, 64), Window(0, 30, 9, 64), Window(12, 11, 61, 53)],
    ids=str,
)
@torch.no_grad()
def test_a_window_is_a_part_of_the_image(
    generator: Generator, w: Tensor, whole: Tensor, window: Window
) -> None:
    rows, columns = window.pixels
    part = generator(w, window=window)
    assert off(part, whole[:, :, rows, columns]) < 1e-5
    assert float((part - whole[:, :, rows, columns]).abs().max()) < 1e-4  # also at its border


@pytest.mark.models
@torch.no_grad()
def test_default_noise_is_the_published_one(generator: Generator, w: Tensor, whole: Tensor) -> None:
    maps = generator.synthesis.noise_maps()
    assert [m.shape[-1] for m in maps] == [4, *(size for i in range(7) for size in (8 << i, 8 << i))]
    assert torch.equal(generator(w, maps), whole)


@pytest.mark.models
@pytest.mark.parametrize("index", range(15))
@torch.no_grad()
def test_every_noise_map_acts(generator: Generator, w: Tensor, whole: Tensor, index: int) -> None:
    maps = [m.clone() for m in generator.synthesis.noise_maps()]
    maps[index] += torch.randn(maps[index].shape, generator=torch.Generator().manual_seed(index))
    rows, columns = MIDDLE.pixels
    change = generator(w, maps, MIDDLE) - whole[:, :, rows, columns]
    assert float(change.abs().mean()) > 1e-3


@pytest.mark.models
@torch.no_grad()
def test_noise_far_outside_the_window_does_not_reach_it(generator: Generator, w: Tensor) -> None:
    maps = [m.clone() for m in generator.synthesis.noise_maps()]
    maps[-1][:, :, :256] += 1  # the upper half of the image
    window = Window(40, 20, 60, 40)
    assert torch.equal(generator(w, maps, window), generator(w, window=window))


@pytest.mark.models
@torch.no_grad()
def test_sampling_is_deterministic(generator: Generator) -> None:
    w = generator.sample_w(3, 2)
    assert w.shape == (2, 23, 512)
    assert torch.equal(w, generator.sample_w(3, 2))
    assert not torch.equal(w, generator.sample_w(4, 2))
    assert not torch.equal(w[0], w[1])
    assert torch.equal(w, w[:, :1].expand_as(w))
    w.add_(1)  # rows of their own, not views of one


@pytest.mark.models
@torch.no_grad()
def test_truncation_pulls_to_the_mean(generator: Generator) -> None:
    mean, full = generator.mean_latent, generator.sample_w(3, truncation=1.0)
    assert torch.equal(generator.sample_w(3, truncation=0.0), mean.expand(1, 23, 512))
    assert off(generator.sample_w(3, truncation=0.25) - mean, 0.25 * (full - mean)) < 1e-5
    # The mean is that of W: 4,000 draws that it was not made from come within their standard error.
    draws = generator.sample_w(99, 4000, truncation=1.0)[:, 0]
    error = (draws.mean(dim=0) - mean) / (draws.std(dim=0) * (1 / 4000 + 1 / 20_000) ** 0.5)
    assert 0.8 < float(error.square().mean()) < 1.2


@pytest.mark.parametrize("shape", [(1, 512), (1, 22, 512), (1, 23, 511), (23, 512)])
def test_codes_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(N, 23, 512\)"):
        Generator()(torch.zeros(shape))


def test_a_window_is_in_cells_of_16_pixels() -> None:
    assert Window(0, 0, 64, 64).pixels == (slice(0, IMAGE_SIZE), slice(0, IMAGE_SIZE))
    assert Window(1, 2, 3, 4).pixels == (slice(16, 48), slice(32, 64))
    assert Window(1, 2, 63, 62).grown(2) == Window(0, 0, 64, 64)

"""StyleGAN2 in plain operations: its parts against direct sums in float64, and what the search asks of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.networks.frame import IMAGE_SIZE, MASK_WINDOW, Window
from engines.networks.reference.stylegan2 import LAYOUT, EqualLinear, StyleGAN2, modulated_conv2d, upfirdn2d
from engines.runtime import tune_allocator

KERNEL = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
MIDDLE = Window(24, 24, 40, 40)


def random(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- resampling ---------------------------------------------------------------------------------------


def filtered(image: np.ndarray, up: int, down: int, pad: tuple[int, int], gain: float) -> np.ndarray:
    """Upsampling, filter and downsampling of an image (H, W), each output pixel summed by itself."""
    before, after = pad
    height, width = ((side * up + before + after - 4) // down + 1 for side in image.shape)
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            for i in range(4):
                for j in range(4):
                    v, u = y * down + i - before, x * down + j - before
                    inside = 0 <= v < image.shape[0] * up and 0 <= u < image.shape[1] * up
                    if inside and v % up == 0 and u % up == 0:
                        result[y, x] += KERNEL[3 - i, 3 - j] * gain**2 * image[v // up, u // up]
    return result


@pytest.mark.parametrize(
    ("up", "down", "pad", "gain", "size"),
    [
        (2, 1, (2, 1), 2, (10, 14)),  # the sum of the resolutions' images
        (1, 1, (1, 1), 2, (4, 6)),  # behind a transposed convolution
        (1, 2, (1, 1), 1, (2, 3)),  # downsampling
        (2, 2, (3, 2), 1, (6, 8)),
        (1, 1, (0, 0), 1, (2, 4)),
    ],
)
def test_resampling_is_the_direct_sum(
    up: int, down: int, pad: tuple[int, int], gain: float, size: tuple[int, int]
) -> None:
    x = random(2, 3, 5, 7)
    found = upfirdn2d(x, up=up, down=down, pad=pad, gain=gain)
    assert found.dtype == torch.float64
    assert found.shape[2:] == size
    for image, expected in zip(found.flatten(0, 1), x.flatten(0, 1), strict=True):
        assert np.allclose(image, filtered(expected.numpy(), up, down, pad, gain), atol=1e-12)


def test_resampling_keeps_a_constant_away_from_the_border() -> None:
    grown = upfirdn2d(torch.full((1, 1, 8, 8), 3.0), up=2, pad=(2, 1), gain=2)
    assert grown.shape == (1, 1, 16, 16)
    assert torch.allclose(grown[:, :, 2:-2, 2:-2], torch.tensor(3.0))


# --- modulated convolution ----------------------------------------------------------------------------


def weights_of(weight: np.ndarray, style: np.ndarray, demodulate: bool) -> np.ndarray:
    """The weights (O, I, K, K) that one image is convolved with (Karras et al. 2020, equations 1 and 3)."""
    own = weight.copy()
    for o in range(len(own)):
        for i in range(own.shape[1]):
            own[o, i] *= style[i]
        if demodulate:
            own[o] /= math.sqrt((own[o] ** 2).sum() + 1e-8)
    return own


def convolved(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Correlation of (I, H, W) with (O, I, K, K), zeros outside, each output pixel summed by itself."""
    _, height, width = image.shape
    half = weight.shape[2] // 2
    result = np.zeros((len(weight), height, width))
    for y in range(height):
        for x in range(width):
            for i in range(weight.shape[2]):
                for j in range(weight.shape[3]):
                    v, u = y + i - half, x + j - half
                    if 0 <= v < height and 0 <= u < width:
                        result[:, y, x] += weight[:, :, i, j] @ image[:, v, u]
    return result


def upsampled(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Each pixel of (I, H, W) laid down as a patch of weights, two pixels apart; then the filter."""
    _, height, width = image.shape
    spread = np.zeros((len(weight), 2 * height + 1, 2 * width + 1))
    for y in range(height):
        for x in range(width):
            patch = np.einsum("oikl,i->okl", weight, image[:, y, x])
            spread[:, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3] += patch
    return np.stack([filtered(channel, 1, 1, (1, 1), 2) for channel in spread])


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize(("kernel", "up"), [(3, False), (1, False), (3, True)])
def test_modulated_convolution_is_the_direct_sum(kernel: int, up: bool, demodulate: bool) -> None:
    x, weight, style = random(2, 4, 5, 6, seed=1), random(3, 4, kernel, kernel, seed=2), random(2, 4, seed=3)
    found = modulated_conv2d(x, weight, style, up=up, demodulate=demodulate)
    for n in range(2):
        own = weights_of(weight.numpy(), style[n].numpy(), demodulate)
        expected = (upsampled if up else convolved)(x[n].numpy(), own)
        assert found[n].shape == expected.shape
        assert np.allclose(found[n], expected, atol=1e-10)


def test_demodulation_makes_the_styles_size_irrelevant() -> None:
    x, weight, style = random(1, 4, 5, 5, seed=1), random(3, 4, 3, 3, seed=2), random(1, 4, seed=3)
    plain = modulated_conv2d(x, weight, style)
    assert torch.allclose(modulated_conv2d(x, weight, 7 * style), plain, atol=1e-6)


def test_a_layers_rate_scales_weights_and_bias() -> None:
    layer = EqualLinear(16, 4, rate=0.01, bias=2.0).double()
    x = random(3, 16)
    expected = x @ layer.weight.T * (0.01 / 4) + 0.02
    assert torch.allclose(layer(x), expected)
    assert 50 < float(layer.weight.detach().std()) < 200  # so that the product starts at the usual size


# --- the whole ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    tune_allocator()
    torch.manual_seed(0)
    network = StyleGAN2().eval().requires_grad_(False)
    for conv in network.synthesis.convs:
        conv.strength.fill_(0.3)
    network.mean_latent.copy_(torch.randn(512) * 0.1)
    return network


@pytest.fixture(scope="module")
def w(generator: StyleGAN2) -> Tensor:
    return generator.sample_w(5)


@pytest.fixture(scope="module")
@torch.no_grad()
def whole(generator: StyleGAN2, w: Tensor) -> Tensor:
    return generator(w)


@torch.no_grad()
def test_an_image_has_its_size_and_is_the_same_every_time(
    generator: StyleGAN2, w: Tensor, whole: Tensor
) -> None:
    assert w.shape == (1, 18, 512)
    assert whole.shape == (1, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert bool(whole.isfinite().all())
    assert torch.equal(generator(w, generator.synthesis.noise_maps()), whole)
    assert generator.small(w, None, MASK_WINDOW).shape == (1, 3, 196, 168)


@torch.no_grad()
def test_images_of_a_batch_do_not_depend_on_each_other(generator: StyleGAN2, w: Tensor) -> None:
    other = generator.sample_w(6)
    together, alone = generator(torch.cat((other, w)), window=MIDDLE), generator(w, window=MIDDLE)
    assert float((together[1:] - alone).abs().max()) < 1e-4


@pytest.mark.parametrize(
    "window", [MIDDLE, Window(0, 0, 1, 1), Window(63, 63, 64, 64), Window(0, 30, 9, 64), MASK_WINDOW], ids=str
)
@torch.no_grad()
def test_a_window_is_a_part_of_the_image(
    generator: StyleGAN2, w: Tensor, whole: Tensor, window: Window
) -> None:
    rows, columns = window.pixels
    assert float((generator(w, window=window) - whole[:, :, rows, columns]).abs().max()) < 1e-4


@pytest.mark.slow
@torch.no_grad()
def test_every_row_and_every_noise_map_acts(generator: StyleGAN2, w: Tensor, whole: Tensor) -> None:
    rows, columns = MIDDLE.pixels
    middle = whole[:, :, rows, columns]
    for row in LAYOUT.acting:
        other = w.clone()
        other[:, row] = generator.sample_w(6)[:, row]
        assert float((generator(other, window=MIDDLE) - middle).abs().mean()) > 1e-3, row
    for i, noise in enumerate(generator.synthesis.noise_maps()):
        assert noise.shape[-1] == 4 << (i + 1) // 2
        maps = generator.synthesis.noise_maps()
        maps[i] = noise + torch.randn(noise.shape, generator=torch.Generator().manual_seed(i))
        assert float((generator(w, maps, MIDDLE) - middle).abs().mean()) > 1e-3, i


def test_the_paper_freezes_what_lies_below_and_the_finest_noise(generator: StyleGAN2) -> None:
    sides = [noise.shape[-1] for noise in generator.synthesis.noise_maps()]
    assert LAYOUT.free == tuple(range(8, 18))
    assert max(sides[: LAYOUT.free_maps]) == 256
    assert min(sides[LAYOUT.free_maps :]) == 512


def test_tuning_reaches_weights_and_leaves_noise_alone(generator: StyleGAN2) -> None:
    names = [name for name, _ in generator.synthesis.named_parameters()]
    assert "convs.16.weight" in names
    assert not [name for name in names if name.startswith("noise")]


@torch.no_grad()
def test_truncation_pulls_to_the_mean(generator: StyleGAN2) -> None:
    mean = generator.mean_latent.expand(1, 18, 512)
    assert torch.equal(generator.sample_w(3, truncation=0.0), mean)
    near, far = generator.sample_w(3, truncation=0.25) - mean, generator.sample_w(3, truncation=1.0) - mean
    assert torch.allclose(near, 0.25 * far, atol=1e-5)
    assert not torch.equal(generator.sample_w(3), generator.sample_w(4))


def test_a_gradient_reaches_the_codes(generator: StyleGAN2, w: Tensor) -> None:
    code = w.clone().requires_grad_()
    generator.small(code, None, MIDDLE).square().sum().backward()
    assert code.grad is not None
    assert bool((code.grad[0].abs().sum(dim=1) > 0).all())


@pytest.mark.parametrize("shape", [(1, 512), (1, 23, 512), (1, 18, 511), (18, 512)])
def test_codes_of_another_shape_are_refused(generator: StyleGAN2, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(N, 18, 512\)"):
        generator(torch.zeros(shape))

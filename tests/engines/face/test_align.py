"""Similarity transforms between pictures, and sampling along them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.face.align import compose, ffhq_transform, inverse, sample, scale_of, similarity_transform
from tests.support.transforms import CANONICAL, IDENTITY, SIMILARITIES, apply, noise, places, turned


@pytest.mark.parametrize("transform", SIMILARITIES)
def test_similarity_recovers_a_transform(transform: np.ndarray) -> None:
    assert np.allclose(similarity_transform(CANONICAL, apply(transform, CANONICAL)), transform, atol=1e-9)


def test_similarity_never_mirrors() -> None:
    mirrored = CANONICAL * (-1, 1)
    assert np.linalg.det(similarity_transform(CANONICAL, mirrored)[:, :2]) > 0


def test_similarity_is_the_least_squares_one() -> None:
    rng = np.random.default_rng(0)
    target = apply(turned(0.4, 20, 100, 50), CANONICAL) + rng.normal(0, 8, CANONICAL.shape)

    def error(transform: np.ndarray) -> float:
        return float(np.square(apply(transform, CANONICAL) - target).sum())

    best = similarity_transform(CANONICAL, target)
    for factor in (1 - 1e-3, 1 + 1e-3):
        for degrees in (-0.1, 0, 0.1):
            for x, y in ((0, 0), (0.1, 0), (0, -0.1)):
                assert error(best) <= error(compose(turned(factor, degrees, x, y), best))


@pytest.mark.parametrize("transform", SIMILARITIES)
def test_invert_and_compose(transform: np.ndarray) -> None:
    other = turned(0.7, 15, -3, 9)
    assert np.allclose(compose(transform, inverse(transform)), IDENTITY, atol=1e-9)
    assert np.allclose(compose(inverse(transform), transform), IDENTITY, atol=1e-9)
    assert np.allclose(apply(compose(transform, other), CANONICAL), apply(transform, apply(other, CANONICAL)))


def test_scale_of_is_picture_pixels_a_crop_pixel() -> None:
    assert scale_of(turned(2.5, 40, 3, 3)) == pytest.approx(2.5)


@pytest.mark.parametrize("transform", SIMILARITIES)
def test_ffhq_crop_puts_a_face_in_its_known_place(transform: np.ndarray) -> None:
    points = apply(transform, CANONICAL)
    placed = apply(inverse(ffhq_transform(points)), points)
    assert np.allclose(placed[:2], [[383, 480], [641, 480]], atol=6)
    assert np.allclose(placed[3:].mean(axis=0), [512, 744], atol=6)
    # The crop turns, grows and moves with the face, exactly.
    assert np.allclose(ffhq_transform(points), compose(transform, ffhq_transform(CANONICAL)), atol=1e-6)


def test_ffhq_crop_is_that_of_its_published_script() -> None:
    """`recreate_aligned_images` of NVlabs/ffhq-dataset: corners of the crop, any five points."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        points = CANONICAL + rng.normal(0, 40, CANONICAL.shape)
        eye_to_eye = points[1] - points[0]
        eye_to_mouth = points[3:].mean(axis=0) - points[:2].mean(axis=0)
        x = eye_to_eye - np.flipud(eye_to_mouth) * [-1, 1]
        x /= np.hypot(*x)
        x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
        y = np.flipud(x) * [-1, 1]
        c = points[:2].mean(axis=0) + eye_to_mouth * 0.1
        quad = np.stack([c - x - y, c - x + y, c + x + y, c + x - y])
        corners = np.array([[0, 0], [0, 1024], [1024, 1024], [1024, 0]])
        assert np.allclose(apply(ffhq_transform(points), corners), quad)


def ramp(height: int, width: int) -> Tensor:
    """(1, 2, H, W): the x and the y of every pixel's centre."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack((x, y))[None].double()


def test_sampling_the_identity_changes_nothing() -> None:
    image = noise(17, 23)
    assert torch.allclose(sample(image, IDENTITY, (17, 23)), image, atol=1e-6)


def test_sampling_a_shift() -> None:
    image = noise(17, 23, torch.float64)
    whole = sample(image, np.array([[1, 0, 4], [0, 1, 2]]), (10, 12))
    assert torch.allclose(whole, image[:, :, 2:12, 4:16], atol=1e-12)
    half = sample(image, np.array([[1, 0, 4.5], [0, 1, 2]]), (10, 12))
    assert torch.allclose(half, (image[:, :, 2:12, 4:16] + image[:, :, 2:12, 5:17]) / 2, atol=1e-12)


def test_the_edges_colour_goes_on_outside() -> None:
    image = noise(8, 8, torch.float64)
    crop = sample(image, np.array([[1.0, 0, -100], [0, 1, -100]]), 20)
    assert torch.allclose(crop, image[:, :, :1, :1].expand_as(crop))


@pytest.mark.parametrize("scale", [0.3, 1.0, 1.9, 2.0, 3.7, 6.0])
@pytest.mark.parametrize("degrees", [0, 25, -110])
def test_sampling_looks_where_the_transform_says(scale: float, degrees: float) -> None:
    size = 24
    centre = apply(turned(scale, degrees, 0, 0), np.array([[size / 2, size / 2]]))[0]
    transform = turned(scale, degrees, *(np.array([131, 122]) - centre))
    crop = sample(ramp(240, 250), transform, size)
    assert np.allclose(crop[0].numpy(), places(transform, size), atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3.3, 4, 7.9])
def test_fine_detail_is_averaged_not_aliased(scale: float) -> None:
    y, x = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    checks = ((x + y) % 2)[None, None].double()
    crop = sample(checks, np.array([[scale, 0, 8.5], [0, scale, 8.5]]), 24)  # from a pixel's centre
    # An odd window holds one check more of one colour: 5 of 9.
    assert float((crop - 0.5).abs().max()) <= 0.5 / int(scale) ** 2 + 1e-9
    assert float(crop.mean()) == pytest.approx(0.5, abs=0.02)


def test_one_image_serves_many_crops_and_many_serve_many() -> None:
    images = torch.cat((noise(40, 40), noise(40, 40).flip(3)))
    transforms = np.stack((turned(1.2, 10, 3, 4), turned(1.5, -20, 6, 10)))
    many = sample(images, transforms, 16)
    both = sample(images[:1], transforms, 16)
    for i in range(2):
        assert torch.allclose(many[i], sample(images[i : i + 1], transforms[i], 16)[0], atol=1e-5)
        assert torch.allclose(both[i], sample(images[:1], transforms[i], 16)[0], atol=1e-5)


@pytest.mark.parametrize("scale", [0.8, 2.5])
def test_sampling_has_the_right_gradient(scale: float) -> None:
    image = noise(24, 24, torch.float64).requires_grad_()
    transform = turned(scale, 20, 5, 1)
    assert torch.autograd.gradcheck(lambda x: sample(x, transform, 6), image)

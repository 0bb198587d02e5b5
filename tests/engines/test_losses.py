"""What the searches minimise, and what is measured: values, units and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.data import astronaut
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn
from torch.autograd import gradcheck

from engines.face.detect import Face
from engines.face.recognise import Identity, Recogniser, compare_embeddings, mean_excess
from engines.latent import degrade
from engines.latent.adversarial import adversarial
from engines.latent.change import structural_dissimilarity, visibility, visible_change
from engines.latent.reconstruction import reconstruction
from engines.models.registry import SPECS
from engines.photo.quality import MAX_PSNR, psnr, ssim

RECOGNISERS = [name for name, spec in SPECS.items() if spec.role == "recogniser"]
PSNR, SSIM = 32.0, 0.96


def random(*shape: int, seed: int = 0) -> Tensor:
    """Uniform in [0, 1], float64."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Tiny(nn.Module):
    """Stands in for a recogniser's network: smooth, float64, 6-d."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(random(6, 48, seed=seed) - 0.5, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(nn.functional.adaptive_avg_pool2d(x, 4).flatten(1) @ self.weight.T)


def recogniser(name: str) -> Recogniser:
    """The real metric, crop and threshold around a tiny network."""
    return Recogniser(SPECS[name], Tiny(seed=RECOGNISERS.index(name)))


def pair(name: str, value: float) -> tuple[Tensor, Tensor]:
    """Two embeddings (1, 3) whose cosine, or distance, is `value`."""
    a = torch.tensor([[1.0, 0, 0]], dtype=torch.float64)
    if SPECS[name].threshold.metric == "cosine":
        return a, torch.tensor([[value, math.sqrt(1 - value**2), 0]], dtype=torch.float64)
    return a, a + torch.tensor([[0, value, 0]], dtype=torch.float64)


# --- matching -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECOGNISERS)
def test_compare_gives_cosine_or_distance(name: str) -> None:
    a, b = (torch.nn.functional.normalize(random(5, 6, seed=seed) - 0.5) for seed in (1, 2))
    if SPECS[name].threshold.metric == "cosine":
        expected = torch.nn.functional.cosine_similarity(a, b)
    else:
        expected = torch.linalg.vector_norm(a - b, dim=1)
    assert torch.allclose(recogniser(name).compare(a, b), expected, atol=1e-12)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_a_match_is_on_the_right_side_of_the_threshold(name: str) -> None:
    r, limit = recogniser(name), SPECS[name].threshold.far_1pct
    nearer = 0.01 if SPECS[name].threshold.metric == "cosine" else -0.01
    assert r.is_match(limit + nearer)
    assert not r.is_match(limit - nearer)
    assert not r.is_match(limit)
    assert r.is_match(SPECS[name].threshold.same)
    assert compare_embeddings(r, *pair(name, limit + nearer)).same
    assert not compare_embeddings(r, *pair(name, limit - nearer)).same


@pytest.mark.parametrize("name", RECOGNISERS)
def test_excess_is_0_at_the_threshold_and_1_at_a_typical_pair(name: str) -> None:
    r, threshold = recogniser(name), SPECS[name].threshold
    assert float(r.excess(*pair(name, threshold.far_1pct))) == pytest.approx(0, abs=1e-9)
    assert float(r.excess(*pair(name, threshold.same))) == pytest.approx(1, abs=1e-9)
    beyond = threshold.far_1pct - (threshold.same - threshold.far_1pct)
    assert float(r.excess(*pair(name, beyond))) == pytest.approx(-1, abs=1e-9)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_the_mirror_of_equal_embeddings_has_a_gradient(name: str) -> None:
    """A distance of 0 has no slope of its own: it must give 0, not nan."""
    a = random(1, 6).requires_grad_()
    recogniser(name).excess(a, a.detach().clone()).sum().backward()
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize("name", RECOGNISERS)
def test_embedding_has_the_right_gradient(name: str) -> None:
    r = recogniser(name)
    image = random(1, 3, 9, 8).requires_grad_()
    points = r.template * (8 / r.size)  # so that the crop is all of the image
    assert gradcheck(lambda x: r.embed(x, r.crop_transform(points)), image)
    embedding = r.embed(image, r.crop_transform(points))
    if r.threshold.metric == "cosine":
        assert float(embedding.detach().norm()) == pytest.approx(1)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_embedding_sees_normalised_pixels_of_the_crop(name: str) -> None:
    seen = []

    class Spy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return x.flatten(1)[:, :4]

    spec = SPECS[name].preprocessing
    size = spec.size[0]
    pixels = random(1, 3, size, size)
    Recogniser(SPECS[name], Spy()).embed(pixels, np.array([[1.0, 0, 0], [0, 1.0, 0]]))
    mean = torch.tensor(spec.mean, dtype=torch.float64)[:, None, None]
    assert torch.allclose(seen[0], (pixels * 255 - mean) / spec.scale, atol=1e-5)


# --- adversarial --------------------------------------------------------------------------------------

SURROGATES = [recogniser(name) for name in RECOGNISERS]


def identity(seed: int, faces: int = 1) -> Identity:
    return Identity({r.name: random(faces, 6, seed=seed + i) - 0.5 for i, r in enumerate(SURROGATES)})


def seen_by(*embeddings: Tensor) -> dict[str, Tensor]:
    return {r.name: e for r, e in zip(SURROGATES, embeddings, strict=True)}


def test_similarity_is_the_mean_excess_over_views_and_surrogates() -> None:
    embeddings = [random(4, 2, 6, seed=seed) - 0.5 for seed in range(3)]
    owners = identity(10, faces=2)
    expected = [
        np.mean(
            [
                float(r.excess(e[v, face : face + 1], owners.embeddings[r.name][face : face + 1]))
                for r, e in zip(SURROGATES, embeddings, strict=True)
                for v in range(4)
            ]
        )
        for face in range(2)
    ]
    found = mean_excess(SURROGATES, seen_by(*embeddings), owners)
    assert found.tolist() == pytest.approx(expected)
    assert expected[0] != pytest.approx(expected[1])


def test_one_person_may_be_compared_with_many_faces() -> None:
    embeddings = [random(4, 2, 6, seed=seed) - 0.5 for seed in range(3)]
    target = identity(10)
    both = mean_excess(SURROGATES, seen_by(*embeddings), target)
    alone = [
        mean_excess(SURROGATES, seen_by(*(e[:, i : i + 1] for e in embeddings)), target) for i in range(2)
    ]
    assert torch.allclose(both, torch.cat(alone))


def test_adversarial_leaves_the_owner_and_nears_the_target() -> None:
    seen = seen_by(*(random(2, 1, 6, seed=seed) - 0.5 for seed in range(3)))
    owner, target = identity(10), identity(20)
    dodge, both = adversarial(SURROGATES, seen, owner, None), adversarial(SURROGATES, seen, owner, target)
    assert float(dodge) == float(mean_excess(SURROGATES, seen, owner))
    assert float(both) == pytest.approx(float(dodge - mean_excess(SURROGATES, seen, target)))


@pytest.mark.parametrize("target", [None, identity(20)], ids=["dodge", "impersonate"])
def test_adversarial_has_the_right_gradient(target: Identity | None) -> None:
    owner = identity(10)
    embeddings = [(random(2, 1, 6, seed=seed) - 0.5).requires_grad_() for seed in range(3)]
    assert gradcheck(lambda *e: adversarial(SURROGATES, seen_by(*e), owner, target), embeddings)


def test_adversarial_has_the_right_gradient_down_to_the_pixels() -> None:
    owner = identity(10)

    def loss(image: Tensor) -> Tensor:
        views = torch.cat((image, image.flip(3)))
        points = [r.template * (8 / r.size) for r in SURROGATES]
        seen = [r.embed(views, r.crop_transform(p))[:, None] for r, p in zip(SURROGATES, points, strict=True)]
        return adversarial(SURROGATES, seen_by(*seen), owner, None)

    assert gradcheck(loss, random(1, 3, 9, 8).requires_grad_())


# --- visible change -----------------------------------------------------------------------------------


def area(pixels: float) -> Tensor:
    return torch.tensor([pixels], dtype=torch.float64)


def natural(height: int = 100, width: int = 90) -> np.ndarray:
    """A part of a real photo (H, W, 3) uint8, with a face."""
    return np.ascontiguousarray(astronaut()[60 : 60 + height, 180 : 180 + width])


def as_tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 255


def test_ssim_is_that_of_scikit_image() -> None:
    a = natural()
    b = (a + np.random.default_rng(0).normal(0, 12, a.shape)).clip(0, 255).astype(np.uint8)
    _, expected = structural_similarity(
        a / 255,
        b / 255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=2,
        full=True,
    )
    ours = 1 - structural_dissimilarity(as_tensor(a), as_tensor(b))[0].permute(1, 2, 0).numpy()
    assert 0.3 < expected.mean() < 0.95
    inner = (slice(5, -5), slice(5, -5))  # the two go on differently outside the picture
    assert np.abs(ours[inner] - expected[inner]).max() < 1e-9


def test_equal_images_are_not_dissimilar() -> None:
    x = random(1, 3, 20, 16)
    assert float(structural_dissimilarity(x, x).abs().max()) < 1e-12
    error, lost, stains, patches = visible_change(x, x, area(320), PSNR, SSIM)[0].tolist()
    assert error == 0
    assert abs(lost) < 1e-9
    assert stains == pytest.approx(1e-6 / 10 ** (-(PSNR + 11) / 10))  # the root's own floor
    assert patches == pytest.approx(1e-6 / 10 ** (-(PSNR - 7) / 10))


def test_change_has_the_right_gradient() -> None:
    before, after = random(1, 3, 18, 20, seed=1), random(1, 3, 18, 20, seed=2).requires_grad_()
    assert gradcheck(lambda x: structural_dissimilarity(before, x).mean(), after)
    assert gradcheck(lambda x: visible_change(before, x, area(200.0), PSNR, SSIM), after)
    assert gradcheck(lambda x: visible_change(before, x, area(200.0), PSNR, SSIM).norm(), after)


def test_the_gradient_is_finite_where_nothing_has_changed() -> None:
    """The first step of a search starts all but there."""
    before = random(1, 3, 16, 16)
    after = before.clone().requires_grad_()
    visible_change(before, after, area(256), PSNR, SSIM).norm().backward()
    assert torch.isfinite(after.grad).all()


def test_change_is_in_units_of_the_budget() -> None:
    before = 0.5 * torch.ones(1, 3, 32, 32, dtype=torch.float64)
    allowed = 10 ** (-PSNR / 20)  # a root mean square
    error, _, stains, patches = visible_change(before, before + allowed, area(1024), PSNR, SSIM)[0].tolist()
    assert error == pytest.approx(1)
    assert stains < 0.05  # no change of colour
    assert patches == pytest.approx(10**-0.7, rel=1e-3)  # all of one sign, but spread evenly
    # Half of the picture is the face: the same change weighs twice as much there.
    assert visible_change(before, before + allowed, area(512), PSNR, SSIM)[0, 0].item() == pytest.approx(2)

    tint = 10 ** (-(PSNR + 11) / 20) * torch.tensor([1.5**0.5, -(1.5**0.5), 0], dtype=torch.float64)
    tinted = before + tint[:, None, None]
    assert visible_change(before, tinted, area(1024), PSNR, SSIM)[0, 2].item() == pytest.approx(1, rel=1e-3)

    noisy = before + 0.05 * (random(1, 3, 32, 32) - 0.5)
    lost = structural_dissimilarity(before, noisy).mean().item()
    assert visible_change(before, noisy, area(1024), PSNR, 1 - lost)[0, 1].item() == pytest.approx(1)


def test_the_change_of_each_face_is_its_own() -> None:
    before, after = random(2, 3, 24, 20, seed=1), random(2, 3, 24, 20, seed=2)
    areas = torch.cat((area(300), area(400)))
    both = visible_change(before, after, areas, PSNR, SSIM)
    assert both.shape == (2, 4)
    for i in range(2):
        alone = visible_change(before[i : i + 1], after[i : i + 1], areas[i : i + 1], PSNR, SSIM)
        assert torch.allclose(both[i], alone[0])


def test_one_blotch_weighs_more_than_a_tint_of_the_same_energy() -> None:
    before = 0.5 * torch.ones(1, 3, 64, 64, dtype=torch.float64)
    tint = torch.tensor([0.01, -0.01, 0], dtype=torch.float64)[:, None, None]
    blotch = torch.zeros_like(before)
    blotch[:, :, 16:32, 16:32] = 4 * tint  # a sixteenth of the picture, four times as strong
    spread, local = (visible_change(before, before + c, area(4096), PSNR, SSIM)[0] for c in (tint, blotch))
    assert local[0].item() == pytest.approx(spread[0].item())
    assert local[2].item() == pytest.approx(4 * spread[2].item(), rel=1e-3)


def test_a_patch_of_light_weighs_more_than_fine_lines_of_the_same_energy() -> None:
    before = 0.5 * torch.ones(1, 3, 64, 64, dtype=torch.float64)
    patch, lines = torch.zeros_like(before), torch.zeros_like(before)
    patch[:, :, 16:32, 16:32] = 0.04
    lines[:, :, 16:32, 16:32:2], lines[:, :, 16:32, 17:32:2] = 0.04, -0.04
    of_patch, of_lines = (
        visible_change(before, before + c, area(4096), PSNR, SSIM)[0] for c in (patch, lines)
    )
    assert of_patch[0].item() == pytest.approx(of_lines[0].item())
    assert of_patch[3].item() > 20 * of_lines[3].item()


def test_a_change_is_seen_most_where_it_is_dark() -> None:
    change = 0.01
    for light, times in ((0.9, 1.0), (0.5, 1.0), (0.15, 2.0), (0.0, 3.5)):
        before = torch.full((1, 3, 32, 32), light, dtype=torch.float64)
        assert visibility(before).flatten().tolist() == pytest.approx([times] * 1024)
        seen = visible_change(before, before + change, area(1024), PSNR, SSIM)[0]
        assert seen[0].item() == pytest.approx((times * change) ** 2 / 10 ** (-PSNR / 10))


# --- reconstruction -----------------------------------------------------------------------------------


def test_reconstruction_is_what_its_formula_says() -> None:
    photographed, weight = random(1, 3, 16, 16), torch.ones(1, 1, 16, 16, dtype=torch.float64)
    assert float(reconstruction(photographed, photographed, weight)) == 0
    for error in (0.25, -0.5):
        value = float(reconstruction(photographed + error, photographed, weight))
        assert value == pytest.approx(2 * error**2 + abs(error) + 4 * error**2)
    checks = 0.25 * (-1) ** torch.arange(16)  # fine texture costs the coarse term nothing
    assert float(reconstruction(photographed + checks, photographed, weight)) == pytest.approx(
        2 * 0.25**2 + 0.25
    )


def test_reconstruction_minds_only_where_there_is_weight() -> None:
    photographed, weight = random(1, 3, 16, 16), torch.ones(1, 1, 16, 16, dtype=torch.float64)
    weight[..., :8] = 0
    elsewhere = photographed.clone()
    elsewhere[..., :8] += 1
    assert float(reconstruction(elsewhere, photographed, weight)) == 0
    assert float(reconstruction(photographed.flip(3), photographed, weight)) > 0


def test_reconstruction_has_the_right_gradient() -> None:
    photographed, weight = random(1, 3, 12, 12, seed=1), random(1, 1, 12, 12, seed=2)
    assert gradcheck(
        lambda x: reconstruction(x, photographed, weight), random(1, 3, 12, 12, seed=3).requires_grad_()
    )


# --- what happens on the way to a recogniser ------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [lambda x: degrade.blur(x, 0.4), lambda x: degrade.blur(x, 1.2)]
    + [lambda x: degrade.shrink(x, 1.3), lambda x: degrade.shrink(x, 2.2)],
    ids=["blur .4", "blur 1.2", "shrink 1.3", "shrink 2.2"],
)
def test_damage_has_the_right_gradient_and_keeps_flat_colour(damage: Callable[[Tensor], Tensor]) -> None:
    assert gradcheck(damage, random(2, 3, 9, 11).requires_grad_())
    flat = torch.full((1, 3, 20, 17), 0.3, dtype=torch.float64)
    assert torch.allclose(damage(flat), flat, atol=1e-12)


@pytest.mark.parametrize("sigma", [0.4, 0.8, 1.2])
def test_blur_is_a_gaussian(sigma: float) -> None:
    x = random(1, 2, 30, 25)
    expected = gaussian_filter(
        x[0].numpy(), (0, sigma, sigma), mode="nearest", radius=(0, *[math.ceil(3 * sigma)] * 2)
    )
    assert np.abs(degrade.blur(x, sigma)[0].numpy() - expected).max() < 1e-12


def test_shrinking_loses_fine_detail_only() -> None:
    checks = ((torch.arange(32)[:, None] + torch.arange(32)) % 2)[None, None].double()
    assert float((degrade.shrink(checks, 2.0)[..., 4:-4, 4:-4] - 0.5).abs().max()) < 0.05
    waves = torch.sin(torch.arange(64).double() / 10).expand(1, 1, 64, 64)
    assert float((degrade.shrink(waves, 2.0) - waves)[..., 4:-4, 4:-4].abs().max()) < 0.02
    assert torch.allclose(degrade.shrink(waves, 1.0), waves, atol=1e-12)


def as_jpeg(pixels: np.ndarray, quality: int) -> Image.Image:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    return Image.open(buffer)


@pytest.mark.parametrize("quality", [1, 30, 50, 75, 95, 100])
def test_jpeg_quantises_by_pillows_tables(quality: int) -> None:
    steps = degrade._tables(quality, torch.device("cpu"))[1].reshape(3, 64).int().tolist()
    published = as_jpeg(natural(), quality).quantization
    assert steps == [list(published[0]), list(published[1]), list(published[1])]


@pytest.mark.parametrize("size", [(96, 88), (91, 77)], ids=["whole blocks", "cut blocks"])
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpeg_is_pillows(quality: int, size: tuple[int, int]) -> None:
    """Mean difference in steps of 255.

    Pillow rounds YCbCr to bytes twice, which alone is worth 1 in colour and 0.5 in gray; rounding
    with a slope leaves up to an eighth of a quantisation step more.
    """
    pixels = natural(*size)
    gray = np.repeat(pixels[:, :, 1:2], 3, axis=2)
    for picture, tolerance in ((pixels, 1.2), (gray, 0.85)):
        expected = np.asarray(as_jpeg(picture, quality)).astype(float)
        ours = degrade.jpeg(as_tensor(picture).float(), quality)[0].permute(1, 2, 0).numpy() * 255
        assert np.abs(ours - expected).mean() < tolerance
        assert np.abs(ours - picture).mean() == pytest.approx(np.abs(expected - picture).mean(), rel=0.15)


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpeg_with_plain_rounding_is_pillows_but_for_bytes(
    quality: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(degrade, "_soft_round", torch.round)
    gray = np.repeat(natural()[:, :, 1:2], 3, axis=2)
    ours = degrade.jpeg(as_tensor(gray).float(), quality)[0].permute(1, 2, 0).numpy() * 255
    difference = np.abs(ours - np.asarray(as_jpeg(gray, quality)))
    assert difference.mean() < 0.55
    assert np.median(difference) < 0.5


def test_jpeg_of_a_batch_is_that_of_each() -> None:
    batch = torch.cat([as_tensor(natural()).float(), as_tensor(natural()).float().flip(3)])
    both = degrade.jpeg(batch, 60)
    for i in range(2):
        assert torch.allclose(both[i], degrade.jpeg(batch[i : i + 1], 60)[0], atol=1e-5)


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpeg_has_a_gradient(quality: int) -> None:
    image = as_tensor(natural()).float().requires_grad_()
    (degrade.jpeg(image, quality) - 0.5).square().sum().backward()
    assert torch.isfinite(image.grad).all()
    # At quality 30 most coefficients round to 0, and with them most of the slope.
    assert float((image.grad.abs() > 1e-3).float().mean()) > 0.9


def test_rounding_has_the_right_gradient() -> None:
    x = torch.tensor([-2.4, -0.3, 0.01, 0.2, 0.49, 1.3, 7.0], dtype=torch.float64)
    assert gradcheck(degrade._soft_round, x.requires_grad_())
    assert float((degrade._soft_round(x) - x.round()).detach().abs().max()) <= 0.5**3


# --- measuring ----------------------------------------------------------------------------------------


def test_measures_are_those_of_scikit_image() -> None:
    a = natural()
    b = (a + np.random.default_rng(0).normal(0, 12, a.shape)).clip(0, 255).astype(np.uint8)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255))
    assert ssim(a, b) == pytest.approx(structural_similarity(a, b, channel_axis=2, data_range=255))
    assert psnr(a, a) == MAX_PSNR
    assert ssim(a, a) == pytest.approx(1)
    assert psnr(np.repeat(a, 12, axis=0), np.repeat(b, 12, axis=0)) == pytest.approx(psnr(a, b))


def test_pictures_too_small_for_ssim() -> None:
    a = natural(5, 40)
    assert ssim(a, a) == 1
    assert ssim(a, 255 - a) == 0


def test_the_box_is_cut_at_the_photos_border() -> None:
    pixels = natural(100, 90)

    def part(*box: float) -> np.ndarray:
        return Face(box, np.zeros((5, 2), np.float32), 1.0).part_of(pixels)

    assert np.array_equal(part(10.4, 20.6, 30.5, 39.6), pixels[21:40, 10:30])
    assert np.array_equal(part(-15, -5, 20, 30), pixels[:30, :20])
    assert np.array_equal(part(70, 80, 200, 300), pixels[80:, 70:])

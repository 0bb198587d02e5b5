"""`protect` from bytes to bytes, on the real networks."""

from __future__ import annotations

import json
import struct
import textwrap
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from skimage.data import astronaut
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from engines import pipeline
from engines.config import STEPS, Settings, Target
from engines.errors import ConfigError, NoFaceError
from engines.face.crop import AlignedFace, align
from engines.face.detect import Face, detect
from engines.face.recognise import embed_face
from engines.latent.target import generated_face
from engines.makeup.regions import locate, masks
from engines.networks.frame import MASK_WINDOW, REGIONS
from engines.photo.decode import Photo, decode, load_photo
from engines.pipeline import Event, Protected, protect
from engines.stack import Stack
from engines.verify import compare
from tests.support.photos import FACELESS, photo_of, picture, png
from tests.support.scenes import HELD_OUT, SURROGATES

pytestmark = pytest.mark.models


class Interrupted(Exception):
    """Raised by a test."""


@pytest.fixture(scope="module")
def astronaut_photo() -> Photo:
    """As a PNG with metadata of every kind that one may carry."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "SECRET")
    exif = Image.Exif()
    exif[270] = "SECRET"
    return decode(png(astronaut(), pnginfo=text, exif=exif))


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def protected(stack: Stack, astronaut_photo: Photo, events: list[Event]) -> Protected:
    """The whole method at its default settings."""
    return protect(astronaut_photo, stack, Settings(), events.append)


def window_of(face: Face, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W): whether the centre of a photo's pixel lies within the mask's window of a face."""
    inverse = align.inverse(align.ffhq_transform(face.points))
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    u, v = np.moveaxis(np.stack((x, y), axis=-1) @ inverse[:, :2].T + inverse[:, 2], -1, 0)
    rows, columns = MASK_WINDOW.pixels
    return (u >= columns.start) & (u <= columns.stop) & (v >= rows.start) & (v <= rows.stop)


def test_a_recogniser_that_took_no_part_no_longer_matches(
    stack: Stack, astronaut_photo: Photo, protected: Protected
) -> None:
    (face,) = detect(stack.detector, astronaut_photo.pixels)
    (after,) = detect(stack.detector, protected.pixels)
    (reported,) = protected.report["faces"]
    assert reported["found_after"]
    for name, recogniser in stack.recognisers.items():
        result = reported["recognisers"][name]
        assert result["surrogate"] == (name != HELD_OUT)
        assert result["matched_before"], name
        assert not result["matched_after"], name
        # The report's numbers, found again from the bytes.
        owner = embed_face(recogniser, astronaut_photo.pixels, face, mirror=True)
        seen = embed_face(recogniser, decode(protected.data).pixels, after)
        value = float(recogniser.compare(seen, owner))
        assert value == pytest.approx(result["after"], abs=1e-4)
        assert not recogniser.is_match(value)
        # And not by the mirror's grace: the very same photo is not matched either.
        plain = embed_face(recogniser, astronaut_photo.pixels, face)
        assert not recogniser.is_match(float(recogniser.compare(seen, plain))), name


def test_the_face_is_still_the_same_to_the_eye(
    stack: Stack, astronaut_photo: Photo, protected: Protected
) -> None:
    (face,) = detect(stack.detector, astronaut_photo.pixels)
    left, top, right, bottom = (round(v) for v in face.box)
    a, b = (pixels[top:bottom, left:right] for pixels in (astronaut_photo.pixels, protected.pixels))
    (reported,) = protected.report["faces"]
    psnr = peak_signal_noise_ratio(a, b, data_range=255)
    ssim = structural_similarity(a, b, channel_axis=2, data_range=255)
    assert psnr >= 30
    assert ssim >= 0.94
    assert reported["psnr"] == pytest.approx(psnr, abs=0.01)
    assert reported["ssim"] == pytest.approx(ssim, abs=1e-4)
    assert reported["box"] == pytest.approx(face.box, abs=0.06)


def test_the_rest_of_the_photo_is_the_same_pixels(
    stack: Stack, astronaut_photo: Photo, protected: Protected
) -> None:
    (face,) = detect(stack.detector, astronaut_photo.pixels)
    changed = (protected.pixels != astronaut_photo.pixels).any(axis=2)
    window = window_of(face, changed.shape)
    assert not changed[~window].any()
    assert changed[window].mean() > 0.3


def test_the_report_says_all_that_was_done(protected: Protected) -> None:
    report = json.loads(json.dumps(protected.report, allow_nan=False))
    assert report["photo"] == protected.report["photo"]
    assert report["faces"] == protected.report["faces"]
    assert report["photo"].items() >= {"width": 512, "height": 512, "format": "PNG"}.items()
    assert report["photo"]["psnr"] > 35
    assert report["photo"]["ssim"] > 0.99
    assert report["settings"] == {
        "mode": "dodge",
        "level": "balanced",
        "faces": "all",
        "render": "residual",
        "surrogates": list(SURROGATES),
        "target": None,
        "steps": STEPS,
        "tuning_steps": 0,
        "seed": 0,
        "prompt": "natural",
        "source_text": "no makeup",
        "without": [],
    }
    assert report["stages"].keys() == {"detect", "invert", "tune", "search", "render", "encode", "score"}
    assert sum(report["stages"].values()) == pytest.approx(report["seconds"], rel=0.05)
    (face,) = report["faces"]
    assert face.keys() == {
        "box",
        "psnr",
        "ssim",
        "steps",
        "seed",
        "prompt",
        "target",
        "seconds",
        "found_after",
        "recognisers",
    }
    assert (face["steps"], face["seed"]) == (STEPS, 0)
    assert (face["prompt"], face["target"]) == ("natural", None)
    assert face["seconds"].items() <= report["stages"].items()  # one face: its stages are the photo's
    for name, result in face["recognisers"].items():
        assert result.keys() == {
            "surrogate",
            "metric",
            "threshold",
            "before",
            "after",
            "matched_before",
            "matched_after",
        }, name


def test_the_file_holds_pixels_and_nothing_else(protected: Protected) -> None:
    data, position, chunks = protected.data, 8, []
    while position < len(data):
        size, kind = struct.unpack(">I4s", data[position : position + 8])
        chunks.append(kind)
        position += size + 12
    assert list(dict.fromkeys(chunks)) == [b"IHDR", b"IDAT", b"IEND"]
    assert b"SECRET" not in data
    assert np.array_equal(np.asarray(Image.open(BytesIO(data))), protected.pixels)


def test_progress_is_told_step_by_step(protected: Protected, events: list[Event]) -> None:
    assert {(e.face, e.faces) for e in events} == {(1, 1)}
    stages = list(dict.fromkeys(e.stage for e in events))
    assert stages == ["invert", "search"]
    for stage in stages:
        steps = [(e.done, e.total) for e in events if e.stage == stage]
        assert steps == [(i, len(steps)) for i in range(1, len(steps) + 1)]
    similarity = [e.similarity for e in events if e.stage == "search"]
    assert similarity[0] > 0.5
    assert np.mean(similarity[-5:]) < 0
    assert all(e.similarity is None for e in events if e.stage == "invert")


@pytest.mark.parametrize("steps", [1, pytest.param(STEPS, marks=pytest.mark.slow)])
def test_the_example_of_the_docstring_runs(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """With as many steps as it takes by itself, the face is no longer matched."""
    lines = (protect.__doc__ or "").splitlines()
    example = textwrap.dedent("\n".join(line for line in lines if line.startswith(" " * 8)))
    assert len([line for line in example.splitlines() if line]) == 6
    Image.fromarray(astronaut()).save(tmp_path / "me.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("engines.load.embedded_stack", lambda: stack)  # the same networks, loaded once
    monkeypatch.setattr("engines.config.Settings", partial(Settings, steps=steps))
    exec(compile(example, "example", "exec"), {})
    before, after = load_photo("me.jpg"), load_photo("me-protected.jpg")
    compared = compare(stack, before, after)  # a face is found in both
    if steps == STEPS:
        assert not any(comparison.same for comparison in compared)


def test_a_fallback_stands_in_the_report_of_its_photo_alone(
    stack: Stack, portrait: np.ndarray, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "unused", ["pnet does not use its exported file: old"])
    monkeypatch.setattr(stack, "failures", ["rnet runs in torch: failed at an earlier photo"])
    photo, settings = photo_of(portrait), Settings(steps=1, prompt="none")

    def fail(event: Event) -> None:
        if event.stage == "search":
            stack.failures.append("encoder runs in torch: failed now")

    first = protect(photo, stack, settings, fail).report["fallbacks"]
    second = protect(photo, stack, settings).report["fallbacks"]
    assert first == ["pnet does not use its exported file: old", "encoder runs in torch: failed now"]
    assert second == ["pnet does not use its exported file: old"]


def test_same_seed_same_bytes(stack: Stack, portrait: np.ndarray, quick: None, unchanged: None) -> None:
    photo = photo_of(portrait)
    first = protect(photo, stack, Settings(steps=1, seed=3))
    assert protect(photo, stack, Settings(steps=1, seed=3)).data == first.data
    assert protect(photo, stack, Settings(steps=1, seed=4)).data != first.data
    assert first.report["faces"][0]["steps"] == 1
    assert first.report["faces"][0]["seed"] == first.report["settings"]["seed"] == 3


def test_generator_rendering_tunes_and_restores(
    stack: Stack, portrait: np.ndarray, face: Face, quick: None, unchanged: None
) -> None:
    told: list[Event] = []
    settings = Settings(steps=1, render="generator", tuning_steps=2)
    result = protect(photo_of(portrait), stack, settings, told.append)
    assert list(dict.fromkeys(e.stage for e in told)) == ["invert", "tune", "search"]
    assert result.report["stages"]["tune"] > 0
    changed = (result.pixels != portrait).any(axis=2)
    window = window_of(face, changed.shape)
    assert not changed[~window].any()
    assert changed[window].mean() > 0.5


def test_the_generator_is_restored_when_the_search_fails(
    stack: Stack, portrait: np.ndarray, quick: None, unchanged: None
) -> None:
    def stop(event: Event) -> None:
        if event.stage == "search":
            raise Interrupted

    with pytest.raises(Interrupted):
        protect(photo_of(portrait), stack, Settings(steps=1, tuning_steps=1, prompt="none"), stop)


def test_a_gray_photo_stays_gray(stack: Stack, portrait: np.ndarray, quick: None) -> None:
    gray = np.asarray(Image.fromarray(portrait).convert("L"))
    result = protect(decode(png(gray)), stack, Settings(steps=1))
    assert Image.open(BytesIO(result.data)).mode == "L"
    assert np.ptp(result.pixels, axis=2).max() == 0
    assert not np.array_equal(result.pixels[..., 0], gray)


@pytest.fixture(scope="module")
def two(stack: Stack) -> np.ndarray:
    """A photo with two faces of different size, far apart."""
    canvas = np.full((420, 700, 3), 120, np.uint8)
    canvas[20:400, 10:390] = picture(generated_face(stack.generator, 1), 380)
    canvas[150:390, 440:680] = picture(generated_face(stack.generator, 2), 240)
    return canvas


def test_only_the_largest_face_or_all(stack: Stack, two: np.ndarray, quick: None) -> None:
    large, small = detect(stack.detector, two)
    windows = [window_of(face, two.shape) for face in (large, small)]
    assert not (windows[0] & windows[1]).any()
    for faces, touched in (("largest", [True, False]), ("all", [True, True])):
        result = protect(photo_of(two), stack, Settings(steps=1, faces=faces, prompt="none"))
        changed = (result.pixels != two).any(axis=2)
        assert [bool(changed[window].any()) for window in windows] == touched
        assert not changed[~windows[0] & ~windows[1]].any()
        boxes = [face["box"] for face in result.report["faces"]]
        assert boxes == [pytest.approx(face.box, abs=0.06) for face in (large, small)[: sum(touched)]]


def test_impersonation_nears_the_target(stack: Stack, portrait: np.ndarray, quick: None) -> None:
    settings = Settings(target=Target(seeds=(7,)), steps=6, level="strong")
    (face,) = protect(photo_of(portrait), stack, settings).report["faces"]
    for name in SURROGATES:
        result = face["recognisers"][name]
        assert result["metric"] == "cosine"
        assert result["target_after"] > result["target_before"] + 0.1, name
        assert result["after"] < result["before"] - 0.1, name


def test_the_target_may_be_a_photo(stack: Stack, portrait: np.ndarray, quick: None) -> None:
    """Of the generated face itself: the same target as by its seed."""
    photo, seed = photo_of(portrait), 7
    targets = Target(seeds=(seed,)), Target(photo=png(generated_face(stack.generator, seed)))
    by_seed, by_photo = (
        protect(photo, stack, Settings(target=target, steps=1, prompt="none")) for target in targets
    )
    assert by_photo.data == by_seed.data
    assert by_seed.report["settings"]["target"] == "synthetic:7"
    assert by_photo.report["settings"]["target"] == "photo"


def of_part(stack: Stack, where: np.ndarray, pixels: np.ndarray, region: str) -> np.ndarray:
    """Mean RGB, 0 to 1, of a part of the face that is found in `where`."""
    found = detect(stack.detector, where)[0]
    crops = [AlignedFace.cut(p, found, torch.device("cpu")).crop for p in (where, pixels)]
    clean, crop = (torch.nn.functional.avg_pool2d(c, 4) / 2 + 0.5 for c in crops)
    mask = masks(locate(stack.prompter.landmarks, clean)[0].numpy())[REGIONS.index(region)]
    return (crop[0].numpy() * mask).sum(axis=(1, 2)) / mask.sum()


def test_a_prompt_paints_what_it_says_where_it_says(stack: Stack, portrait: np.ndarray, quick: None) -> None:
    red, blue = (
        protect(photo_of(portrait), stack, Settings(prompt=f"{colour} lipstick", steps=1))
        for colour in ("red", "blue")
    )
    assert red.report["faces"][0]["prompt"] == "red lipstick"
    lips, lids, cheeks = (
        of_part(stack, portrait, red.pixels, part) - of_part(stack, portrait, blue.pixels, part)
        for part in ("lips", "shadow", "blush")
    )
    assert lips[0] > 0 > lips[2]
    for other in (lids, cheeks):
        assert np.linalg.norm(other) < np.linalg.norm(lips) / 3


def test_generator_rendering_follows_a_prompt(stack: Stack, portrait: np.ndarray, quick: None) -> None:
    """Its one code has the text term: another prompt, another picture."""
    settings = {"render": "generator", "tuning_steps": 0, "steps": 1}
    red, none = (
        protect(photo_of(portrait), stack, Settings(prompt=p, **settings)) for p in ("red lipstick", "none")
    )
    assert red.data != none.data


def test_prompt_and_target_are_chosen(
    stack: Stack, portrait: np.ndarray, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.latent.choose.SHORT", 1)
    monkeypatch.setattr(pipeline, "CANDIDATES", ("red-lips", "tan"))
    settings = Settings(target=Target(seeds=(0, 1)), prompt="auto", steps=1)
    report = protect(photo_of(portrait), stack, settings).report
    (face,) = report["faces"]
    assert face["prompt"] in ("red-lips", "tan")
    assert face["target"] in ("synthetic:0", "synthetic:1")
    assert report["settings"]["target"] == report["settings"]["prompt"] == "auto"
    assert report["stages"]["choose"] > 0


def never(*args: Any, **kwargs: Any) -> None:
    pytest.fail("nothing must be searched")


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "invert", never)


def test_a_photo_without_a_face_is_refused(stack: Stack, refused: None) -> None:
    with pytest.raises(NoFaceError, match="no face was found"):
        protect(photo_of(FACELESS), stack, Settings())


def test_an_unknown_surrogate_is_refused_with_the_known_ones(
    stack: Stack, portrait: np.ndarray, refused: None
) -> None:
    with pytest.raises(ConfigError, match="'facenet'.*mobilefacenet-512, mobilefacenet-192, dlib-resnet29"):
        protect(photo_of(portrait), stack, Settings(surrogates=("mobilefacenet-512", "facenet")))


def test_a_target_without_a_face_is_refused(stack: Stack, portrait: np.ndarray, refused: None) -> None:
    with pytest.raises(NoFaceError, match="the target shows no face"):
        protect(photo_of(portrait), stack, Settings(target=Target(photo=png(FACELESS))))

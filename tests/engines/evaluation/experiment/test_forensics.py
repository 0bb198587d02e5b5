"""Forensic features, beside other programs' and on pictures whose features are known."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn
from skimage.color import rgb2ycbcr
from skimage.data import astronaut

from engines.errors import ConfigError
from engines.evaluation.experiment.forensics import forensic_features


def test_bands_are_those_of_a_block_dct() -> None:
    pixels = astronaut()[:96, 100:228]
    found = forensic_features(pixels)
    assert found.shape == (200,)
    assert np.isfinite(found).all()
    planes = rgb2ycbcr(pixels) * [255 / 219, 255 / 224, 255 / 224]  # scikit-image has the studio range
    energies = np.zeros((3, 8, 8))
    for y in range(0, 96, 8):
        for x in range(0, 128, 8):
            block = planes[y : y + 8, x : x + 8]
            energies += dctn(block, axes=(0, 1), norm="ortho").transpose(2, 0, 1) ** 2 / (12 * 16)
    light, colour = energies[0].ravel()[1:], (energies[1] + energies[2]).ravel()[1:] / 2
    assert found[:126] == pytest.approx(np.log(np.concatenate((light, colour)) + 0.01), abs=0.02)


def test_a_wave_is_in_its_ring_of_the_spectrum() -> None:
    """18 waves over 128 px are 0.14 cycles a pixel: ring 6 of 24 up to a half."""
    wave = 128 + 60 * np.sin(2 * np.pi * 18 / 128 * np.arange(128))
    pixels = np.broadcast_to(wave[None, :, None], (128, 128, 3)).round().astype(np.uint8)
    rings = forensic_features(pixels)[126:150]
    assert rings.argmax() == int(18 / 128 * 48) == 6
    assert rings[6] - np.median(rings) > 5


def test_residuals_of_a_flat_face_all_meet_in_the_middle() -> None:
    found = forensic_features(np.full((64, 64, 3), 90, np.uint8))
    for meetings in (found[150:175], found[175:]):
        assert np.exp(meetings[12]) == pytest.approx(1, abs=1e-3)
        assert np.exp(np.delete(meetings, 12)) == pytest.approx(1e-4)
    assert found[:126] == pytest.approx(np.log(0.01))


def test_a_jpeg_shows() -> None:
    """Its highest bands are gone."""
    photo = astronaut()[:128, 130:258]
    file = BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=60)
    coded = np.asarray(Image.open(file))
    assert forensic_features(coded)[50:63].mean() < forensic_features(photo)[50:63].mean() - 1


def test_a_small_face_is_refused() -> None:
    with pytest.raises(ConfigError, match="need 64 px"):
        forensic_features(np.zeros((64, 63, 3), np.uint8))

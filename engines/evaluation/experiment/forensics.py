"""Forensic features: the traces of synthesis in a picture of a face, for a detector of protected photos."""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn

from engines.errors import ConfigError
from engines.photo.colour import YCBCR

#: Pixels a side at least, bins of the spectrum, where residuals are cut off.
_MIN_SIDE, _BINS, _CUT = 64, 24, 2
#: What is added before a logarithm: to energies an eighth of what rounding to 8 bits brings, and to shares.
_FLAT, _RARE = 0.01, 1e-4


def forensic_features(pixels: np.ndarray) -> np.ndarray:
    """Traces of synthesis in a face (H, W, 3) uint8 RGB, of 64 px or more: 200 numbers, float64.

    Of light and of colour: logarithms of the 63 energies of an 8x8 block DCT, the bands that JPEG
    works in (Frank et al. 2020 tell generated images by them); how often two neighbouring residuals
    meet (25 each, Fridrich and Kodovsky 2012, section II).  Of light: 24 rings of the power spectrum
    (Durall et al. 2020, equation 2).  Faces to be compared must have one size.

    Raises:
        ConfigError: the face is smaller.
    """
    if min(pixels.shape[:2]) < _MIN_SIDE:
        raise ConfigError(f"forensic features need {_MIN_SIDE} px: give larger faces")
    light, blue, red = np.moveaxis(pixels.astype(np.float64) @ np.array(YCBCR).T, 2, 0)
    bands = [_block_energies(light), (_block_energies(blue) + _block_energies(red)) / 2]
    meetings = [_meetings(light), (_meetings(blue) + _meetings(red)) / 2]
    parts = [(band, _FLAT) for band in (*bands, _rings(light))] + [(meeting, _RARE) for meeting in meetings]
    return np.concatenate([np.log(part + floor) for part, floor in parts])


def _block_energies(plane: np.ndarray) -> np.ndarray:
    """Mean squares (63,) of the DCT coefficients of all whole 8x8 blocks, without the mean."""
    height, width = (side // 8 * 8 for side in plane.shape)
    blocks = plane[:height, :width].reshape(height // 8, 8, width // 8, 8)
    return np.square(dctn(blocks, axes=(1, 3), norm="ortho")).mean(axis=(0, 2)).ravel()[1:]


def _meetings(plane: np.ndarray) -> np.ndarray:
    """Shares (25,) of pairs of neighbouring residuals, second differences along both axes, cut off at 2."""
    counts = np.zeros((2 * _CUT + 1) ** 2)
    for lines in (plane, plane.T):
        bends = (
            np.rint((lines[:, :-2] + lines[:, 2:]) / 2 - lines[:, 1:-1]).clip(-_CUT, _CUT).astype(int) + _CUT
        )
        counts += np.bincount((bends[:, :-1] * (2 * _CUT + 1) + bends[:, 1:]).ravel(), minlength=len(counts))
    return counts / counts.sum()


def _rings(plane: np.ndarray) -> np.ndarray:
    """Mean power (24,) at frequencies from 0 to half a cycle a pixel, of a plane faded out at its edges."""
    fade = np.hanning(plane.shape[0])[:, None] * np.hanning(plane.shape[1])[None]
    power = np.square(np.abs(np.fft.fft2((plane - plane.mean()) * fade))) / np.square(fade).sum()
    radius = np.hypot(np.fft.fftfreq(plane.shape[0])[:, None], np.fft.fftfreq(plane.shape[1])[None])
    ring = (radius * 2 * _BINS).astype(int).ravel()
    counts = np.bincount(ring, minlength=_BINS)[:_BINS]
    return np.bincount(ring, weights=power.ravel(), minlength=_BINS)[:_BINS] / counts

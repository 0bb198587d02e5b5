"""How much a photo has changed: PSNR and SSIM."""

from __future__ import annotations

import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity

#: PSNR of two equal pictures, in place of infinity: JSON has none.
MAX_PSNR = 100.0
#: SSIM of whole photos is taken at no more than this many pixels: it needs 100 bytes for each.
SSIM_PIXELS = 4_000_000


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 pictures (H, W, 3), at most `MAX_PSNR`."""
    total = 0.0
    for start in range(0, len(a), 512):  # in bands: a photo of 50 megapixels is 600 MB as floats
        difference = a[start : start + 512].astype(np.int32) - b[start : start + 512]
        total += float(np.square(difference).sum(dtype=np.int64))
    error = total / a.size
    return min(MAX_PSNR, 10 * np.log10(255**2 / error)) if error else MAX_PSNR


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of two uint8 pictures (H, W, 3): 7-px windows, mean over channels.

    Larger ones than `SSIM_PIXELS` are averaged down first.  Pictures under 7 px hold no window: 1 if
    they are equal, else 0.
    """
    if min(a.shape[:2]) < 7:
        return float(np.array_equal(a, b))
    factor = int(np.ceil((a.shape[0] * a.shape[1] / SSIM_PIXELS) ** 0.5))
    if factor > 1:
        a, b = (np.asarray(Image.fromarray(x).reduce(factor)) for x in (a, b))
    return float(structural_similarity(a, b, channel_axis=2, data_range=255))

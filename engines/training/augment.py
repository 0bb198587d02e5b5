"""The degradation of photos, for training: crop error, light, colour, noise, JPEG, blur and resizing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.latent import degrade


def degraded(views: Tensor, seed: int, *, light: float = 1.0, gray_part: float = 0.05) -> Tensor:
    """Views (N, 3, H, W), RGB in [-1, 1], degraded as photos are.  Each gets its own degradation.

    `light` scales the changes of light, contrast and colour.  `gray_part` is the part of the views that
    become gray.
    """
    chance = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(len(views), *shape, generator=chance)

    # Crop error: turned, scaled and shifted by a few percent.
    angle, size, shift = uniform(-0.04, 0.04), uniform(0.95, 1.05), uniform(-0.02, 0.02, 2)
    turn = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos()), dim=1).view(-1, 2, 2)
    turn = turn * size[:, None, None]
    grid = F.affine_grid(torch.cat((turn, shift[:, :, None]), dim=2), list(views.shape), align_corners=False)
    views = F.grid_sample(views.cpu(), grid, padding_mode="border", align_corners=False)
    # Light, contrast and colour.
    gamma = (light * uniform(-0.4, 0.4, 1, 1, 1)).exp()
    image = (views / 2 + 0.5).clamp(1e-3, 1) ** gamma
    gain = (1 + light * uniform(-0.25, 0.2, 1, 1, 1)) * (1 + light * uniform(-0.08, 0.08, 3, 1, 1))
    image = image * gain + light * uniform(-0.06, 0.06, 1, 1, 1)
    gray = image.mean(dim=1, keepdim=True)
    image = torch.where(uniform(0, 1, 1, 1, 1) < gray_part, gray, image).clamp(0, 1)
    image = image + uniform(0, 0.03, 1, 1, 1) * torch.randn(image.shape, generator=chance)
    # Uploads: each quarter of the batch gets JPEG, blur, resizing, or nothing.
    parts = list(image.clamp(0, 1).chunk(4))
    amount = torch.rand(3, generator=chance).tolist()
    changes = (
        lambda x: degrade.jpeg(x, round(30 + 65 * amount[0])),
        lambda x: degrade.blur(x, 0.3 + 1.2 * amount[1]),
        lambda x: degrade.shrink(x, 1.2 + 1.5 * amount[2]),
    )
    parts = [change(part) for change, part in zip(changes, parts, strict=False)] + parts[len(changes) :]
    return torch.cat(parts) * 2 - 1

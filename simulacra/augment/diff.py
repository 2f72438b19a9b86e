"""Differentiable Augmentation for Data-Efficient GAN Training. Zhao, Liu, Lin, Zhu, Han. 2020. arXiv:2006.10738.

Applied to every picture: colour, then translation, then cutout, with the paper's ranges.
"""

from __future__ import annotations

import torch
from torch import Tensor

from simulacra.augment import base
from simulacra.settings import Settings

SHIFT = 1 / 8  # largest translation, relative to the side


class DiffAugment(base.Random):
    """DiffAugment: colour, translation, cutout."""

    def __init__(self, config: Settings) -> None:
        super().__init__()
        self.kinds = config.kinds_of_augmentation()

    def transform(self, x: Tensor) -> Tensor:
        """Pictures [N, C, H, W] -> the same shape."""
        for kind, function in (("colour", colour), ("translation", translation), ("cutout", cutout)):
            x = function(x) if kind in self.kinds else x
        return x


def colour(x: Tensor) -> Tensor:
    """Brightness ± 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5; alpha is unchanged."""
    if x.shape[1] == 4:
        return torch.cat([colour(x[:, :3]), x[:, 3:]], 1)
    brightness, saturation, contrast = base.uniform(x, 3)
    x = x + base.per_picture(brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = torch.lerp(grey, x, base.per_picture(2 * saturation)) if x.shape[1] > 1 else x
    return torch.lerp(x.mean((1, 2, 3), keepdim=True), x, base.per_picture(contrast + 0.5))


def translation(x: Tensor) -> Tensor:
    """Shift by whole pixels, up to an eighth of the side in each direction; 0 outside the picture."""
    most = (base.sides(x) * SHIFT + 0.5).floor()
    shift = (base.uniform(x, 2) * (2 * most + 1)).floor() - most
    identity = torch.eye(2, device=x.device, dtype=x.dtype).expand(len(x), 2, 2)
    return base.affine_sample(x, identity, shift.T, nearest=True)


def cutout(x: Tensor) -> Tensor:
    """Set a rectangle with half the sides at a random place to 0."""
    return x.masked_fill(base.cutout_mask(x, base.uniform(x, 2) - 0.5), 0)

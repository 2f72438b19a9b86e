"""Differentiable Augmentation for Data-Efficient GAN Training. Zhao, Liu, Lin, Zhu, Han. 2020. arXiv:2006.10738.

Always on, for each picture anew: colour, then translation, then cutout, with the paper's ranges.
"""

from __future__ import annotations

import torch
from torch import Tensor

from simulacra.augment import base
from simulacra.settings import Settings

SHIFT = 1 / 8  # of a side, at most


class Differentiable(base.Random):
    """DiffAugment: colour, translation, cutout."""

    def __init__(self, config: Settings) -> None:
        super().__init__()
        self.kinds = config.kinds_of_augmentation()

    def augmented(self, x: Tensor) -> Tensor:
        """Pictures [N, C, H, W] -> the same, changed."""
        for kind, change in (("colour", colour), ("translation", translation), ("cutout", cutout)):
            x = change(x) if kind in self.kinds else x
        return x


def colour(x: Tensor) -> Tensor:
    """Brightness by up to 0.5 up or down, saturation 0 to 2 times, contrast 0.5 to 1.5 times; alpha stays."""
    if x.shape[1] == 4:
        return torch.cat([colour(x[:, :3]), x[:, 3:]], 1)
    brightness, saturation, contrast = base.uniform(x, 3)
    x = x + base.per_picture(brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = torch.lerp(grey, x, base.per_picture(2 * saturation)) if x.shape[1] > 1 else x
    return torch.lerp(x.mean((1, 2, 3), keepdim=True), x, base.per_picture(contrast + 0.5))


def translation(x: Tensor) -> Tensor:
    """Moved by whole pixels, up to an eighth of the side each way; what comes in is 0."""
    most = (base.sides(x) * SHIFT + 0.5).floor()
    shift = (base.uniform(x, 2) * (2 * most + 1)).floor() - most
    still = torch.eye(2, device=x.device, dtype=x.dtype).expand(len(x), 2, 2)
    return base.look_up(x, still, shift.T, nearest=True)


def cutout(x: Tensor) -> Tensor:
    """A rectangle of half the sides, anywhere, becomes 0."""
    return x.masked_fill(base.hole(x, base.uniform(x, 2) - 0.5), 0)

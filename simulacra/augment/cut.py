"""Random zoom, crop and flip: the augmentation of data that translation GANs use."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def cut(images: Tensor, zoom: float, *, flip: bool) -> Tensor:
    """Pictures [N, C, H, W] enlarged by `zoom` and cropped at random to the same shape, half of them mirrored."""
    n, _, height, width = images.shape
    high, wide, device = round(height * zoom), round(width * zoom), images.device
    large = F.interpolate(images, (high, wide), mode="bilinear", align_corners=False) if high > height else images
    down = torch.randint(high - height + 1, (n, 1), device=device) + torch.arange(height, device=device)
    right = torch.randint(wide - width + 1, (n, 1), device=device) + torch.arange(width, device=device)
    if flip:
        right = torch.where(torch.rand(n, 1, device=device) < 0.5, right.flip(1), right)
    rows = torch.arange(n, device=device)[:, None, None]
    crops = large.permute(0, 2, 3, 1)[rows, down[:, :, None], right[:, None, :]]  # [N, H, W, C]
    return crops.permute(0, 3, 1, 2)

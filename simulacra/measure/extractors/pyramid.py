"""Features of the second judge: nothing in them was trained, so they share nothing with those of a network.

A Laplacian pyramid (Burt & Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983) splits a picture into bands.
Each band is filtered by fixed random 3x3 filters; a feature is the mean size of a filter's response in one of 2x2
cells. The lowest band is used as it is, as a thumbnail of 4x4 pixels. Filters are even or odd from left to right, so a
mirrored picture has its features mirrored. Pictures of less than 128 pixels lack the finest bands; those features are 0.
As in the multi-scale distance of Karras et al. 2018 (arXiv:1710.10196, section 5), each scale counts by itself; features
belong to pictures and not to patches, so that scores have intervals.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

SIDES = (128, 64, 32, 16)  # of the bands, in pixels
FILTERS, CELLS, THUMBNAIL = 16, 2, 4
WIDTH = len(SIDES) * FILTERS * CELLS**2 + 3 * THUMBNAIL**2


def pyramid_features(pictures: Tensor) -> Tensor:
    """Pictures [N, 3, H, W] in 0..255 -> features [N, WIDTH] in grey levels."""
    first = next((side for side in reversed(SIDES) if side >= max(pictures.shape[2:])), SIDES[0])
    square = pictures.contiguous()
    if square.shape[2:] != (first, first):
        square = F.interpolate(square, (first, first), mode="bicubic", antialias=True)
    features = []
    for level, side in enumerate(SIDES):
        if side > first:
            features.append(square.new_zeros(len(square), FILTERS * CELLS**2))
            continue
        smaller = F.avg_pool2d(square, 2)
        band = square - F.interpolate(smaller, scale_factor=2, mode="bilinear", align_corners=False)
        responses = F.conv2d(
            band.contiguous(memory_format=torch.channels_last), _filters(level).to(band.device), padding=1
        )
        features.append(F.adaptive_avg_pool2d(responses.abs_(), CELLS).flatten(1))
        square = smaller
    return torch.cat([*features, F.adaptive_avg_pool2d(square, THUMBNAIL).flatten(1)], 1)


@functools.cache
def _filters(level: int) -> Tensor:
    """Filters [FILTERS, 3, 3, 3] of unit length and zero mean: the first half even from left to right, the rest odd."""
    normal = torch.randn(FILTERS, 3, 3, 3, generator=torch.Generator().manual_seed(level))
    even, odd = (normal + normal.flip(3)).chunk(2)[0], (normal - normal.flip(3)).chunk(2)[1]
    filters = torch.cat([even, odd])
    filters = filters - filters.mean((2, 3), keepdim=True)
    unit: Tensor = filters / filters.flatten(1).norm(dim=1)[:, None, None, None]
    return unit

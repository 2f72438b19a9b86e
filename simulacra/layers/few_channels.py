"""Transposed convolutions that double the sides and have few output channels, as of G's last layer and D's input gradient.

oneDNN computes them at a tenth of a CPU's peak. A 3x3 convolution that has each output pixel of a 2x2 cell as a channel
of its own gives the same sums (a sub-pixel convolution: Shi et al. 2016, arXiv:1609.05158), about twice as fast
although 5 of 9 products are with zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

FEW = 4  # channels of a picture, at most


# An operation of its own, as inductor would fuse the reordering of the pixels into loops without vectors.
@torch.library.custom_op("simulacra::double_to_few", mutates_args=())
def double_to_few(y: Tensor, weight: Tensor) -> Tensor:
    """`F.conv_transpose2d(y, weight, stride=2, padding=1)`: [N, I, H, W], [I, C, 4, 4] -> [N, C, 2H, 2W], channels last."""
    (inner, outer), (count, _, high, wide) = weight.shape[:2], y.shape
    # Output pixel 2i + a is the sum of y[j]·weight[2(i - j) + a + 1]: a reversed kernel, every other row for each a.
    cells = F.pad(weight, (1, 1, 1, 1)).flip(2, 3).view(inner, outer, 3, 2, 3, 2).flip(3, 5)
    kernel = cells.permute(3, 5, 1, 0, 2, 4).reshape(4 * outer, inner, 3, 3)
    x = F.conv2d(y, kernel.contiguous(memory_format=torch.channels_last), padding=1)
    x = x.permute(0, 2, 3, 1).reshape(count, high, wide, 2, 2, outer).transpose(2, 3)
    return x.reshape(count, 2 * high, 2 * wide, outer).permute(0, 3, 1, 2)


@double_to_few.register_fake
def _(y: Tensor, weight: Tensor) -> Tensor:
    count, _, high, wide = y.shape
    return y.new_empty(count, 2 * high, 2 * wide, weight.shape[1]).permute(0, 3, 1, 2)

"""Layers with an equalised learning rate: weights start as N(0, 1), and He's constant scales them in each forward pass.

Karras et al. 2018 (arXiv:1710.10196), section 4.1. Also its pixel norm (4.2) and minibatch standard deviation (3).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra.layers.convolution import Conv2d

GROUP = 4  # pictures over which the minibatch standard deviation is computed


class EqualisedLinear(nn.Module):
    """A fully connected layer. rate: factor on the learning rate of weights and biases, as in a mapping network."""

    def __init__(
        self, inner: int, outer: int, *, gain: float = 1.0, rate: float = 1.0, bias: float = 0.0, biased: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outer, inner) / rate)
        self.bias = nn.Parameter(torch.full((outer,), bias / rate)) if biased else None
        self.scale, self.rate = gain * rate / math.sqrt(inner), rate

    def forward(self, x: Tensor) -> Tensor:
        """[N, inner] -> [N, outer]."""
        return F.linear(x, self.weight * self.scale, None if self.bias is None else self.bias * self.rate)


class EqualisedConv2d(Conv2d):
    """A convolution; at stride 1 an odd kernel keeps the height and width."""

    def __init__(
        self, inner: int, outer: int, kernel: int, *, stride: int = 1, padding: int | None = None, gain: float = 1.0, bias: bool = True
    ) -> None:  # fmt: skip
        super().__init__(inner, outer, kernel, stride, kernel // 2 if padding is None else padding, bias=bias)
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.scale = gain / math.sqrt(inner * kernel * kernel)

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        if self.weight.numel() < input.numel():  # scaling the smaller of the two is cheaper
            return self._conv_forward(input, self.weight * self.scale, self.bias)
        return self._conv_forward(input * self.scale, self.weight, self.bias)


def pixel_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    """x [N, C, ...] scaled to a mean square of 1 over the channels."""
    return x * (x.square().mean(1, keepdim=True) + eps).rsqrt()


def minibatch_stddev(x: Tensor, group: int = GROUP) -> Tensor:
    """[N, C, H, W] -> [N, C + 1, H, W]: one more map, the mean standard deviation within a group of pictures.

    group: most pictures in a group; its size is the largest that divides N.
    """
    n, _, height, width = x.shape
    size = next(size for size in range(min(group, n), 0, -1) if n % size == 0)
    grouped = x.reshape(size, n // size, *x.shape[1:]).float()
    variance = (grouped - grouped.mean(0)).square().mean(0)  # `var` is nine times slower on a CPU
    deviation = (variance + 1e-8).sqrt().mean((1, 2, 3))  # [N / size]
    extra = deviation.to(x.dtype).repeat(size)[:, None, None, None].expand(n, 1, height, width)
    return torch.cat([x, extra], 1).contiguous(memory_format=torch.channels_last)

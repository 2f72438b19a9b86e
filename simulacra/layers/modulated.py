"""Convolutions whose weights each picture's style scales. Karras et al. 2020 (arXiv:1912.04958), section 2.2:

    w' = s_i w_ijk,    w'' = w' / √(Σ_ik w'² + ε)                                              (equations 1 and 3)

Scaling weights by input and output channel equals scaling the input by s and the output by 1 / √(…), with shared weights.
The alternative, a grouped convolution with a group per picture, is slower and cannot be exported with a dynamic batch size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from simulacra.layers.convolution import Conv2d, ConvTranspose2d
from simulacra.layers.resampling import blur

EPSILON = 1e-8


class ModulatedConv2d(nn.Module):
    """The convolution by w'', with equalised weights. The output has variance gain² where x has variance 1.

    up: double height and width, by a transposed convolution and a blur.
    """

    def __init__(self, inner: int, outer: int, kernel: int, *, up: bool = False, gain: float = 1.0) -> None:
        super().__init__()
        self.up, self.gain, self.scale = up, gain, 1 / math.sqrt(inner * kernel * kernel)
        self.convolution: Conv2d | ConvTranspose2d = (
            ConvTranspose2d(inner, outer, kernel, 2, bias=False)
            if up
            else Conv2d(inner, outer, kernel, padding=kernel // 2, bias=False)
        )
        nn.init.normal_(self.convolution.weight)

    def forward(self, x: Tensor, s: Tensor, added: Tensor | float = 0.0) -> Tensor:
        """x [N, C, H, W], s [N, C] -> [N, C', H', W'].

        added: added to the output, with broadcasting; cheaper here than afterwards.
        """
        s = s * self.scale
        y: Tensor = self.convolution(x * s[:, :, None, None])
        if self.up:
            y = blur(y, padding=1, gain=4.0)
        factor = self.gain * self.energy(s).rsqrt()[:, :, None, None].to(y.dtype)
        return torch.addcmul(torch.as_tensor(added, dtype=y.dtype, device=y.device), y, factor)

    def energy(self, s: Tensor) -> Tensor:
        """Σ_ik w'² + ε per picture and output channel [N, C']."""
        squares = self.convolution.weight.square().sum((2, 3))
        return s.square() @ (squares if self.up else squares.T) + EPSILON


class ModulatedPixels(nn.Module):
    """A 1x1 convolution by w', with a bias, as one matrix per picture: cheapest for few output channels."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outer, inner))
        self.bias = nn.Parameter(torch.zeros(outer))
        self.scale = 1 / math.sqrt(inner)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """x [N, C, H, W], s [N, C] -> [N, C', H, W]."""
        weight = self.weight.T * (s * self.scale)[:, :, None]  # [N, C, C']
        rows = x.permute(0, 2, 3, 1).flatten(1, 2) @ weight + self.bias  # [N, H·W, C']
        return rows.view(-1, *x.shape[2:], rows.shape[2]).permute(0, 3, 1, 2)

"""Upsampling and downsampling by 2, with the filter [1, 3, 3, 1] against aliasing.

Up by bilinear interpolation, down by a depthwise convolution: the fastest forms on a CPU.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra.layers.convolution import ConvTranspose2d


class Filter(NamedTuple):
    """A blur: the sum of its kernel, and the geometry of its convolution."""

    gain: float
    stride: int
    padding: int

    def kernel(self, x: Tensor) -> Tensor:
        """[C, 1, 4, 4]."""
        # 1 3 3 1, computed on the device, as a copy from the host would synchronise
        row = (4 - (2 * torch.arange(4, device=x.device, dtype=x.dtype) - 3).abs()) / 8
        return (self.gain * row[:, None] * row).expand(x.shape[1], 1, 4, 4)


def _filter(x: Tensor, fir: Filter) -> Tensor:
    return F.conv2d(x, fir.kernel(x), stride=fir.stride, padding=fir.padding, groups=x.shape[1])


# A linear map and its adjoint, which are each other's derivatives. Torch's second derivative of a grouped convolution
# also computes the filter's gradient, group by group: 30 times slower.


class _Filter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, fir: Filter) -> Tensor:
        ctx.fir, ctx.sides = fir, x.shape[2:]
        return _filter(x, fir)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _filter_adjoint(gradients[0], ctx.fir, ctx.sides), None


class _FilterAdjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, fir: Filter, sides: tuple[int, int]) -> Tensor:
        ctx.fir = fir
        pairs = zip(sides, y.shape[2:], strict=True)
        rest = [large - ((small - 1) * fir.stride + 4 - 2 * fir.padding) for large, small in pairs]
        return F.conv_transpose2d(y, fir.kernel(y), None, fir.stride, fir.padding, rest, groups=y.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _filter_function(gradients[0], ctx.fir), None, None


# Function.apply has no types.
_filter_function: Any = _Filter.apply
_filter_adjoint: Any = _FilterAdjoint.apply


def blur(x: Tensor, *, padding: int, stride: int = 1, gain: float = 1.0) -> Tensor:
    """[N, C, H, W] -> [N, C, (H + 2 padding - 4) / stride + 1, ...]: filter both sides; the filter sums up to `gain`."""
    fir = Filter(gain, stride, padding)
    if torch.is_grad_enabled() and x.requires_grad and not torch.compiler.is_compiling():
        y: Tensor = _filter_function(x, fir)
        return y
    return _filter(x, fir)


def upsample(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, 2H, 2W], bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def downsample(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, H/2, W/2], the adjoint of `upsample` divided by 4."""
    return blur(x, padding=1, stride=2)


@torch.no_grad()
def interpolate(layer: nn.ConvTranspose2d, std: float) -> None:
    """Weights of a doubling: random mixtures of the channels, bilinearly interpolated; N(0, std) over all.

    Random weights would draw a checkerboard, which D detects.
    """
    side = layer.kernel_size[0]
    row = side / 2 - (torch.arange(side) - (side - 1) / 2).abs()  # of 4: 1, 3, 3, 1
    row = row / row.square().mean().sqrt()
    layer.weight.copy_(std * torch.randn(*layer.weight.shape[:2], 1, 1) * row[:, None] * row)


class Patches(ConvTranspose2d):
    """Each pixel becomes 2x2; see `interpolate`."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(inner, outer, 4, 2, 1)
        interpolate(self, 5 / 16 / math.sqrt(inner))  # flat areas keep their variance
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]

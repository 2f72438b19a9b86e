"""Twice the side and half of it, with the filter [1, 3, 3, 1]: blurred, so that nothing aliases.

The two shapes that were fastest on a CPU: interpolation up, a depthwise convolution down.
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
        # 1 3 3 1, made on the device: a copy from the host would make it wait
        row = (4 - (2 * torch.arange(4, device=x.device, dtype=x.dtype) - 3).abs()) / 8
        return (self.gain * row[:, None] * row).expand(x.shape[1], 1, 4, 4)


def _gathered(x: Tensor, how: Filter) -> Tensor:
    return F.conv2d(x, how.kernel(x), stride=how.stride, padding=how.padding, groups=x.shape[1])


# A linear map and its adjoint, each the derivative of the other. Torch's own second derivative of a convolution in
# groups goes through them one by one, for a gradient of the filter that nobody asked for: 30 times slower.


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, how: Filter) -> Tensor:
        ctx.how, ctx.sides = how, x.shape[2:]
        return _gathered(x, how)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _scatter(gradients[0], ctx.how, ctx.sides), None


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, how: Filter, sides: tuple[int, int]) -> Tensor:
        ctx.how = how
        pairs = zip(sides, y.shape[2:], strict=True)
        rest = [large - ((small - 1) * how.stride + 4 - 2 * how.padding) for large, small in pairs]
        return F.conv_transpose2d(y, how.kernel(y), None, how.stride, how.padding, rest, groups=y.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _gather(gradients[0], ctx.how), None, None


# Function.apply has no types.
_gather: Any = _Gather.apply
_scatter: Any = _Scatter.apply


def blur(x: Tensor, *, padding: int, stride: int = 1, gain: float = 1.0) -> Tensor:
    """[N, C, H, W] -> [N, C, (H + 2 padding - 4) / stride + 1, ...]: the filter along both sides, its sum `gain`."""
    how = Filter(gain, stride, padding)
    if torch.is_grad_enabled() and x.requires_grad and not torch.compiler.is_compiling():
        y: Tensor = _gather(x, how)
        return y
    return _gathered(x, how)


def upsample(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, 2H, 2W], bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def downsample(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, H/2, W/2], the adjoint of bilinear."""
    return blur(x, padding=1, stride=2)


class Patches(ConvTranspose2d):
    """Each pixel becomes 2x2. It starts as bilinear interpolation: a random start draws a checkerboard, and D sees it."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(inner, outer, 4, 2, 1)
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        with torch.no_grad():
            self.weight.copy_(torch.randn(inner, outer, 1, 1) / math.sqrt(inner) * row[:, None] * row)
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]

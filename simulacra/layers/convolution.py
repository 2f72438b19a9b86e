"""Convolutions with faster gradients, and an instance norm that keeps the channels-last format.

Where maps are small and channels many, oneDNN's weight gradient reaches a tenth of a CPU's peak; its forward pass and
input gradient come near the peak. As a matrix product, the weight gradient comes near it too.

Torch's second derivative of a grouped convolution runs several kernels for each group in turn, which takes most of a
penalty's time on a GPU. The functions here are each other's derivatives, and process all groups at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCHES = 1 << 21  # values in a matrix of patches: larger ones are slow to allocate and exceed the cache
SMALL_MAP, SMALLISH_MAP, MANY = 32, 128, 128  # positions, positions with as many channels: `_faster_as_patches`
FEW_ROWS = 512  # positions of a batch in fp32
OVERLAP = 4  # without AVX-512, patches that repeat each value more often (stride 1) cost more than they save


AVX512 = torch.backends.cpu.get_cpu_capability() == "AVX512"


class Geometry(NamedTuple):
    """Kernel, stride and padding of a convolution, each (vertical, horizontal), and its groups."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int = 1


# Three functions, each linear in both arguments. The derivatives of each are the other two, so they can be
# differentiated any number of times:
#     y = convolve(x, w)
#     x = convolve_transposed(y, w)
#     w = weight_gradient(x, y)       of both convolutions


_inputs_only = False


@contextlib.contextmanager
def inputs_only() -> Iterator[None]:
    """Skip the weight gradients inside `torch.autograd.grad` with respect to a network's input.

    A custom autograd function does not learn which gradients are needed, and would compute all of them.
    """
    global _inputs_only
    before, _inputs_only = _inputs_only, True
    try:
        yield
    finally:
        _inputs_only = before


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return F.conv2d(x, weight, bias, geometry.stride, geometry.padding, groups=geometry.groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (x, weight), (g,), needed = ctx.saved_tensors, gradients, ctx.needs_input_grad
        to_x = convolve_transposed(g, weight, None, ctx.geometry, x.shape[2:]) if needed[0] else None
        to_weight = weight_gradient(x, g, ctx.geometry) if needed[1] and not _inputs_only else None
        return to_x, to_weight, g.sum((0, 2, 3)) if needed[2] and not _inputs_only else None, None


class _ConvolveTransposed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, y: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, size: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(y, weight)
        ctx.geometry = geometry
        sides = zip(size, y.shape[2:], *geometry[:3], strict=True)
        rest = [side - ((small - 1) * stride + kernel - 2 * pad) for side, small, kernel, stride, pad in sides]
        return F.conv_transpose2d(y, weight, bias, geometry.stride, geometry.padding, rest, geometry.groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (y, weight), (g,), needed = ctx.saved_tensors, gradients, ctx.needs_input_grad
        to_y = convolve(g, weight, None, ctx.geometry) if needed[0] else None
        to_weight = weight_gradient(g, y, ctx.geometry) if needed[1] and not _inputs_only else None
        return to_y, to_weight, g.sum((0, 2, 3)) if needed[2] and not _inputs_only else None, None, None


class _WeightGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.geometry = geometry
        if geometry.groups > 1:
            return _grouped_weight_gradient(x, y, geometry)
        (high, wide), inner, outer = geometry.kernel, x.shape[1], y.shape[1]
        count = max(1, PATCHES // (inner * high * wide * y.shape[2] * y.shape[3]))  # pictures at once
        pairs = zip(torch.split(x, count), torch.split(y, count), strict=True)
        parts = [
            outputs.permute(0, 2, 3, 1).reshape(-1, outer).T @ patches(inputs, geometry) for inputs, outputs in pairs
        ]
        total = parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)
        return total.view(outer, high, wide, inner).permute(0, 3, 1, 2)  # channels last

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (x, y), (g,), needed = ctx.saved_tensors, gradients, ctx.needs_input_grad
        to_x = convolve_transposed(y, g, None, ctx.geometry, x.shape[2:]) if needed[0] else None
        to_y = convolve(x, g, None, ctx.geometry) if needed[1] else None
        return to_x, to_y, None


def _grouped_weight_gradient(x: Tensor, y: Tensor, geometry: Geometry) -> Tensor:
    """`weight_gradient` by torch's own function, for any number of groups."""
    weight = y.new_empty(1).expand(
        y.shape[1], x.shape[1] // geometry.groups, *geometry.kernel
    )  # only its shape is read
    backward = torch.ops.aten.convolution_backward
    options = (geometry.stride, geometry.padding, (1, 1), False, (0, 0), geometry.groups)
    w: Tensor = backward(y, x, weight, None, *options, (False, True, False))[1]
    return w


# Function.apply has no types.
convolve: Any = _Convolve.apply
convolve_transposed: Any = _ConvolveTransposed.apply
weight_gradient: Any = _WeightGradient.apply


def patches(x: Tensor, geometry: Geometry) -> Tensor:
    """The patches of x [N, C, H, W] under the kernel (im2col): [N·positions, kernel height·kernel width·C]."""
    (high, wide), (down, right), (above, beside) = geometry[:3]
    padded = F.pad(x, (beside, beside, above, above)).permute(0, 2, 3, 1)
    windows = padded.unfold(1, high, down).unfold(2, wide, right)  # [N, rows, columns, C, high, wide]
    return windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, high * wide * x.shape[1])


def _faster_as_patches(
    x: Tensor, weight: Tensor, geometry: Geometry, large: Sequence[int], small: Sequence[int]
) -> bool:
    """Whether the weight gradient will be needed, and oneDNN would compute it more slowly on this CPU.

    A function of the machine, the shapes and the type alone, so that a resumed run is exact. large, small: the sides of
    the maps.
    """
    needed = torch.is_grad_enabled() and weight.requires_grad and not torch.compiler.is_compiling()
    if not needed or x.device.type != "cpu":
        return False
    positions = prod(small)
    if torch.is_autocast_enabled("cpu"):
        return positions <= SMALL_MAP or (positions <= SMALLISH_MAP and weight.shape[0] >= MANY)
    if AVX512:
        return positions <= SMALL_MAP and len(x) * positions <= FEW_ROWS
    return prod(geometry.kernel) * positions <= OVERLAP * prod(large)


def _lowered(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """The arguments in autocast's type where it is enabled: the backward pass of a custom function runs outside of it."""
    kind = x.device.type
    if not torch.is_autocast_enabled(kind):
        return x, weight, bias
    lower = torch.get_autocast_dtype(kind)
    return x.to(lower), weight.to(lower), None if bias is None else bias.to(lower)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """`F.conv2d` without groups, with a faster weight gradient on a CPU."""
    sides = zip(x.shape[2:], *geometry[:3], strict=True)
    size = [(large + 2 * pad - kernel) // stride + 1 for large, kernel, stride, pad in sides]
    if not _faster_as_patches(x, weight, geometry, x.shape[2:], size):
        return F.conv2d(x, weight, bias, geometry.stride, geometry.padding)
    y: Tensor = convolve(*_lowered(x, weight, bias), geometry)
    return y


def _transposed(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, rest: tuple[int, ...]) -> Tensor:
    """`F.conv_transpose2d` without groups, with a faster weight gradient on a CPU. rest: rows and columns at the end."""
    sides = zip(x.shape[2:], *geometry[:3], rest, strict=True)
    size = [(small - 1) * stride + kernel - 2 * pad + more for small, kernel, stride, pad, more in sides]
    if not _faster_as_patches(x, weight, geometry, size, x.shape[2:]):
        return F.conv_transpose2d(x, weight, bias, geometry.stride, geometry.padding, rest)
    y: Tensor = convolve_transposed(*_lowered(x, weight, bias), geometry, size)
    return y


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` without groups or dilation, with a faster weight gradient on a CPU."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        return _convolved(input, weight, bias, Geometry(self.kernel_size, self.stride, self.padding))  # type: ignore[arg-type]


class GroupedConv2d(nn.Conv2d):
    """`nn.Conv2d` with groups, without dilation; its second derivative processes all groups at once."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        geometry = Geometry(self.kernel_size, self.stride, self.padding, self.groups)  # type: ignore[arg-type]
        learning = torch.is_grad_enabled() and (input.requires_grad or weight.requires_grad)
        if not learning or torch.compiler.is_compiling():
            return F.conv2d(input, weight, bias, geometry.stride, geometry.padding, groups=self.groups)
        y: Tensor = convolve(*_lowered(input, weight, bias), geometry)
        return y


class ConvTranspose2d(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` without groups or dilation, with a faster weight gradient on a CPU."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        assert output_size is None
        geometry = Geometry(self.kernel_size, self.stride, self.padding)  # type: ignore[arg-type]
        return _transposed(input, self.weight, self.bias, geometry, self.output_padding)


BY_TWO = Geometry((4, 4), (2, 2), (1, 1))


class DoublingConv2d(nn.Conv2d):
    """Doubled sides (nearest neighbours), then a 3x3 convolution: as one transposed convolution, 4 of 9 products.

    A flat area stays flat, whatever the weights, while those of a transposed convolution draw a grid on it.
    """

    def __init__(self, inner: int, outer: int, *, bias: bool = True) -> None:
        super().__init__(inner, outer, 3, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', 2H, 2W]."""
        return _transposed(input, _spread(self.weight.flip(2, 3)).transpose(0, 1), self.bias, BY_TWO, (0, 0))


class HalvingConv2d(nn.Conv2d):
    """A 3x3 convolution, then means of 2x2: as one convolution with stride 2, 4 of 9 products."""

    def __init__(self, inner: int, outer: int, *, bias: bool = True) -> None:
        super().__init__(inner, outer, 3, padding=1, bias=bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """[N, C, H, W] -> [N, C', H/2, W/2]."""
        return _convolved(input, _spread(weight) / 4, bias, BY_TWO)


def _spread(weight: Tensor) -> Tensor:
    """The sum of kernels [..., 3, 3] moved by none and by one position each way: [..., 4, 4]."""
    padded = F.pad(weight, (1, 1, 1, 1))
    beside = padded[..., 1:] + padded[..., :-1]
    return beside[..., 1:, :] + beside[..., :-1, :]


class InstanceNorm2d(nn.InstanceNorm2d):
    """`nn.InstanceNorm2d` that keeps the channels-last format on a CPU, where torch's own does not."""

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape; each map has mean 0 and variance 1, before scale and shift if affine."""
        if input.device.type != "cpu":
            return super().forward(input)
        x = (
            input.float() if input.dtype == torch.bfloat16 else input
        )  # bf16's eight bits are too few for the statistics
        centred = x - x.mean((2, 3), keepdim=True)
        scale = (centred.square().mean((2, 3), keepdim=True) + self.eps).rsqrt()
        if not self.affine:
            return (centred * scale).to(input.dtype)
        return torch.addcmul(self.bias[:, None, None], centred, scale * self.weight[:, None, None]).to(input.dtype)

"""Convolutions with faster gradients, and an instance norm that keeps channels last.

oneDNN's weight gradient runs at a third to a half of the machine's peak at the small batches of a GAN, while its
forward pass and its input gradient run near it. Written as a matrix product, the weight gradient does too.

Torch's own second derivative of a convolution in groups goes through them one by one, with several kernels each:
on a GPU most of a penalty's time. Written as maps whose derivatives are each other, all groups go at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCHES = 1 << 21  # numbers in a matrix of patches: larger ones are slow to allocate and fall out of the cache
OVERLAP = 4  # patches that hold each number more often than this (a stride of 1) cost more than they save


class Steps(NamedTuple):
    """The geometry of a convolution, (vertical, horizontal) each, and its groups."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int = 1


# Three maps, each linear in both of its arguments; the derivatives of any one are the other two, so that they can
# be differentiated any number of times:
#     y = gather(x, w)     a convolution
#     x = scatter(y, w)    a transposed convolution
#     w = match(x, y)      the weight gradient of both


_inputs_only = False


@contextlib.contextmanager
def inputs_only() -> Iterator[None]:
    """For `torch.autograd.grad` by a network's input: the weight gradients are left out.

    A custom autograd function cannot see which gradients are needed, and would compute all of them.
    """
    global _inputs_only
    before, _inputs_only = _inputs_only, True
    try:
        yield
    finally:
        _inputs_only = before


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.steps = steps
        return F.conv2d(x, weight, bias, steps.stride, steps.padding, groups=steps.groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (x, weight), (g,), needed = ctx.saved_tensors, gradients, ctx.needs_input_grad
        to_x = scatter(g, weight, None, ctx.steps, x.shape[2:]) if needed[0] else None
        to_weight = match(x, g, ctx.steps) if needed[1] and not _inputs_only else None
        return to_x, to_weight, g.sum((0, 2, 3)) if needed[2] and not _inputs_only else None, None


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, y: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps, size: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(y, weight)
        ctx.steps = steps
        sides = zip(size, y.shape[2:], *steps[:3], strict=True)
        rest = [side - ((small - 1) * stride + kernel - 2 * pad) for side, small, kernel, stride, pad in sides]
        return F.conv_transpose2d(y, weight, bias, steps.stride, steps.padding, rest, steps.groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (y, weight), (g,), needed = ctx.saved_tensors, gradients, ctx.needs_input_grad
        to_y = gather(g, weight, None, ctx.steps) if needed[0] else None
        to_weight = match(g, y, ctx.steps) if needed[1] and not _inputs_only else None
        return to_y, to_weight, g.sum((0, 2, 3)) if needed[2] and not _inputs_only else None, None, None


class _Match(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, steps: Steps) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.steps = steps
        if steps.groups > 1:
            return _matched(x, y, steps)
        (high, wide), inner, outer = steps.kernel, x.shape[1], y.shape[1]
        count = max(1, PATCHES // (inner * high * wide * y.shape[2] * y.shape[3]))  # pictures at once
        total: Tensor | None = None
        for inputs, outputs in zip(torch.split(x, count), torch.split(y, count), strict=True):
            rows = outputs.permute(0, 2, 3, 1).reshape(-1, outer).T
            part = patches(inputs, steps)
            total = rows @ part if total is None else total.addmm_(rows, part)
        assert total is not None
        return total.view(outer, high, wide, inner).permute(0, 3, 1, 2)  # channels last

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (x, y), (g,), needed = ctx.saved_tensors, gradients, ctx.needs_input_grad
        to_x = scatter(y, g, None, ctx.steps, x.shape[2:]) if needed[0] else None
        to_y = gather(x, g, None, ctx.steps) if needed[1] else None
        return to_x, to_y, None


def _matched(x: Tensor, y: Tensor, steps: Steps) -> Tensor:
    """`match` by torch's own weight gradient, of any groups."""
    weight = y.new_empty(1).expand(y.shape[1], x.shape[1] // steps.groups, *steps.kernel)  # only its shape is read
    of_weight = (False, True, False)
    backward = torch.ops.aten.convolution_backward
    geometry = (steps.stride, steps.padding, (1, 1), False, (0, 0), steps.groups)
    w: Tensor = backward(y, x, weight, None, *geometry, of_weight)[1]
    return w


# Function.apply has no types.
gather: Any = _Gather.apply
scatter: Any = _Scatter.apply
match: Any = _Match.apply


def patches(x: Tensor, steps: Steps) -> Tensor:
    """The patches of x [N, C, H, W] under the kernel (im2col): [N·positions, kernel height·kernel width·C]."""
    (high, wide), (down, right), (above, beside) = steps[:3]
    padded = F.pad(x, (beside, beside, above, above)).permute(0, 2, 3, 1)
    windows = padded.unfold(1, high, down).unfold(2, wide, right)  # [N, rows, columns, C, high, wide]
    return windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, high * wide * x.shape[1])


def _pays(x: Tensor, weight: Tensor, steps: Steps, large: Sequence[int], small: Sequence[int]) -> bool:
    """Whether the weight gradient will be wanted, and oneDNN would be the slower way to it (fp32 on a CPU)."""
    wanted = torch.is_grad_enabled() and weight.requires_grad and not torch.compiler.is_compiling()
    plain = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    return wanted and plain and prod(steps.kernel) * prod(small) <= OVERLAP * prod(large)


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` without groups or dilation, with a faster weight gradient on a CPU."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        steps = Steps(self.kernel_size, self.stride, self.padding)  # type: ignore[arg-type]
        sides = zip(input.shape[2:], *steps[:3], strict=True)
        size = [(large + 2 * pad - kernel) // stride + 1 for large, kernel, stride, pad in sides]
        if not _pays(input, weight, steps, input.shape[2:], size):
            return F.conv2d(input, weight, bias, steps.stride, steps.padding)
        y: Tensor = gather(input, weight, bias, steps)
        return y


class GroupedConv2d(nn.Conv2d):
    """`nn.Conv2d` in groups, without dilation, whose second derivative takes all groups at once."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        steps = Steps(self.kernel_size, self.stride, self.padding, self.groups)  # type: ignore[arg-type]
        learning = torch.is_grad_enabled() and (input.requires_grad or weight.requires_grad)
        if not learning or torch.compiler.is_compiling():
            return F.conv2d(input, weight, bias, steps.stride, steps.padding, groups=self.groups)
        kind = input.device.type
        if torch.is_autocast_enabled(kind):  # its derivatives are taken outside of it
            lower = torch.get_autocast_dtype(kind)
            input, weight, bias = input.to(lower), weight.to(lower), bias if bias is None else bias.to(lower)
        y: Tensor = gather(input, weight, bias, steps)
        return y


class ConvTranspose2d(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` without groups or dilation, with a faster weight gradient on a CPU."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        steps = Steps(self.kernel_size, self.stride, self.padding)  # type: ignore[arg-type]
        sides = zip(input.shape[2:], *steps[:3], self.output_padding, strict=True)
        size = [(small - 1) * stride + kernel - 2 * pad + rest for small, kernel, stride, pad, rest in sides]
        if output_size is not None or not _pays(input, self.weight, steps, size, input.shape[2:]):
            return super().forward(input, output_size)
        y: Tensor = scatter(input, self.weight, self.bias, steps, size)
        return y


class InstanceNorm2d(nn.InstanceNorm2d):
    """`nn.InstanceNorm2d`, spelled out on a CPU: torch's own leaves channels last there."""

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape; each map to mean 0 and variance 1, then scaled and shifted if affine."""
        if input.device.type != "cpu":
            return super().forward(input)
        x = input.float() if input.dtype == torch.bfloat16 else input  # statistics need more than eight bits
        centred = x - x.mean((2, 3), keepdim=True)
        scale = (centred.square().mean((2, 3), keepdim=True) + self.eps).rsqrt()
        if not self.affine:
            return (centred * scale).to(input.dtype)
        return torch.addcmul(self.bias[:, None, None], centred, scale * self.weight[:, None, None]).to(input.dtype)

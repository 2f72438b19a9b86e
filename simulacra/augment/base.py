"""Base classes of augmentations, random numbers per picture, and resampling on a grid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MODES = ("bilinear", "nearest")  # indices are torch's constants, as in BORDERS
BORDERS = ("zeros", "border", "reflection")


class Augment(nn.Module):
    """No augmentation."""

    active = True  # False: pictures pass unchanged, for now

    def due(self, before: int, nimg: int) -> bool:
        """Whether `steer` is to be called after the step that began at `before` images and ended at `nimg`."""
        return False

    def steer(self, overfit: float) -> None:
        """Adapt to D's overfitting, from 0 (it scores unseen pictures as those it learns from) to 1 (as fakes)."""

    def forward(self, images: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] -> the same shape; differentiable, any number of times."""
        return images

    def update(self, real: Tensor, fake: Tensor, *, critic: bool) -> None:
        """Adapt to D's outputs [N] on reals and [N] on fakes, after a step of D."""


class Random(Augment):
    """An augmentation with random numbers per picture, in fp32 even under autocast."""

    def forward(self, images: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] -> the same shape; differentiable, any number of times."""
        with torch.autocast(images.device.type, enabled=False):
            x = images if images.dtype == torch.float64 else images.float()
            return self.transform(x).to(images.dtype)

    def transform(self, x: Tensor) -> Tensor:
        """Augment fp32 or fp64 pictures [N, C, H, W]."""
        raise TypeError(f"{type(self).__name__} must define transform")


def uniform(x: Tensor, count: int) -> Tensor:
    """`count` uniform numbers in [0, 1) per picture of x: [count, N]."""
    return torch.rand(count, len(x), device=x.device, dtype=x.dtype)


def normal(x: Tensor, count: int) -> Tensor:
    """`count` standard normal numbers per picture of x: [count, N]."""
    return torch.randn(count, len(x), device=x.device, dtype=x.dtype)


def per_picture(values: Tensor) -> Tensor:
    """One value per picture [N] -> [N, 1, 1, 1]."""
    return values[:, None, None, None]


def offsets(x: Tensor) -> tuple[Tensor, Tensor]:
    """Offsets of the pixels' centres from the picture's centre, in pixels: to the right [W] and down [H, 1]."""
    rows, columns = (torch.arange(side, device=x.device, dtype=x.dtype) - (side - 1) / 2 for side in x.shape[2:])
    return columns, rows[:, None]


def sides(x: Tensor) -> Tensor:
    """Width and height of x, as [2, 1]."""
    return torch.cat([x.new_full((1, 1), x.shape[side]) for side in (3, 2)])


def cutout_mask(x: Tensor, centre: Tensor) -> Tensor:
    """Mask [N, 1, H, W] of a rectangle with half the picture's sides around `centre` [2, N], in units of the sides."""
    right, down = offsets(x)
    height, width = x.shape[2:]
    columns = (right - per_picture(centre[0] * width)).abs() < width / 4
    return columns & ((down - per_picture(centre[1] * height)).abs() < height / 4)


# Sampling on a grid is linear in the pictures; it and its adjoint are each other's derivatives. Torch's own function
# has a second derivative only in versions later than this package's lower bound.


class _GridSample(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Tensor, mode: int, border: int) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.options, ctx.size = (mode, border), x.shape
        return F.grid_sample(x, grid, MODES[mode], BORDERS[border], align_corners=False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return grid_sample_adjoint(gradients[0], *ctx.saved_tensors, *ctx.options, ctx.size), None, None, None


class _GridSampleAdjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, grid: Tensor, mode: int, border: int, size: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.options = (mode, border)
        # Without the gradient of the grid, torch reads only the shape of the pictures.
        pictures = y.new_empty(1).expand(size)
        back = torch.ops.aten.grid_sampler_2d_backward
        x: Tensor = back(y, pictures, grid, mode, border, False, [True, False])[0]
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return grid_sample(gradients[0], *ctx.saved_tensors, *ctx.options), None, None, None, None


# Function.apply has no types.
grid_sample: Any = _GridSample.apply
grid_sample_adjoint: Any = _GridSampleAdjoint.apply


def affine_sample(x: Tensor, matrix: Tensor, shift: Tensor, *, nearest: bool = False, reflect: bool = False) -> Tensor:
    """Resample x [N, C, H, W] at matrix · position + shift for each output position, in pixels from the centre.

    matrix: [N, 2, 2]. shift: [N, 2], right and down. Interpolation is bilinear or nearest; outside the picture is 0 or
    the picture's reflection.
    """
    right, down = offsets(x)
    positions = torch.stack([right.expand(x.shape[2:]), down.expand(x.shape[2:])], 2).view(1, -1, 2)
    unit = 2 / sides(x).T  # torch's grids span [-1, 1]
    grid = torch.baddbmm((shift * unit)[:, None], positions.expand(len(x), -1, -1), matrix.mT * unit)
    mode, border = (
        MODES.index("nearest" if nearest else "bilinear"),
        BORDERS.index("reflection" if reflect else "zeros"),
    )
    resampled: Tensor = grid_sample(x, grid.view(len(x), *x.shape[2:], 2), mode, border)
    return resampled

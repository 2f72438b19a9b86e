"""Base classes of augmentations, random numbers per picture, and resampling on a grid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MODES = ("bilinear", "nearest")  # by torch's numbers
BORDERS = ("zeros", "border", "reflection")


class Augment(nn.Module):
    """No augmentation."""

    def forward(self, images: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] -> the same shape; differentiable, any number of times."""
        return images

    def update(self, real: Tensor, fake: Tensor, *, critic: bool) -> None:
        """Adapt to D's outputs [N], [N] after a step of D."""


class Random(Augment):
    """An augmentation with random numbers per picture, in fp32 whatever the networks compute in."""

    def forward(self, images: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] -> the same shape; differentiable, any number of times."""
        with torch.autocast(images.device.type, enabled=False):
            x = images if images.dtype == torch.float64 else images.float()
            return self.augmented(x).to(images.dtype)

    def augmented(self, x: Tensor) -> Tensor:
        """The same for pictures of full precision."""
        raise TypeError(f"{type(self).__name__} must define augmented")


def uniform(x: Tensor, count: int) -> Tensor:
    """`count` numbers from [0, 1) for each picture of x: [count, N]."""
    return torch.rand(count, len(x), device=x.device, dtype=x.dtype)


def normal(x: Tensor, count: int) -> Tensor:
    """`count` standard normal numbers for each picture of x: [count, N]."""
    return torch.randn(count, len(x), device=x.device, dtype=x.dtype)


def per_picture(values: Tensor) -> Tensor:
    """One value a picture [N] -> [N, 1, 1, 1]."""
    return values[:, None, None, None]


def offsets(x: Tensor) -> tuple[Tensor, Tensor]:
    """How far the centres of pixels lie from the picture's, in pixels: right [W] and down [H, 1]."""
    rows, columns = (torch.arange(side, device=x.device, dtype=x.dtype) - (side - 1) / 2 for side in x.shape[2:])
    return columns, rows[:, None]


def sides(x: Tensor) -> Tensor:
    """Width and height of x, as [2, 1]."""
    return torch.cat([x.new_full((1, 1), x.shape[side]) for side in (3, 2)])


def hole(x: Tensor, centre: Tensor) -> Tensor:
    """Where pixels lie in the rectangle of half the picture's sides around `centre` [2, N], in sides: [N, 1, H, W]."""
    right, down = offsets(x)
    height, width = x.shape[2:]
    across, along = (
        (right - per_picture(centre[0] * width)).abs() < width / 4,
        (down - per_picture(centre[1] * height)).abs(),
    )
    return across & (along < height / 4)


# Looking up on a grid is linear in the pictures, and its derivative is its adjoint: each is the other's derivative.
# (torch's own function has a second derivative only in later versions than this package asks for.)


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Tensor, mode: int, border: int) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.how, ctx.size = (mode, border), x.shape
        return F.grid_sample(x, grid, MODES[mode], BORDERS[border], align_corners=False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return put_back(gradients[0], *ctx.saved_tensors, *ctx.how, ctx.size), None, None, None


class _PutBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, grid: Tensor, mode: int, border: int, size: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.how = (mode, border)
        # Of the pictures only the shape is read, as the grid's own gradient is not asked for.
        pictures = y.new_empty(1).expand(size)
        back = torch.ops.aten.grid_sampler_2d_backward
        x: Tensor = back(y, pictures, grid, mode, border, False, [True, False])[0]
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return looked_up(gradients[0], *ctx.saved_tensors, *ctx.how), None, None, None, None


# Function.apply has no types.
looked_up: Any = _LookUp.apply
put_back: Any = _PutBack.apply


def look_up(x: Tensor, matrix: Tensor, shift: Tensor, *, nearest: bool = False, reflect: bool = False) -> Tensor:
    """x [N, C, H, W] at matrix · position + shift for each position of the result, in pixels from the centre.

    matrix: [N, 2, 2]. shift: [N, 2], right and down. Between pixels it is bilinear, or the nearest; outside lies 0, or
    the picture's reflection.
    """
    right, down = offsets(x)
    places = torch.stack([right.expand(x.shape[2:]), down.expand(x.shape[2:])], 2).view(1, -1, 2)
    unit = 2 / sides(x).T  # of torch's grids, in which a picture has a side of 2
    grid = torch.baddbmm((shift * unit)[:, None], places.expand(len(x), -1, -1), matrix.mT * unit)
    mode, border = (
        MODES.index("nearest" if nearest else "bilinear"),
        BORDERS.index("reflection" if reflect else "zeros"),
    )
    looked: Tensor = looked_up(x, grid.view(len(x), *x.shape[2:], 2), mode, border)
    return looked

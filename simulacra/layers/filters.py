"""Resizing of pictures by the filters that prepare them, as products with fixed matrices: exact, also at the edges.

Pillow's rule: a filter as wide as a source pixel when enlarging, as wide as a target pixel when reducing, and divided by
its sum where it is cut off. Transparent pictures are resized with their colours multiplied by alpha.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Filter = Literal["lanczos", "bicubic"]
REACH = {"lanczos": 3.0, "bicubic": 2.0}
SHARPNESS = -0.5  # a of the cubic (Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981)


def resize(images: Tensor, size: tuple[int, int], by: Filter) -> Tensor:
    """Pictures [N, C, h, w] in [-1, 1] -> float32 [N, C, H, W] of `size` (H, W); neither rounded nor clamped."""
    if images.shape[1] != 4:
        return _resize(images, size, by)
    colour, alpha = images[:, :3] / 2 + 0.5, images[:, 3:] / 2 + 0.5
    alpha, colour = _resize(alpha, size, by), _resize(colour * alpha, size, by)
    colour = torch.where(alpha > 1 / 510, colour / alpha.clamp(min=1 / 510), 0)  # alpha that rounds to 0 of 255
    return torch.cat([colour, alpha], 1) * 2 - 1


def reduce(images: Tensor, factor: int = 2) -> Tensor:
    """Pictures [N, C, H, W] -> [N, C, H / factor, W / factor] by Lanczos' filter, as `prepare` reduces them."""
    return resize(images, (images.shape[2] // factor, images.shape[3] // factor), "lanczos")


def enlarge(images: Tensor, factor: int = 2) -> Tensor:
    """Pictures [N, C, H, W] -> [N, C, factor H, factor W], bicubic."""
    return resize(images, (images.shape[2] * factor, images.shape[3] * factor), "bicubic")


def _resize(images: Tensor, size: tuple[int, int], by: Filter) -> Tensor:
    rows, columns = (
        _tensor(source, target, by, images.device) for source, target in zip(images.shape[2:], size, strict=True)
    )
    with torch.autocast(images.device.type, enabled=False):  # eight bits of bf16 are too few for a picture
        return rows @ images.float() @ columns.T


@lru_cache(maxsize=64)
def _tensor(source: int, target: int, by: Filter, device: torch.device) -> Tensor:
    return torch.from_numpy(matrix(source, target, by)).float().to(device)


def matrix(source: int, target: int, by: Filter) -> NDArray[np.float64]:
    """The matrix [target, source] that resizes a row of `source` pixels; each of its rows sums to 1."""
    scale = source / target
    wide = max(1.0, scale)
    centres = (np.arange(target) + 0.5) * scale
    distance = (np.arange(source) + 0.5 - centres[:, None]) / wide
    weight = _lanczos(distance) if by == "lanczos" else _cubic(np.abs(distance))
    weight = np.where(np.abs(distance) < REACH[by], weight, 0.0)
    rows: NDArray[np.float64] = weight / weight.sum(1, keepdims=True)
    return rows


def _lanczos(x: NDArray[np.float64]) -> NDArray[np.float64]:
    windowed: NDArray[np.float64] = np.sinc(x) * np.sinc(x / 3)
    return windowed


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    a = SHARPNESS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    return np.where(x < 1, near, a * (((x - 5) * x + 8) * x - 4))

"""How alike two pictures are, pixel by pixel (L1) and in structure (SSIM; Wang, Bovik, Sheikh, Simoncelli. 2004).

    SSIM(x, y) = (2 μx μy + C1)(2 σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2)),  C1 = (0.01 L)², C2 = (0.03 L)²

in a gaussian window of 11 pixels, σ = 1.5, at every place where it fits; the mean over places and channels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # for pixels from 0 to 1


def l1(x: Tensor, y: Tensor) -> NDArray[np.float64]:
    """[N]: the mean absolute difference of pictures [N, C, H, W] in [-1, 1], on the scale of a pixel from 0 to 1."""
    values: NDArray[np.float64] = ((x.double() - y.double()).abs().mean((1, 2, 3)) / 2).cpu().numpy()
    return values


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """SSIM [N] of pictures [N, C, H, W] with pixels from 0 to 1: 1 for equal ones, about 0 for unrelated ones.

    Sides below 11 use the largest odd window that fits.
    """
    x, y = x.double(), y.double()
    window = _window(min(WINDOW, (min(x.shape[2:]) - 1) // 2 * 2 + 1)).to(x.device)
    mean_x, mean_y = _blurred(x, window), _blurred(y, window)
    var_x, var_y = _blurred(x * x, window) - mean_x**2, _blurred(y * y, window) - mean_y**2
    shared = _blurred(x * y, window) - mean_x * mean_y
    light = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return (light * (2 * shared + C2) / (var_x + var_y + C2)).mean((1, 2, 3))


def _window(size: int) -> Tensor:
    """A gaussian [size] that sums to 1."""
    places = torch.arange(size, dtype=torch.float64) - size // 2
    window = torch.exp(-(places**2) / (2 * SIGMA**2))
    return window / window.sum()


def _blurred(x: Tensor, window: Tensor) -> Tensor:
    """x [N, C, H, W] convolved with the window, without padding."""
    n, channels, height, width = x.shape
    flat = x.reshape(n * channels, 1, height, width)
    blurred = F.conv2d(F.conv2d(flat, window[None, None, :, None]), window[None, None, None, :])
    return blurred.reshape(n, channels, *blurred.shape[2:])

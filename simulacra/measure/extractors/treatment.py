"""What is done to every picture before it is compared, so that scores do not see what people do not see.

A network tells noise of one grey level from none, which nobody can see: without a treatment it ranks such pictures
below a collapsed generator. So each picture is blurred a little and gets noise of fixed strength, reals and fakes
alike. Both strengths are chosen by `benchmarks/battery.py`: the smallest of a coarse search for which noise and grids of
2/255 stay within the interval of the floor with up to 5,000 pictures, while a grid of 8/255 does not.

The noise depends on the picture's own 8-bit content alone: a picture has the same features in every set, place and
batch.
"""

from __future__ import annotations

import functools
import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

BLUR = 0.55  # standard deviation in pixels of the picture itself
NOISE = 7.0  # standard deviation in grey levels
TREATMENT = 2  # version: to be increased when it changes; 1 was none
REACH = 2  # pixels
BANK = 1 << 21  # random numbers, of which each picture takes a run


def treat(pixels: Tensor) -> Tensor:
    """Pictures [N, 3, H, W] in whole numbers of 0..255 -> the same, blurred and with noise, not rounded."""
    return blur(pixels, BLUR) + NOISE * noise(pixels)


def blur(pixels: Tensor, deviation: float, reach: int = REACH) -> Tensor:
    """A Gaussian blur of pictures [N, C, H, W]; edges are repeated."""
    weight = torch.exp(-torch.arange(-reach, reach + 1, device=pixels.device).float().square() / (2 * deviation**2))
    weight = (weight / weight.sum()).expand(pixels.shape[1], 1, -1)
    wide = F.pad(pixels, (reach,) * 4, mode="replicate")
    rows = F.conv2d(wide, weight[:, :, None], groups=pixels.shape[1])
    return F.conv2d(rows, weight[..., None], groups=pixels.shape[1])


def noise(pixels: Tensor) -> Tensor:
    """Normal noise [N, 3, H, W] that depends on each picture's content alone."""
    content = pixels.to("cpu", torch.uint8).contiguous().numpy()
    runs = np.stack([_run(zlib.crc32(picture.data), picture.size) for picture in content])
    return torch.from_numpy(runs).view(pixels.shape).to(pixels.device)


def _run(key: int, size: int) -> NDArray[np.float32]:
    start = key % BANK
    run = _bank()[start : start + size]
    return run if len(run) == size else np.take(_bank(), np.arange(start, start + size), mode="wrap")


@functools.cache
def _bank() -> NDArray[np.float32]:
    # this generator's numbers are the same in every version of NumPy
    return np.random.RandomState(2).standard_normal(BANK).astype(np.float32)

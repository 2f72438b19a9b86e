"""A picture of any size through a translator: whole where it is small enough, else in tiles whose seams are blended.

All tiles are normalised by the same statistics (norms.py), and where there is room for it neighbours overlap by more
than a pixel of the result sees of the picture: then they agree where they meet, and the result is that of the whole
picture normalised by those statistics. The statistics are measured on windows spread over the picture: at its own
scale, and together no larger than a tile. They are near the whole picture's, not the same: many small windows came
nearer than fewer large ones, and than the picture reduced to as many pixels, which is sharper than it is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simulacra.translation.norms import Statistics, given, measuring
from simulacra.translator import Side, Translator

Pixels = NDArray[np.uint8]  # [H, W, C]
Floats = NDArray[np.float32]
Span = tuple[int, int]

SIDE = 1024  # of a tile; a picture of as many pixels goes through whole
WINDOW = 64  # of what statistics are measured on
BAND = 32  # pixels over which one tile passes into the next


@torch.no_grad()
def translated(translator: Translator, pixels: Pixels, to: Side, *, side: int = SIDE) -> Pixels:
    """A picture [H, W, C] of the other domain -> the same as one of `to`, in memory that its size hardly adds to.

    side: of the largest square that the network is given, a multiple of what the network divides sides by.
    """
    if _shown(translator, *pixels.shape[:2]) <= side * side:
        return eight_bit(_through(translator, pixels, to))
    network = translator.into[to]
    with given(network, measured(translator, pixels, to, side * side)):
        shared = overlap(network, side, translator.multiple)
        return tiled(lambda tile: _through(translator, tile, to), pixels, side, shared)


def measured(translator: Translator, pixels: Pixels, to: Side, area: int) -> Statistics:
    """The statistics of each norm over windows of together at most `area` pixels."""
    with measuring(translator.into[to]) as statistics:
        translator.translate(_tensor(translator, windows(translator, pixels, area)), to)
    return statistics


def windows(translator: Translator, pixels: Pixels, area: int) -> NDArray[np.uint8]:
    """Windows [N, h, w, C] spread evenly over a picture, for which the network is shown at most `area` pixels."""
    height, width, _ = pixels.shape
    high, wide = min(height, WINDOW), min(width, WINDOW)
    count = max(1, area // _shown(translator, high, wide))
    columns = min(count, max(1, round(math.sqrt(count * (width / wide) / (height / high)))))
    places = [
        np.clip((np.arange(n) + 0.5) * length / n - part / 2, 0, length - part).astype(int)
        for n, length, part in ((count // columns, height, high), (columns, width, wide))
    ]
    return np.stack([pixels[top : top + high, left : left + wide] for top in places[0] for left in places[1]])


def reach(network: nn.Module) -> int:
    """At most how many pixels away what a pixel of the result depends on is: the sum over all convolutions."""
    jump, far = 1.0, 0.0  # pixels of the picture between neighbours in a layer
    for layer in network.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            jump /= max(layer.stride)
            far += (max(layer.kernel_size) - 1) * max(layer.dilation) * jump
        elif isinstance(layer, nn.Conv2d):
            far += max(layer.kernel_size) // 2 * max(layer.dilation) * jump
            jump *= max(layer.stride)
    return math.ceil(far)


def overlap(network: nn.Module, side: int, multiple: int) -> int:
    """Pixels that neighbouring tiles share: a band and what is seen from it at both sides, or half a tile if that is less."""
    return min(math.ceil((2 * reach(network) + BAND) / multiple), side // (2 * multiple)) * multiple


def spans(length: int, side: int, shared: int) -> list[Span]:
    """Where tiles of at most `side` begin and end that cover `length`: neighbours share `shared`, no place is in three.

    shared: at most half of `side`.
    """
    step = side - shared
    count = max(1, math.ceil((length - shared) / step))
    return [(i * step, min(i * step + side, length)) for i in range(count)]


def ramps(places: Sequence[Span], band: int = BAND) -> list[Floats]:
    """How much each tile counts at each of its pixels: one alone counts 1, and two in the same place add up to 1."""
    weights = [np.ones(end - begin, np.float32) for begin, end in places]
    for i, ((_, end), (begin, _)) in enumerate(itertools.pairwise(places)):
        wide = min(band, end - begin)
        away = (end - begin - wide) // 2
        ramp = (np.arange(wide, dtype=np.float32) + 0.5) / wide
        rising = np.concatenate([np.zeros(away), ramp, np.ones(end - begin - wide - away)]).astype(np.float32)
        weights[i][len(weights[i]) - len(rising) :], weights[i + 1][: len(rising)] = 1 - rising, rising
    return weights


def tiled(through: Callable[[Pixels], Floats], pixels: Pixels, side: int, shared: int) -> Pixels:
    """`through`, which keeps the size, for each tile, and the results blended, as 8 bits."""
    height, width, _ = pixels.shape
    if width > height:  # rows along the shorter side hold less
        return _turned(tiled(lambda tile: _turned(through(_turned(tile))), _turned(pixels), side, shared))
    whole, done = np.empty_like(pixels), 0
    for rows in blended(through, pixels, side, shared):
        whole[done : done + len(rows)] = eight_bit(rows)
        done += len(rows)
    return whole


def blended(through: Callable[[Pixels], Floats], pixels: Pixels, side: int, shared: int) -> Iterator[Floats]:
    """The rows of `tiled`, from the top, some at a time as they are finished: held is one row of tiles."""
    height, width, channels = pixels.shape
    rows, columns = spans(height, side, shared), spans(width, side, shared)
    carried = np.zeros((0, width, channels), np.float32)
    for i, ((top, bottom), down) in enumerate(zip(rows, ramps(rows), strict=True)):
        row = np.zeros((bottom - top, width, channels), np.float32)
        row[: len(carried)] = carried
        for (left, right), across in zip(columns, ramps(columns), strict=True):
            row[:, left:right] += through(pixels[top:bottom, left:right]) * (down[:, None] * across)[:, :, None]
        done = (rows[i + 1][0] if i + 1 < len(rows) else bottom) - top
        carried = row[done:].copy()
        yield row[:done]


def eight_bit(pixels: Floats) -> Pixels:
    """[-1, 1] -> 0 to 255."""
    return np.rint(pixels.clip(-1, 1) * 127.5 + 127.5).astype(np.uint8)


def _turned(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels.transpose(1, 0, 2)


def _shown(translator: Translator, height: int, width: int) -> int:
    """Pixels that the network is shown of a picture, with what it is continued by."""
    by, least = translator.multiple, translator.least
    return math.prod(math.ceil(max(length, least) / by) * by for length in (height, width))


def _tensor(translator: Translator, pixels: Pixels) -> Tensor:
    """[N, H, W, C] from 0 to 255 -> [N, C, H, W] in [-1, 1], where the weights are."""
    moved = torch.from_numpy(np.array(pixels.transpose(0, 3, 1, 2), order="C")).to(translator.device)
    return moved.float() / 127.5 - 1


def _through(translator: Translator, pixels: Pixels, to: Side) -> Floats:
    """One picture or tile [H, W, C] through the network: float32 in [-1, 1], the same size."""
    made = translator.translate(_tensor(translator, pixels[None]), to)[0].permute(1, 2, 0)
    return made.cpu().numpy()

"""Translation of a picture of any size: whole where it is small enough, else in tiles that blend into each other.

All tiles are normalised by the same statistics (norms.py). Where possible, neighbours overlap by more than a pixel of the
result depends on. Then they agree where they meet, and the result equals the whole picture's under those statistics.
The statistics are measured on windows spread over the picture, at its own scale, together no larger than a tile. They
are close to the whole picture's. Many small windows came closer than few large ones, and than the picture reduced to as
many pixels, which is sharper than the original.
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

from simulacra.translation.norms import Statistics, fixed_statistics, recorded_statistics
from simulacra.translator import Side, Translator

Pixels = NDArray[np.uint8]  # [H, W, C]
FloatPixels = NDArray[np.float32]
Span = tuple[int, int]

SIDE = 1024  # pixels of a tile; a picture of as many pixels is translated whole
WINDOW = 64  # pixels of a window that statistics are measured on
BAND = 32  # pixels over which one tile blends into the next


@torch.no_grad()
def translate_tiled(translator: Translator, pixels: Pixels, to: Side, *, side: int = SIDE) -> Pixels:
    """A picture [H, W, C] of the other domain as one of `to`; memory hardly depends on its size.

    side: pixels of the largest square for the network, a multiple of `Translator.multiple`.
    """
    if _padded_area(translator, *pixels.shape[:2]) <= side * side:
        return to_bytes(_translate(translator, pixels, to))
    network = translator.into[to]
    with fixed_statistics(network, window_statistics(translator, pixels, to, side * side)):
        shared = overlap(network, side, translator.multiple)
        return map_tiles(lambda tile: _translate(translator, tile, to), pixels, side, shared)


def window_statistics(translator: Translator, pixels: Pixels, to: Side, area: int) -> Statistics:
    """The statistics of each norm over windows of at most `area` pixels together."""
    with recorded_statistics(translator.into[to]) as statistics:
        translator.translate(_tensor(translator, windows(translator, pixels, area)), to)
    return statistics


def windows(translator: Translator, pixels: Pixels, area: int) -> NDArray[np.uint8]:
    """Windows [N, h, w, C] spread evenly over a picture, of at most `area` padded pixels together."""
    height, width, _ = pixels.shape
    high, wide = min(height, WINDOW), min(width, WINDOW)
    count = max(1, area // _padded_area(translator, high, wide))
    columns = min(count, max(1, round(math.sqrt(count * (width / wide) / (height / high)))))
    places = [
        np.clip((np.arange(n) + 0.5) * length / n - part / 2, 0, length - part).astype(int)
        for n, length, part in ((count // columns, height, high), (columns, width, wide))
    ]
    return np.stack([pixels[top : top + high, left : left + wide] for top in places[0] for left in places[1]])


def reach(network: nn.Module) -> int:
    """Radius of the receptive field in pixels, an upper bound: the sum over all convolutions."""
    jump, radius = 1.0, 0.0  # jump: pixels of the picture between neighbours in a layer
    for layer in network.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            jump /= max(layer.stride)
            radius += (max(layer.kernel_size) - 1) * max(layer.dilation) * jump
        elif isinstance(layer, nn.Conv2d):
            radius += max(layer.kernel_size) // 2 * max(layer.dilation) * jump
            jump *= max(layer.stride)
    return math.ceil(radius)


def overlap(network: nn.Module, side: int, multiple: int) -> int:
    """Pixels that neighbouring tiles share: a band and the receptive field at both sides, or half a tile if less."""
    return min(math.ceil((2 * reach(network) + BAND) / multiple), side // (2 * multiple)) * multiple


def spans(length: int, side: int, shared: int) -> list[Span]:
    """Begin and end of tiles of at most `side` that cover `length`; neighbours share `shared`, at most half of `side`.

    No position is in three tiles.
    """
    step = side - shared
    count = max(1, math.ceil((length - shared) / step))
    return [(i * step, min(i * step + side, length)) for i in range(count)]


def ramps(places: Sequence[Span], band: int = BAND) -> list[FloatPixels]:
    """Weights of each tile at its pixels: 1 where it is alone, and two at the same position add up to 1."""
    weights = [np.ones(end - begin, np.float32) for begin, end in places]
    for i, ((_, end), (begin, _)) in enumerate(itertools.pairwise(places)):
        width = min(band, end - begin)
        before = (end - begin - width) // 2
        ramp = (np.arange(width, dtype=np.float32) + 0.5) / width
        rising = np.concatenate([np.zeros(before), ramp, np.ones(end - begin - width - before)]).astype(np.float32)
        weights[i][len(weights[i]) - len(rising) :], weights[i + 1][: len(rising)] = 1 - rising, rising
    return weights


def map_tiles(function: Callable[[Pixels], FloatPixels], pixels: Pixels, side: int, shared: int) -> Pixels:
    """Apply `function`, which keeps the size, to each tile; the results are blended, as 8 bits."""
    height, width, _ = pixels.shape
    if width > height:  # rows along the shorter side take less memory
        return _transpose(
            map_tiles(lambda tile: _transpose(function(_transpose(tile))), _transpose(pixels), side, shared)
        )
    result, done = np.empty_like(pixels), 0
    for rows in blend_tiles(function, pixels, side, shared):
        result[done : done + len(rows)] = to_bytes(rows)
        done += len(rows)
    return result


def blend_tiles(
    function: Callable[[Pixels], FloatPixels], pixels: Pixels, side: int, shared: int
) -> Iterator[FloatPixels]:
    """Yield the rows of `map_tiles` from the top as they are finished; one row of tiles is in memory."""
    height, width, channels = pixels.shape
    rows, columns = spans(height, side, shared), spans(width, side, shared)
    carried = np.zeros((0, width, channels), np.float32)
    for i, ((top, bottom), down) in enumerate(zip(rows, ramps(rows), strict=True)):
        row = np.zeros((bottom - top, width, channels), np.float32)
        row[: len(carried)] = carried
        for (left, right), across in zip(columns, ramps(columns), strict=True):
            row[:, left:right] += function(pixels[top:bottom, left:right]) * (down[:, None] * across)[:, :, None]
        done = (rows[i + 1][0] if i + 1 < len(rows) else bottom) - top
        carried = row[done:].copy()
        yield row[:done]


def to_bytes(pixels: FloatPixels) -> Pixels:
    """[-1, 1] -> 0 to 255."""
    return np.rint(pixels.clip(-1, 1) * 127.5 + 127.5).astype(np.uint8)


def _transpose(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels.transpose(1, 0, 2)


def _padded_area(translator: Translator, height: int, width: int) -> int:
    """Pixels that the network sees of a picture, with its padding."""
    by, least = translator.multiple, translator.least
    return math.prod(math.ceil(max(length, least) / by) * by for length in (height, width))


def _tensor(translator: Translator, pixels: Pixels) -> Tensor:
    """[N, H, W, C] from 0 to 255 -> [N, C, H, W] in [-1, 1], on the translator's device."""
    images = torch.from_numpy(np.array(pixels.transpose(0, 3, 1, 2), order="C")).to(translator.device)
    return images.float() / 127.5 - 1


def _translate(translator: Translator, pixels: Pixels, to: Side) -> FloatPixels:
    """The translation of one picture or tile [H, W, C]: float32 in [-1, 1], the same size."""
    images = translator.translate(_tensor(translator, pixels[None]), to)
    return images[0].permute(1, 2, 0).cpu().numpy()

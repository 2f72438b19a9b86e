"""Search for the nearest training pictures, whatever small shift, mirroring, zoom, blur or brightness

A picture is compared as its central window: 26 of the 32 px of a thumbnail, in cells of 2 px, without its mean
brightness. The distance of a picture x to a training picture t is

    min over mirrorings and shifts s up to 3 px, and a:   |s(x) - t - Σ a_i t_i|² + 4 Σ a_i²,   as RMS in grey levels

with the tangents t_i of t: a shift by half a pixel in x and in y, a zoom by 5 %, a blur and a contrast of 10 % (the
tangent distance of Simard, LeCun, Denker 1993, with one unit of each counted as 2 grey levels). Candidates come from
windows with larger, overlapping cells at 9 shifts and both mirrorings, against all training pictures.

Mirrored pictures are always compared. On symmetric pictures they cost nothing: fakes and held-out pictures are searched
alike, and on Fashion-MNIST as many copies are found as without them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from simulacra.errors import SimulacraError
from simulacra.measure.distances import Floats

SIDE = 32  # of a thumbnail
REACH = 3  # pixels of a thumbnail that a copy may be shifted by
CELL = 2
COARSE_CELL, COARSE_STEP, COARSE_SHIFTS = 6, 4, (-2, 0, 2)
CANDIDATES = 200  # training pictures whose distance is minimised over all shifts
OTHERS = 50  # training pictures that the nearest one is compared with
UNITS = (0.5, 0.5, 0.8, 0.25, 0.1)  # of the tangents: px, px, px at the edge, half the variance in px², share
PENALTY = 4.0  # squared grey levels for one unit of a tangent
BLOCK = 100  # pictures searched at a time
SHIFTS = list(product((False, True), range(-REACH, REACH + 1), range(-REACH, REACH + 1)))  # mirrored, down, right


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest training picture of each of N pictures."""

    train: NDArray[np.int64]  # [N]
    distance: Floats  # [N] RMS difference in grey levels, aligned
    nearness: Floats  # [N] the distance over the mean distance to the next 50; 1 where all are equally far
    mirrored: NDArray[np.bool_]  # [N]
    shift: Floats  # [N, 2] down and right, as a share of the side


def thumbnails(batches: Iterable[Tensor]) -> Tensor:
    """Batches of pictures [n, C, H, W] in [-1, 1] -> [N, C, 32, 32] in grey levels around 0, as float16.

    Pictures count as they would be written, in 8 bits: a model is measured as its PNGs are.
    """
    levels = ((pictures.float().clamp(-1, 1) * 127.5 + 127.5).round() - 127.5 for pictures in batches)
    rows = [interpolate(pictures, (SIDE, SIDE), mode="area").half().cpu() for pictures in levels]
    if not rows:
        raise SimulacraError("measure.no_thumbnails")
    return torch.cat(rows)


def windows(pictures: Tensor, down: int = 0, right: int = 0, cell: int = CELL, step: int = CELL) -> Tensor:
    """Central windows [N, D] of thumbnails, shifted; Euclidean distances are RMS differences."""
    window = pictures[:, :, REACH + down : SIDE - REACH + down, REACH + right : SIDE - REACH + right]
    values = avg_pool2d(window, cell, step).flatten(1)
    rows: Tensor = (values - values.mean(1, keepdim=True)) / values.shape[1] ** 0.5
    return rows


def tangents(pictures: Tensor) -> Tensor:
    """[N, 5, D]: how windows of thumbnails change with shifts, zoom, blur and contrast, one unit each."""
    padded = pad(pictures, (1, 1, 1, 1), mode="replicate")
    left, right, up, down = (
        padded[:, :, 1:-1, :-2],
        padded[:, :, 1:-1, 2:],
        padded[:, :, :-2, 1:-1],
        padded[:, :, 2:, 1:-1],
    )
    x, y = (right - left) / 2, (down - up) / 2
    place = torch.linspace(-1, 1, SIDE)
    changes = (x, y, x * place + y * place[:, None], left + right + up + down - 4 * pictures, pictures)
    return torch.stack([windows(change * unit) for change, unit in zip(changes, UNITS, strict=True)], 1)


class AlignedSearch:
    """Nearest training pictures among thumbnails [M, C, 32, 32], M > 1."""

    def __init__(self, train: Tensor) -> None:
        parts = [part.float() for part in torch.split(train, 1000)]
        self.windows = torch.cat([windows(part) for part in parts])
        self.tangents = torch.cat([tangents(part).half() for part in parts])
        coarse = torch.cat([windows(part, cell=COARSE_CELL, step=COARSE_STEP) for part in parts])
        self.centre = coarse.mean(0)  # distances do not change, rounding does
        self.coarse = (coarse - self.centre).T.contiguous()
        self.coarse_norms = self.coarse.square().sum(0)

    def nearest(self, pictures: Tensor) -> Nearest:
        """The nearest training picture of each thumbnail [N, C, 32, 32]."""
        blocks = [self._block(part.float()) for part in torch.split(pictures, BLOCK)]
        train, distance, nearness, how = (torch.cat(parts).numpy() for parts in zip(*blocks, strict=True))
        ways = np.array(SHIFTS)[how]
        return Nearest(train, distance.astype(float), nearness.astype(float), ways[:, 0] > 0, ways[:, 1:] / SIDE)

    def candidates(self, pictures: Tensor) -> Tensor:
        """[N, K]: training pictures that may be the nearest."""
        best = torch.full((len(pictures), self.coarse.shape[1]), torch.inf)
        for side, down, right in product((pictures, pictures.flip(3)), COARSE_SHIFTS, COARSE_SHIFTS):
            rows = windows(side, down, right, COARSE_CELL, COARSE_STEP) - self.centre
            squares = torch.addmm(self.coarse_norms[None], rows, self.coarse, alpha=-2)
            torch.minimum(best, squares.add_(rows.square().sum(1)[:, None]), out=best)
        nearest: Tensor = best.topk(min(CANDIDATES, best.shape[1]), largest=False).indices
        return nearest

    def _block(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        train = self.candidates(pictures)
        originals = self.windows[train]  # [n, K, D]
        sides = {False: pictures, True: pictures.flip(3)}
        shifted = torch.stack([windows(sides[mirrored], *shift) for mirrored, *shift in SHIFTS], 1)  # [n, S, D]
        products = originals @ shifted.transpose(1, 2)  # [n, K, S]
        squares = shifted.square().sum(2)[:, None] + originals.square().sum(2)[..., None] - 2 * products
        least, how = squares.min(2)
        chosen = least.topk(min(OTHERS + 1, least.shape[1]), largest=False).indices
        train, how = train.gather(1, chosen), how.gather(1, chosen)
        rows = torch.arange(len(pictures))[:, None]
        distances = self._tangent_distances(shifted[rows, how] - originals[rows, chosen], train)
        first = distances.argmin(1, keepdim=True)
        distance = distances.gather(1, first)[:, 0]
        mean = (distances.sum(1) - distance) / (distances.shape[1] - 1)
        nearness = torch.where(mean > 0, distance / mean, torch.ones(()))
        return train.gather(1, first)[:, 0], distance, nearness, how.gather(1, first)[:, 0]

    def _tangent_distances(self, differences: Tensor, train: Tensor) -> Tensor:
        """[n, K] from differences [n, K, D] to the training pictures [n, K]."""
        directions = self.tangents[train].float()
        gram = directions @ directions.transpose(2, 3) + PENALTY * torch.eye(len(UNITS))
        along = directions @ differences[..., None]
        gain = (along * torch.linalg.solve(gram, along)).sum((2, 3))
        distances: Tensor = (differences.square().sum(2) - gain).clamp(min=0).sqrt()
        return distances

"""The data-copying test C_T of Meehan, Chaudhuri, Dasgupta 2020, "A Non-Parametric Test to Detect Data-Copying in
Generative Models", and the test of Mann and Whitney that it consists of.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.measure.aligned_search import Nearest
from simulacra.measure.distances import Floats
from simulacra.measure.intervals import FAKES, REALS, Resampled, counts

LEAST = 20  # fakes in a cell that counts: τ = 20 / M in the paper
PER_CELL = 50  # held-out pictures to a cell, on average
CELLS = 20  # at most
ROUNDS = 30


def mann_whitney(x: Floats, y: Floats) -> float:
    """z of Mann-Whitney's U of `x` against `y`, ties shared: negative where x is smaller, 0 where all are equal."""
    values, which, times = np.unique(np.concatenate([x, y]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[which]
    n, m = len(x), len(y)
    u = ranks[:n].sum() - n * (n + 1) / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - (times**3 - times).sum() / (total * (total - 1)))
    return float((u - n * m / 2) / variance**0.5) if len(values) > 1 else 0.0


def c_t(fake: Floats, fake_cells: NDArray[np.int64], unseen: Floats, unseen_cells: NDArray[np.int64]) -> float | None:
    """C_T from the distances to the nearest training picture, and the cells.

    The mean of the cells' Z_U, weighted by their share of unseen pictures, over cells with at least 20 fakes. None
    where no such cell holds an unseen picture.
    """
    total, weights = 0.0, 0
    for cell in np.unique(unseen_cells):
        of_fakes, of_unseen = fake[fake_cells == cell], unseen[unseen_cells == cell]
        if len(of_fakes) >= LEAST:
            total += len(of_unseen) * mann_whitney(of_fakes, of_unseen)
            weights += len(of_unseen)
    return total / weights if weights else None


def resampled_c_t(
    fake: Floats, fake_cells: NDArray[np.int64], unseen: Floats, unseen_cells: NDArray[np.int64], *, seed: int = 0
) -> Resampled | None:
    """C_T with both sets resampled."""
    value = c_t(fake, fake_cells, unseen, unseen_cells)
    if value is None:
        return None
    replicates = []
    draws = [counts(len(fake), 200, seed, FAKES), counts(len(unseen), 200, seed, REALS)]
    for of_fakes, of_unseen in zip(*draws, strict=True):
        a, b = (
            np.repeat(np.arange(len(fake)), of_fakes.astype(int)),
            np.repeat(np.arange(len(unseen)), of_unseen.astype(int)),
        )
        replicate = c_t(fake[a], fake_cells[a], unseen[b], unseen_cells[b])
        replicates.append(value if replicate is None else replicate)
    return Resampled.of(value, np.array(replicates))


def cells_of(train: Tensor, unseen: int, *, seed: int = 0) -> NDArray[np.int64]:
    """[M]: the k-means cell of each training picture [M, D]; as many cells as `unseen` pictures can judge."""
    number = max(1, min(CELLS, unseen // PER_CELL, len(train)))
    source = torch.Generator().manual_seed(seed)
    centres = train[torch.randint(len(train), (1,), generator=source)]
    while len(centres) < number:  # k-means++ (Arthur, Vassilvitskii 2007)
        nearest = torch.cdist(train, centres).amin(1).square()
        if not nearest.any():
            break
        centres = torch.cat([centres, train[torch.multinomial(nearest, 1, generator=source)]])
    cells = torch.cdist(train, centres).argmin(1)
    for _ in range(ROUNDS):
        sums = torch.zeros_like(centres).index_add_(0, cells, train)
        sizes = torch.bincount(cells, minlength=len(centres))[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp(min=1), centres)
        before, cells = cells, torch.cdist(train, centres).argmin(1)
        if torch.equal(before, cells):
            break
    array: NDArray[np.int64] = cells.numpy()
    return array


def c_t_of(train: Tensor, fakes: Nearest, unseen: Nearest) -> Resampled | None:
    """C_T in the distance of `aligned_search`. `train` [M, D]: windows of the training pictures.

    Any partition of the pictures may serve as cells. Here a picture belongs to the cell of its nearest training
    picture; that one is then also the nearest in the cell, as the test asks for.
    """
    cells = cells_of(train, len(unseen.train))
    return resampled_c_t(fakes.distance, cells[fakes.train], unseen.distance, cells[unseen.train])

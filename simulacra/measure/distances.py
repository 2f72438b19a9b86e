"""Distances between two sets of features: pure functions of float arrays [N, D], computed in float64.

`frechet`, `kid`, `neighbours` (precision, recall, density, coverage) and `diversity`. Every argument is checked: a
`SimulacraError` names the set that is not [N, D], is too small, or holds a number that is not finite.

Functions with `weights` [B, N] compute B bootstrap resamples as matrix products (see `intervals`): a row counts how
often each picture is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from simulacra.errors import SimulacraError
from simulacra.messages import Message

Floats = NDArray[np.float64]
Weights = NDArray[np.float64] | NDArray[np.float32]  # [B, N]; counts are whole numbers, exact in float32
Kernel = Callable[[Floats, Floats, Floats], Floats]  # products [n, m], squared norms [n, 1] and [1, m] -> [n, m]
BLOCK = 1 << 22  # numbers in a block of pairs: 32 MB
TILE = 1 << 11  # pictures on each side of a square block of pairs: 32 MB, too
ROUNDING = 1e-12  # a squared distance below this share of the squared norms counts as 0
TIE = 1e-9


def checked(features: NDArray[Any], name: Message | str, *, least: int = 2, like: NDArray[Any] | None = None) -> Floats:
    """`features` as float64 [N, D]. Raises `SimulacraError` for another shape, fewer than `least` rows, a width other than
    that of `like`, or NaN and infinity; `name` says in its sentence which set it is. No copy of float64 is made.
    """
    array = np.asarray(features)
    if array.ndim != 2 or not array.shape[1]:
        raise SimulacraError("measure.features_shape", name=name, shape=str(list(array.shape)))
    if len(array) < least:
        raise SimulacraError("measure.too_few", name=name, number=len(array), least=least)
    if like is not None and array.shape[1] != like.shape[1]:
        raise SimulacraError("measure.feature_widths", name=name, width=array.shape[1], other=like.shape[1])
    values = array.astype(np.float64, copy=False)
    step = max(1, BLOCK // array.shape[1])
    finite = [np.isfinite(values[start : start + step]).all(1) for start in range(0, len(values), step)]
    bad = np.flatnonzero(~np.concatenate([np.ones(0, np.bool_), *finite]))
    if len(bad):
        raise SimulacraError("measure.not_finite", name=name, bad=len(bad), number=len(array), first=int(bad[0]))
    return values


def checked_pair(real: NDArray[Any], fake: NDArray[Any], *, least: int = 2) -> tuple[Floats, Floats]:
    """Both sets as float64, checked to be of one width."""
    reals = checked(real, Message("measure.set_reals"), least=least)
    return reals, checked(fake, Message("measure.set_fakes"), least=least, like=reals)


class Moments(NamedTuple):
    """Mean [D] of a set, a root R [D, D] of its covariance Σ = R Rᵀ, and tr Σ."""

    mean: Floats
    root: Floats
    trace: float


def moments(features: Floats, weights: NDArray[Any] | None = None) -> Moments:
    """Moments of checked features [N, D]; `weights` [N], summing to N, count each row.

    Eigenvalues that are rounding are set to zero, so that the covariance of fewer pictures than dimensions has a root
    of its true rank.
    """
    n, dimensions = features.shape
    mean = (features.sum(0) if weights is None else weights @ features) / n
    centred = features - mean
    covariance = (centred if weights is None else centred * weights[:, None]).T @ centred / (n - 1)
    values, vectors = np.linalg.eigh(covariance)
    values = np.where(values > values[-1] * dimensions * np.finfo(float).eps, values, 0)
    return Moments(mean, vectors * np.sqrt(values), float(values.sum()))


def frechet_between(a: Moments, b: Moments) -> float:
    """The Fréchet distance of two Gaussians: tr (Σ₁Σ₂)^½ is the sum of the singular values of R₁ᵀR₂.

    Real whatever the ranks; a negative remainder is rounding (1e-15 of the traces) and becomes 0.
    """
    shared = float(torch.linalg.svdvals(torch.from_numpy(a.root.T @ b.root)).sum())
    return max(0.0, float(np.square(a.mean - b.mean).sum()) + a.trace + b.trace - 2 * shared)


def frechet(real: NDArray[Any], fake: NDArray[Any]) -> float:
    """‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2(Σ₁Σ₂)^½) of features [N, D] and [M, D] (Heusel et al. 2017, equation 6).

    Lower is better. Biased upwards: two sets from one source score about proportionally to 1/N + 1/M, so compare it
    with the floor at the same numbers. Works for fewer pictures than dimensions.
    """
    reals, fakes = checked_pair(real, fake)
    return frechet_between(moments(reals), moments(fakes))


def cubic(dimensions: int) -> Kernel:
    """The kernel (x·y / D + 1)³ (Bińkowski et al. 2018, section 4)."""

    def kernel(products: Floats, left: Floats, right: Floats) -> Floats:
        base = products / dimensions + 1
        return base * base * base

    return kernel


def squared(products: Floats, left: Floats, right: Floats) -> Floats:
    """‖x - y‖², exactly 0 where the two are the same up to rounding."""
    distances: Floats = left + right - 2 * products
    return np.where(distances > ROUNDING * (left + right), distances, 0)


def euclidean(products: Floats, left: Floats, right: Floats) -> Floats:
    """‖x - y‖."""
    return np.sqrt(squared(products, left, right))


def blocks(x: Floats, y: Floats, kernel: Kernel) -> Iterator[tuple[slice, Floats]]:
    """Slices of the rows of `x`, each with the kernel's values [n, len(y)] against all of `y`; 32 MB at a time."""
    left, right = _norms(x)[:, None], _norms(y)[None]
    step = max(1, BLOCK // len(y))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        yield rows, kernel(x[rows] @ y.T, left[rows], right)


def tiles(x: Floats, y: Floats, kernel: Kernel, *, upper: bool = False) -> Iterator[tuple[slice, slice, Floats]]:
    """Slices of the rows of `x` and of `y` with the kernel's values [n, m] between them; 32 MB at a time.

    upper: without the tiles below the diagonal, for a set against itself.
    """
    left, right = _norms(x)[:, None], _norms(y)[None]
    for start in range(0, len(x), TILE):
        rows = slice(start, start + TILE)
        for first in range(start if upper else 0, len(y), TILE):
            columns = slice(first, first + TILE)
            yield rows, columns, kernel(x[rows] @ y[columns].T, left[rows], right[:, columns])


def _norms(x: Floats) -> Floats:
    """[N]: the squared norms of rows."""
    norms: Floats = np.einsum("ij,ij->i", x, x)
    return norms


def mean_within(x: Floats, weights: Weights, kernel: Kernel) -> Floats:
    """[B]: the weighted mean of the kernel over pairs of different pictures of `x` [N, D], for weights [B, N].

    A picture is never paired with itself, however often it is drawn: the mean over a resample then has the
    expectation of the whole set's own mean.
    """
    total: Floats = np.zeros(len(weights))
    for rows, columns, values in tiles(x, x, kernel, upper=True):
        if rows == columns:
            np.fill_diagonal(values, 0)
        both = 1 if rows == columns else 2  # the tile and its mirror image
        total += both * ((weights[:, rows] @ values) * weights[:, columns]).sum(1)
    pairs: Floats = np.square(_sums(weights)) - np.einsum("ij,ij->i", weights, weights, dtype=np.float64)
    return total / pairs


def mean_between(x: Floats, y: Floats, x_weights: Weights, y_weights: Weights, kernel: Kernel) -> Floats:
    """[B]: the weighted mean of the kernel over all pairs of `x` [N, D] and `y` [M, D]."""
    total: Floats = np.zeros(len(x_weights))
    for rows, columns, values in tiles(x, y, kernel):
        total += ((x_weights[:, rows] @ values) * y_weights[:, columns]).sum(1)
    return total / (_sums(x_weights) * _sums(y_weights))


def _sums(weights: Weights) -> Floats:
    """[B]: the sums of rows of weights."""
    sums: Floats = weights.sum(1, dtype=np.float64)
    return sums


def mmd(real: Floats, fake: Floats, real_weights: Weights, fake_weights: Weights) -> Floats:
    """[B]: the unbiased squared MMD under the cubic kernel, for weights [B, N] and [B, M]."""
    kernel = cubic(real.shape[1])
    within = mean_within(real, real_weights, kernel) + mean_within(fake, fake_weights, kernel)
    return within - 2 * mean_between(real, fake, real_weights, fake_weights, kernel)


def kid(real: NDArray[Any], fake: NDArray[Any]) -> float:
    """The kernel distance of features [N, D], [M, D]: MMD² with (x·y/D + 1)³ over all pairs (Bińkowski et al. 2018).

    Unbiased whatever N and M, so slightly below zero for equal sources; lower is better. The kernel is not
    invariant to scale: features are used as the extractor gives them.
    """
    reals, fakes = checked_pair(real, fake)
    return float(mmd(reals, fakes, np.ones((1, len(reals))), np.ones((1, len(fakes))))[0])


def kid_subsets(
    real: NDArray[Any], fake: NDArray[Any], *, subsets: int = 100, size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """KID as papers report it: mean and standard deviation over seeded subsets of `size` (or all there are).

    The deviation is that of one subset's score: it is neither the error of the mean nor an interval.
    """
    reals, fakes = checked_pair(real, fake)
    size = min(size, len(reals), len(fakes))
    if size < 2 or subsets < 1:
        raise SimulacraError("measure.kid_subsets", subsets=subsets, size=size)
    source = np.random.default_rng([seed, 2])
    chosen = [np.zeros((subsets, n)) for n in (len(reals), len(fakes))]
    for weights in chosen:
        for row in weights:
            row[source.permutation(len(row))[:size]] = 1
    values = mmd(reals, fakes, *chosen)
    return float(values.mean()), float(values.std())


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What each picture adds to four scores; a score is the mean of its array, higher is better."""

    k: int  # the neighbours that were used
    precision: Floats  # [M] 1 where a fake lies among the reals: within the k-th neighbour distance of a real
    recall: Floats  # [N] 1 where a real lies among the fakes
    density: Floats  # [M] how many of the reals' balls hold a fake, over k: near 1 for equal sources, can exceed 1
    coverage: Floats  # [N] 1 where a real's ball holds a fake


def radii(x: Floats, k: int) -> Floats:
    """[N]: the squared distance of each row to its k-th nearest other row, slightly enlarged so that a tie is inside."""
    distances = np.empty(len(x))
    for rows, values in blocks(x, x, squared):
        values[np.arange(len(values)), np.arange(len(x))[rows]] = np.inf
        distances[rows] = np.partition(values, k - 1, axis=1)[:, k - 1]
    return distances * (1 + TIE)


def neighbours(real: NDArray[Any], fake: NDArray[Any], *, k: int = 5) -> Neighbours:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020) by k-th neighbours.

    k = 5 for all four, as Naeem et al. evaluate them; it shrinks to what the smaller set has. Balls are closed
    and no picture is its own neighbour. Memory stays below 200 MB at 10,000 against 10,000.
    """
    reals, fakes = checked_pair(real, fake)
    if k < 1:
        raise SimulacraError("measure.neighbour_count", k=k)
    centre = reals.mean(0)  # distances do not change, rounding does
    reals, fakes, k = reals - centre, fakes - centre, min(k, len(reals) - 1, len(fakes) - 1)
    real_radii, fake_radii = radii(reals, k), radii(fakes, k)
    inside, covered, recalled = np.zeros(len(fakes)), np.zeros(len(reals)), np.zeros(len(reals))
    for rows, distances in blocks(reals, fakes, squared):
        in_ball = distances <= real_radii[rows, None]
        inside += in_ball.sum(0)
        covered[rows] = in_ball.any(1)
        recalled[rows] = (distances <= fake_radii).any(1)
    return Neighbours(k, (inside > 0).astype(np.float64), recalled, inside / k, covered)


def diversity(features: NDArray[Any], name: Message | None = None) -> float:
    """The mean distance ‖x - y‖ between two different pictures of a set [N, D]: near 0 for a collapsed generator."""
    values = checked(features, name or Message("measure.set_pictures"))
    return float(mean_within(values - values.mean(0), np.ones((1, len(values))), euclidean)[0])


def diversity_ratio(real: NDArray[Any], fake: NDArray[Any]) -> float:
    """The fakes' diversity over the reals': 1 is as varied as the data, 0 is one picture.

    Raises `SimulacraError` where all reals are the same picture.
    """
    checked_pair(real, fake)
    among_reals = diversity(real, Message("measure.set_reals"))
    if not among_reals:
        raise SimulacraError("measure.no_diversity")
    return diversity(fake, Message("measure.set_fakes")) / among_reals


def spread(features: NDArray[Any]) -> float:
    """The mean squared distance between two different pictures of a set [N, D], 2 tr Σ: the extractor's unit."""
    values = checked(features, Message("measure.set_pictures"))
    return 2 * float(values.var(axis=0, ddof=1).sum())

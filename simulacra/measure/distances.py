"""Scores of one set of features against another: pure functions of float arrays [N, D], counted in float64.

`frechet`, `kid`, `neighbours` (precision, recall, density, coverage) and `diversity`. Every argument is checked:
a `SimulacraError` names the set that is not [N, D], is too small, or holds a number that is not finite.

Scores that can be resampled take weights: a row of `weights` [B, N] counts how often each picture is taken, so
that a whole bootstrap is matrix products (`simulacra/measure/intervals.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from simulacra.errors import SimulacraError

Floats = NDArray[np.float64]
Kernel = Callable[[Floats, Floats, Floats], Floats]  # products [n, m], squared norms [n, 1] and [1, m]
AT_ONCE = 1 << 22  # numbers of a block of pairs: 32 MB
ROUNDING = 1e-12  # a squared distance below this share of the squared norms is rounding: the two are the same
TIE = 1e-9


def checked(features: NDArray[Any], name: str, *, least: int = 2, like: NDArray[Any] | None = None) -> Floats:
    """`features` as float64 [N, D]. SimulacraError if not, with fewer than `least` rows, or not as wide as `like`."""
    found = np.asarray(features)
    if found.ndim != 2 or not found.shape[1]:
        raise SimulacraError(f"Features of the {name} must be [N, D]; these are {list(found.shape)}.")
    if len(found) < least:
        raise SimulacraError(f"There are {len(found)} {name} and a score needs at least {least}: give more pictures.")
    if like is not None and found.shape[1] != like.shape[1]:
        raise SimulacraError(
            f"Features of the {name} have {found.shape[1]} numbers each and the others {like.shape[1]}: "
            "take both from the same layer."
        )
    taken = found.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(taken).all(1))
    if len(bad):
        raise SimulacraError(
            f"{len(bad)} of the {len(found)} {name} have features that are not finite (the first is number {bad[0]}): "
            "the pictures, or the generator's weights, hold NaN or infinity."
        )
    return taken


def pair(real: NDArray[Any], fake: NDArray[Any], *, least: int = 2) -> tuple[Floats, Floats]:
    """Both sets, checked and of one width."""
    reals = checked(real, "reals", least=least)
    return reals, checked(fake, "fakes", least=least, like=reals)


class Moments(NamedTuple):
    """Mean [D] of a set, a root R [D, D] of its covariance Σ = R Rᵀ, and tr Σ."""

    mean: Floats
    root: Floats
    trace: float


def moments(features: Floats, weights: Floats | None = None) -> Moments:
    """Moments of checked features [N, D]; `weights` [N], summing to N, count each row.

    Eigenvalues that are rounding are set to zero, so that a covariance of fewer pictures than dimensions has a
    root of its true rank.
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

    Real whatever the ranks; what remains below zero is rounding (1e-15 of the traces) and becomes 0.
    """
    shared = float(torch.linalg.svdvals(torch.from_numpy(a.root.T @ b.root)).sum())
    return max(0.0, float(np.square(a.mean - b.mean).sum()) + a.trace + b.trace - 2 * shared)


def frechet(real: NDArray[Any], fake: NDArray[Any]) -> float:
    """‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2(Σ₁Σ₂)^½) of features [N, D] and [M, D] (Heusel et al. 2017, equation 6).

    Lower is better. Biased upwards: two sets from one source score about proportionally to 1/N + 1/M, so it means
    something only beside the floor at the same numbers. Works for fewer pictures than dimensions.
    """
    reals, fakes = pair(real, fake)
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
    """Slices of x's rows with the kernel's values [n, len(y)] of those rows against all of `y`, 32 MB at a time."""
    left, right = np.square(x).sum(1)[:, None], np.square(y).sum(1)[None]
    step = max(1, AT_ONCE // len(y))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        yield rows, kernel(x[rows] @ y.T, left[rows], right)


def mean_within(x: Floats, weights: Floats, kernel: Kernel) -> Floats:
    """[B]: the weighted mean of the kernel over pairs of different pictures of `x` [N, D], for weights [B, N].

    A picture is never paired with itself, however often it is taken: the mean over a resample then has the
    expectation of the whole set's own mean.
    """
    total: Floats = np.zeros(len(weights))
    for rows, values in blocks(x, x, kernel):
        values[np.arange(len(values)), np.arange(len(x))[rows]] = 0
        total += ((weights @ values.T) * weights[:, rows]).sum(1)
    pairs: Floats = np.square(weights.sum(1)) - np.square(weights).sum(1)
    return total / pairs


def mean_between(x: Floats, y: Floats, x_weights: Floats, y_weights: Floats, kernel: Kernel) -> Floats:
    """[B]: the weighted mean of the kernel over all pairs of `x` [N, D] and `y` [M, D]."""
    total: Floats = np.zeros(len(x_weights))
    for rows, values in blocks(x, y, kernel):
        total += ((y_weights @ values.T) * x_weights[:, rows]).sum(1)
    pairs: Floats = x_weights.sum(1) * y_weights.sum(1)
    return total / pairs


def mmd(real: Floats, fake: Floats, real_weights: Floats, fake_weights: Floats) -> Floats:
    """[B]: the unbiased squared MMD under the cubic kernel, for weights [B, N] and [B, M]."""
    kernel = cubic(real.shape[1])
    within = mean_within(real, real_weights, kernel) + mean_within(fake, fake_weights, kernel)
    return within - 2 * mean_between(real, fake, real_weights, fake_weights, kernel)


def kid(real: NDArray[Any], fake: NDArray[Any]) -> float:
    """The kernel distance of features [N, D], [M, D]: MMD² with (x·y/D + 1)³ over all pairs (Bińkowski et al. 2018).

    Unbiased whatever N and M, so slightly below zero for equal sources; lower is better. The kernel is not
    invariant to scale: features are taken as the extractor gives them.
    """
    reals, fakes = pair(real, fake)
    return float(mmd(reals, fakes, np.ones((1, len(reals))), np.ones((1, len(fakes))))[0])


def kid_subsets(
    real: NDArray[Any], fake: NDArray[Any], *, subsets: int = 100, size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """KID as papers report it: mean and standard deviation over seeded subsets of `size` (or all there are).

    The deviation is that of one subset's score: it is neither the error of the mean nor an interval.
    """
    reals, fakes = pair(real, fake)
    size = min(size, len(reals), len(fakes))
    if size < 2 or subsets < 1:
        raise SimulacraError(f"KID over {subsets} subsets of {size} cannot be had: at least 1 subset of 2.")
    source = np.random.default_rng([seed, 2])
    chosen = [np.zeros((subsets, n)) for n in (len(reals), len(fakes))]
    for weights in chosen:
        for row in weights:
            row[source.permutation(len(row))[:size]] = 1
    values = mmd(reals, fakes, *chosen)
    return float(values.mean()), float(values.std())


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What each picture adds to the four scores; a score is the mean of its array, higher is better."""

    k: int  # the neighbours that were used
    precision: Floats  # [M] 1 where a fake lies among the reals: within some real's k-th neighbour distance
    recall: Floats  # [N] 1 where a real lies among the fakes
    density: Floats  # [M] how many of the reals' balls hold a fake, over k: near 1 for equal sources, can exceed 1
    coverage: Floats  # [N] 1 where a real's ball holds some fake


def radii(x: Floats, k: int) -> Floats:
    """[N]: the squared distance of each row to its k-th nearest other row, a hair more so that a tie is inside."""
    found = np.empty(len(x))
    for rows, values in blocks(x, x, squared):
        values[np.arange(len(values)), np.arange(len(x))[rows]] = np.inf
        found[rows] = np.partition(values, k - 1, axis=1)[:, k - 1]
    return found * (1 + TIE)


def neighbours(real: NDArray[Any], fake: NDArray[Any], *, k: int = 5) -> Neighbours:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020) by k-th neighbours.

    k = 5 for all four, as Naeem et al. evaluate them; it shrinks to what the smaller set has. Balls are closed
    and no picture is its own neighbour. Memory stays below 200 MB at 10,000 against 10,000.
    """
    reals, fakes = pair(real, fake)
    if k < 1:
        raise SimulacraError(f"k is {k}; a picture needs at least 1 neighbour.")
    centre = reals.mean(0)  # distances do not change, rounding does
    reals, fakes, k = reals - centre, fakes - centre, min(k, len(reals) - 1, len(fakes) - 1)
    real_radii, fake_radii = radii(reals, k), radii(fakes, k)
    inside, covered, recalled = np.zeros(len(fakes)), np.zeros(len(reals)), np.zeros(len(reals))
    for rows, distances in blocks(reals, fakes, squared):
        held = distances <= real_radii[rows, None]
        inside += held.sum(0)
        covered[rows] = held.any(1)
        recalled[rows] = (distances <= fake_radii).any(1)
    return Neighbours(k, (inside > 0).astype(np.float64), recalled, inside / k, covered)


def diversity(features: NDArray[Any], name: str = "pictures") -> float:
    """The mean distance ‖x - y‖ between two different pictures of a set [N, D]: near 0 for a collapsed generator."""
    taken = checked(features, name)
    return float(mean_within(taken - taken.mean(0), np.ones((1, len(taken))), euclidean)[0])


def diversity_ratio(real: NDArray[Any], fake: NDArray[Any]) -> float:
    """The fakes' diversity over the reals': 1 is as varied as the data, 0 is one picture.

    SimulacraError where all reals are the same picture.
    """
    pair(real, fake)
    among_reals = diversity(real, "reals")
    if not among_reals:
        raise SimulacraError("All reals have the same features, so there is no diversity to compare with.")
    return diversity(fake, "fakes") / among_reals


def spread(features: NDArray[Any]) -> float:
    """The mean squared distance between two different pictures of a set [N, D], 2 tr Σ: the extractor's unit."""
    taken = checked(features, "pictures")
    return 2 * float(taken.var(axis=0, ddof=1).sum())

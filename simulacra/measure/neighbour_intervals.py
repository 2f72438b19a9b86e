"""Intervals of precision, recall, density and coverage: their resamples are halves of the sets, drawn without repeats."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.measure.distances import TIE, Floats, blocks, checked_pair, neighbours, squared
from simulacra.measure.intervals import FAKES, REALS, RESAMPLES, Resampled


def resampled_neighbours(
    real: NDArray[Any], fake: NDArray[Any], *, k: int = 5, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Resampled]:
    """ "precision", "recall", "density" and "coverage" of features [N, D], [M, D]; values are those of `neighbours`.

    A resample is half of the reals and half of the fakes, drawn without repeats: a picture drawn twice would be its own
    neighbour. Half a set varies around the whole by as much as the whole varies around the population. The interval
    covers the score expected at this N and M.
    """
    reals, fakes = checked_pair(real, fake)
    whole = neighbours(reals, fakes, k=k)
    real_halves, fake_halves = halves(len(reals), resamples, seed, REALS), halves(len(fakes), resamples, seed, FAKES)
    centre = reals.mean(0)
    holding, covered = _in_balls(reals - centre, fakes - centre, real_halves, fake_halves, whole.k)
    recalled, _ = _in_balls(fakes - centre, reals - centre, fake_halves, real_halves, whole.k)

    def mean(values: NDArray[Any], chosen: NDArray[np.bool_]) -> Floats:
        means: Floats = (values * chosen).sum(1) / chosen.sum(1)
        return means

    return {
        "precision": Resampled.of(
            float(whole.precision.mean()), mean(holding > 0, fake_halves), least=0.0, share_of=len(fakes)
        ),
        "recall": Resampled.of(
            float(whole.recall.mean()), mean(recalled > 0, real_halves), least=0.0, share_of=len(reals)
        ),
        "density": Resampled.of(float(whole.density.mean()), mean(holding, fake_halves) / whole.k, least=0.0),
        "coverage": Resampled.of(
            float(whole.coverage.mean()), mean(covered, real_halves), least=0.0, share_of=len(reals)
        ),
    }


def halves(n: int, resamples: int, seed: int, side: int) -> NDArray[np.bool_]:
    """[B, n]: the half of `n` pictures that is drawn, at least two."""
    source = np.random.default_rng([seed, side, 1])
    chosen = np.empty((resamples, n), np.bool_)
    for row in chosen:
        row[:] = source.permutation(n) < max(n // 2, min(n, 2))
    return chosen


def _in_balls(
    centres: Floats, points: Floats, own: NDArray[np.bool_], others: NDArray[np.bool_], k: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Balls of drawn centres around each point [B, M]; whether the ball of each drawn centre has a drawn point [B, N].

    A ball reaches to the k-th neighbour that is drawn. With a chance of 1 - 1e-6 that is one of the 8 k nearest, so only
    pairs nearer than those are examined in each resample.
    """
    near = min(8 * k, len(centres) - 1)
    reach: Floats = np.empty((len(own), len(centres)))
    farthest: Floats = np.empty(len(centres))
    for rows, values in blocks(centres, centres, squared):
        values[np.arange(len(values)), np.arange(len(centres))[rows]] = np.inf
        nearest = np.argpartition(values, near - 1, axis=1)[:, :near]
        nearest = np.take_along_axis(nearest, np.take_along_axis(values, nearest, 1).argsort(1), 1)
        distances = np.take_along_axis(values, nearest, 1)
        farthest[rows] = distances[:, -1]
        for in_half, radius in zip(own, reach, strict=True):
            enough = np.cumsum(in_half[nearest], axis=1) >= k
            enough[:, -1] = True
            radius[rows] = distances[np.arange(len(nearest)), enough.argmax(1)]
    holding = np.zeros((len(own), len(points)), np.int32)
    covered = np.zeros((len(own), len(centres)), np.bool_)
    for rows, values in blocks(centres, points, squared):
        centre, point = np.nonzero(values <= farthest[rows, None] * (1 + TIE))
        distance = values[centre, point]
        centre += rows.start
        for b, radius in enumerate(reach):
            inside = (distance <= radius[centre] * (1 + TIE)) & own[b, centre]
            holding[b] += np.bincount(point[inside], minlength=len(points)).astype(np.int32)
            covered[b, centre[inside & others[b, point]]] = True
    return holding, covered

"""How sure a score is: seeded bootstrap intervals, of one score and of the difference of two.

    score = resampled_frechet(real, fake)                        a `Resampled`
    score.interval()                                             an `Interval`: value, low, high
    score.minus(resampled_frechet(real, other)).interval()       the difference of two models

Pictures are drawn with replacement as counts (a row of weights a resample), which depend on the seed, the set's
size and on which side it stands, and on nothing else. So two models scored with one seed against the same reals
are resampled together, real for real and, if their fakes have the same seeds, fake for fake: their difference is
known better than either score.

What an interval covers. A resample repeats pictures, so a biased score rises in it by about as much as it already
exceeds its value at infinite N. An interval of the resampled scores themselves would lie above the score (it covers
less than 5 % of the time where the bias is large); here they are moved so that their mean is the score's own value.
The interval then covers the expected score AT THIS NUMBER OF PICTURES, for which alone a score can be compared, not
the value of infinitely many (Chong & Forsyth 2020: the bias goes with 1/N and differs from model to model). For the
unbiased scores (KID, diversity, a mean) both are the same. Close to its floor a score's interval is wider than need
be, up to twice: the bootstrap counts the noise of the set anew on top of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulacra.errors import SimulacraError
from simulacra.measure.distances import (
    TIE,
    Floats,
    blocks,
    checked,
    euclidean,
    frechet_between,
    mean_within,
    mmd,
    moments,
    neighbours,
    pair,
    squared,
)

RESAMPLES = 200
REALS, FAKES = 0, 1  # which side a set stands on: its stream of random numbers


@dataclass(frozen=True)
class Interval:
    """A score and the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Resampled:
    """A score and what it is on resampled pictures, number b of every score of one seed on the same draw."""

    value: float
    replicates: Floats  # [B], recentred: their mean is the value
    bias: float = 0.0  # how far the resampled scores lay above the value: about the score's own bias, if anything less
    least: float = -np.inf  # the score cannot be below
    share_of: int = 0  # where the score is a share: of how many pictures

    @classmethod
    def of(cls, value: float, drawn: Floats, *, least: float = -np.inf, share_of: int = 0) -> Resampled:
        """From the scores `drawn` [B] of the resamples as they came."""
        bias = float(drawn.mean()) - value
        return cls(value, drawn - bias, bias, least, share_of)

    def interval(self, level: float = 0.95) -> Interval:
        """The interval that covers the score expected at this number of pictures, `level` of the time.

        By quantiles; a normal one of the same deviation where the resamples are too few for such quantiles; a share's
        is Wilson's for as many independent pictures as would give that deviation, sound also where all or none count.
        """
        if not 0 < level < 1:
            raise SimulacraError(f"The level of an interval is {level}; it must be between 0 and 1.")
        if self.share_of:
            known = self.value * (1 - self.value) / max(float(self.replicates.var()), 1e-12)
            return wilson(self.value, min(known, self.share_of) or self.share_of, level=level)
        ends = [(1 - level) / 2, (1 + level) / 2]
        if len(self.replicates) * ends[0] >= 2:
            low, high = np.quantile(self.replicates, ends)
        else:
            low, high = (self.value + NormalDist().inv_cdf(end) * self.replicates.std() for end in ends)
        return Interval(self.value, max(self.least, float(low)), max(self.least, float(high)))

    def minus(self, other: Resampled) -> Resampled:
        """The difference of two scores made with the same seed and number of resamples."""
        if len(self.replicates) != len(other.replicates):
            raise SimulacraError("Two scores can only be compared when both were resampled equally often.")
        return Resampled(self.value - other.value, self.replicates - other.replicates, self.bias - other.bias)


def counts(n: int, resamples: int, seed: int, side: int) -> Floats:
    """[B, n]: how often each of `n` pictures is drawn, each row summing to n and holding two different pictures."""
    source = np.random.default_rng([seed, side])
    drawn = source.multinomial(n, np.full(n, 1 / n), size=resamples)
    while n > 1 and len(alike := np.flatnonzero((drawn == n).any(1))):
        drawn[alike] = source.multinomial(n, np.full(n, 1 / n), size=len(alike))
    return drawn.astype(np.float64)


def resampled_mean(values: NDArray[Any], *, side: int = FAKES, seed: int = 0, resamples: int = RESAMPLES) -> Resampled:
    """The mean of values [N], one a picture. `side`: whether they are the fakes' or the reals'.

    For values that depend on nothing but their own picture; not for precision and its like, see
    `resampled_neighbours`.
    """
    taken = checked(np.asarray(values)[:, None], "values", least=1)[:, 0]
    drawn = counts(len(taken), resamples, seed, side) @ taken / len(taken)
    return Resampled.of(float(taken.mean()), drawn)


def share(hits: NDArray[Any], *, level: float = 0.95) -> Interval:
    """The share of `hits` [N] (0 or 1) that are 1, with Wilson's interval (1927): sound also at 0 of 10 or 10 of 10."""
    taken = np.asarray(hits, dtype=np.float64)
    if not taken.size:
        raise SimulacraError("There is no picture to take a share of.")
    return wilson(float(taken.mean()), len(taken), level=level)


def resampled_frechet(
    real: NDArray[Any], fake: NDArray[Any], *, seed: int = 0, resamples: int = RESAMPLES
) -> Resampled:
    """The Fréchet distance of features [N, D], [M, D], both sets resampled.

    The interval covers the expected score at this N and M; `bias` is about what the score would lose with
    infinitely many pictures, and too little where N is not many times D. Costs two eigendecompositions a resample:
    about 2 s for 200 at D = 112, minutes at D = 1280.
    """
    reals, fakes = pair(real, fake)
    drawn = np.empty(resamples)
    weights = zip(counts(len(reals), resamples, seed, REALS), counts(len(fakes), resamples, seed, FAKES), strict=True)
    for index, (of_reals, of_fakes) in enumerate(weights):
        drawn[index] = frechet_between(moments(reals, of_reals), moments(fakes, of_fakes))
    return Resampled.of(frechet_between(moments(reals), moments(fakes)), drawn, least=0.0)


def resampled_kid(real: NDArray[Any], fake: NDArray[Any], *, seed: int = 0, resamples: int = RESAMPLES) -> Resampled:
    """KID of features [N, D], [M, D] over all pairs, both sets resampled; its value is `distances.kid`.

    Two copies of one picture are never a pair, so the resampled scores stay unbiased; the interval covers the
    score of infinitely many pictures.
    """
    reals, fakes = pair(real, fake)
    values = mmd(
        reals, fakes, _with_all(len(reals), resamples, seed, REALS), _with_all(len(fakes), resamples, seed, FAKES)
    )
    return Resampled.of(float(values[0]), values[1:])


def resampled_neighbours(
    real: NDArray[Any], fake: NDArray[Any], *, k: int = 5, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Resampled]:
    """ "precision", "recall", "density" and "coverage" of features [N, D], [M, D]; values are those of `neighbours`.

    Each resample is a half of the reals and a half of the fakes, drawn without repeats: a picture drawn twice would be
    its own neighbour. Half a set varies around the whole by as much as the whole does around all there is. The interval
    covers the score expected at this N and M.
    """
    reals, fakes = pair(real, fake)
    whole = neighbours(reals, fakes, k=k)
    real_halves, fake_halves = halves(len(reals), resamples, seed, REALS), halves(len(fakes), resamples, seed, FAKES)
    centre = reals.mean(0)
    holding, covered = _held(reals - centre, fakes - centre, real_halves, fake_halves, whole.k)
    recalled, _ = _held(fakes - centre, reals - centre, fake_halves, real_halves, whole.k)

    def mean(values: NDArray[Any], chosen: NDArray[np.bool_]) -> Floats:
        found: Floats = (values * chosen).sum(1) / chosen.sum(1)
        return found

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
    """[B, n]: which half of `n` pictures is drawn, at least two."""
    source = np.random.default_rng([seed, side, 1])
    order = source.permuted(np.tile(np.arange(n), (resamples, 1)), axis=1)
    return order < max(n // 2, min(n, 2))


def _held(
    centres: Floats, points: Floats, own: NDArray[np.bool_], others: NDArray[np.bool_], k: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """How many drawn centres' balls hold each point [B, M], and whether each drawn centre's holds a drawn point [B, N].

    A ball reaches to the k-th neighbour that is drawn. That one is all but surely (1 - 1e-6) among the 8 k nearest, so
    only pairs nearer than those are looked at for each resample.
    """
    near = min(8 * k, len(centres) - 1)
    reach: Floats = np.empty((len(own), len(centres)))
    farthest: Floats = np.empty(len(centres))
    for rows, values in blocks(centres, centres, squared):
        values[np.arange(len(values)), np.arange(len(centres))[rows]] = np.inf
        who = np.argpartition(values, near - 1, axis=1)[:, :near]
        who = np.take_along_axis(who, np.take_along_axis(values, who, 1).argsort(1), 1)
        distances = np.take_along_axis(values, who, 1)
        farthest[rows] = distances[:, -1]
        for drawn, radius in zip(own, reach, strict=True):
            there = np.cumsum(drawn[who], axis=1) >= k
            there[:, -1] = True
            radius[rows] = distances[np.arange(len(who)), there.argmax(1)]
    holding = np.zeros((len(own), len(points)), np.int32)
    covered = np.zeros((len(own), len(centres)), np.bool_)
    for rows, values in blocks(centres, points, squared):
        centre, point = np.nonzero(values <= farthest[rows, None] * (1 + TIE))
        distance = values[centre, point]
        centre += rows.start
        for b, radius in enumerate(reach):
            held = (distance <= radius[centre] * (1 + TIE)) & own[b, centre]
            holding[b] += np.bincount(point[held], minlength=len(points)).astype(np.int32)
            covered[b, centre[held & others[b, point]]] = True
    return holding, covered


def resampled_diversity(
    features: NDArray[Any], *, side: int = FAKES, seed: int = 0, resamples: int = RESAMPLES
) -> Resampled:
    """The mean distance between two pictures of a set [N, D], resampled; its value is `distances.diversity`."""
    values = _diversities(checked(features, "pictures"), side, seed, resamples)
    return Resampled.of(float(values[0]), values[1:], least=0.0)


def resampled_diversity_ratio(
    real: NDArray[Any], fake: NDArray[Any], *, seed: int = 0, resamples: int = RESAMPLES
) -> Resampled:
    """The fakes' diversity over the reals', both resampled; its value is `distances.diversity_ratio`."""
    reals, fakes = pair(real, fake)
    below = _diversities(reals, REALS, seed, resamples)
    if not below.all():
        raise SimulacraError("The reals are so alike that their diversity is 0: there is nothing to compare with.")
    values = _diversities(fakes, FAKES, seed, resamples) / below
    return Resampled.of(float(values[0]), values[1:], least=0.0)


class Floor(NamedTuple):
    """What a score is between reals and reals: the mean over some splits into two halves of `n` pictures each."""

    value: float
    n: int


def floor(
    score: Callable[[Floats, Floats], float], real: NDArray[Any], *, splits: int = 3, seed: int = 0
) -> Floor | None:
    """`score` (say `frechet`) of one half of the reals [N, D] against the other; None with fewer than 4.

    A generator can hardly score better with as many pictures. A biased score of N reals against M fakes has the
    lower floor the more pictures it has: FD's goes with 1/N + 1/M, here 4/N.
    """
    reals = checked(real, "reals", least=0)
    half = len(reals) // 2
    if half < 2:
        return None
    source = np.random.default_rng([seed, 3])
    found = []
    for _ in range(splits):
        order = source.permutation(len(reals))
        found.append(score(reals[order[:half]], reals[order[half : 2 * half]]))
    return Floor(float(np.mean(found)), half)


def wilson(rate: float, n: float, *, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share `rate` among `n`."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * float(np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)))
    return Interval(rate, middle - reach if rate > 0 else 0.0, middle + reach if rate < 1 else 1.0)


def _with_all(n: int, resamples: int, seed: int, side: int) -> Floats:
    """The whole set once, then its resamples [1 + B, n]."""
    return np.concatenate([np.ones((1, n)), counts(n, resamples, seed, side)])


def _diversities(taken: Floats, side: int, seed: int, resamples: int) -> Floats:
    return mean_within(taken - taken.mean(0), _with_all(len(taken), resamples, seed, side), euclidean)

"""Bootstrap intervals, seeded: of one score and of the difference of two.

    score = resampled_frechet(real, fake)                        a `Resampled`
    score.interval()                                             an `Interval`: value, low, high
    score.minus(resampled_frechet(real, other)).interval()       the difference of two models

Pictures are drawn with replacement as counts: a row of weights is a resample. The counts depend on the seed, the size
of the set and its side (reals or fakes) alone. So two models scored with one seed against the same reals are resampled
together, real for real and, if their fakes have the same seeds, fake for fake: their difference is known better than
either score.

What an interval covers. A resample repeats pictures, so a biased score rises in it by about its own bias. An interval
of the resampled scores themselves would lie above the score (it covers less than 5 % of the time where the bias is
large); here they are moved so that their mean is the score's own value. The interval then covers the expected score AT
THIS NUMBER OF PICTURES, the only number at which scores can be compared, and not the value of infinitely many (Chong &
Forsyth 2020: the bias goes with 1/N and differs from model to model). For unbiased scores (KID, diversity, a mean) both
are the same. Close to its floor a score's interval is up to twice as wide as need be: the bootstrap adds the set's
noise once more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulacra.errors import SimulacraError
from simulacra.measure.distances import (
    Floats,
    checked,
    checked_pair,
    euclidean,
    frechet_between,
    mean_within,
    mmd,
    moments,
)
from simulacra.messages import Message

RESAMPLES = 200
IN_MEMORY = 1 << 24  # numbers of a copied set: 128 MB
FEWEST = 2  # replicates beyond an end of an interval from quantiles
REALS, FAKES = 0, 1  # the side of a set: its stream of random numbers


@dataclass(frozen=True)
class Interval:
    """A score and the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Resampled:
    """A score with its values on resampled pictures; replicate b of all scores with one seed is on the same draw."""

    value: float
    replicates: Floats  # [B], recentred: their mean is the value
    bias: float = 0.0  # how far the resampled scores lay above the value: about the score's own bias, or less
    least: float = -np.inf  # the lowest possible score
    share_of: int = 0  # number of pictures the score is a share of; 0: not a share

    @classmethod
    def of(cls, value: float, replicates: Floats, *, least: float = -np.inf, share_of: int = 0) -> Resampled:
        """From the scores `replicates` [B] of the resamples, not recentred."""
        bias = float(replicates.mean()) - value
        return cls(value, replicates - bias, bias, least, share_of)

    def interval(self, level: float = 0.95) -> Interval:
        """The interval that covers the score expected at this number of pictures, `level` of the time.

        From quantiles; from a normal distribution of the same deviation where the resamples are too few for quantiles.
        For a share: Wilson's for the number of independent pictures with that deviation, sound at 0 and 1, too.
        """
        if not 0 < level < 1:
            raise SimulacraError("measure.level", level=level)
        if self.share_of:
            independent = self.value * (1 - self.value) / max(float(self.replicates.var()), 1e-12)
            return wilson(self.value, min(independent, self.share_of) or self.share_of, level=level)
        ends = [(1 - level) / 2, (1 + level) / 2]
        if len(self.replicates) * ends[0] >= FEWEST:
            low, high = np.quantile(self.replicates, ends)
        else:
            low, high = (self.value + NormalDist().inv_cdf(end) * self.replicates.std() for end in ends)
        return Interval(self.value, max(self.least, float(low)), max(self.least, float(high)))

    def p_value(self) -> float:
        """Two-sided p-value of a difference: it is below 1 - `level` where `interval(level)` leaves out zero.

        From the replicates; from the tail of a normal distribution of the same deviation where they run out.
        """
        tail = min(_share_below(self.replicates), _share_below(-self.replicates), 0.5)
        least = FEWEST / len(self.replicates)
        if tail < least:
            deviation = float(self.replicates.std())
            score = abs(self.value) / deviation if deviation else np.inf if self.value else 0.0
            tail = min(least, NormalDist().cdf(-score))
        return min(1.0, 2 * tail)

    def minus(self, other: Resampled) -> Resampled:
        """The difference of two scores with the same seed and number of resamples."""
        if len(self.replicates) != len(other.replicates):
            raise SimulacraError("measure.resampled_differently")
        return Resampled(self.value - other.value, self.replicates - other.replicates, self.bias - other.bias)


def counts(n: int, resamples: int, seed: int, side: int) -> NDArray[np.float32]:
    """[B, n]: how often each of `n` pictures is drawn; each row sums to n and holds two different pictures."""
    source, even = np.random.default_rng([seed, side]), np.full(n, 1 / n)
    rows = np.empty((resamples, n), np.float32)
    for row in rows:
        row[:] = source.multinomial(n, even)
    while n > 1 and len(alike := np.flatnonzero(rows.max(1) == n)):
        rows[alike] = source.multinomial(n, even, size=len(alike))
    return rows


def resampled_mean(values: NDArray[Any], *, side: int = FAKES, seed: int = 0, resamples: int = RESAMPLES) -> Resampled:
    """The mean of values [N], one a picture, resampled. `side`: `REALS` or `FAKES`.

    Only for values that depend on their own picture alone; for precision and the like see `resampled_neighbours`.
    """
    array = checked(np.asarray(values)[:, None], Message("measure.set_values"), least=1)[:, 0]
    replicates = counts(len(array), resamples, seed, side) @ array / len(array)
    return Resampled.of(float(array.mean()), replicates)


def bootstrap(
    score: Callable[[Floats, Floats], float],
    real: NDArray[Any],
    fake: NDArray[Any],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Resampled:
    """Any `score` of features [N, D], [M, D], both sets resampled: for a metric without a faster way.

    A picture that is drawn twice appears twice. A score that looks at pairs within a set should leave such pairs out.
    """
    reals, fakes = checked_pair(real, fake)
    weights = zip(counts(len(reals), resamples, seed, REALS), counts(len(fakes), resamples, seed, FAKES), strict=True)
    replicates = [
        float(score(reals.repeat(of_reals.astype(int), axis=0), fakes.repeat(of_fakes.astype(int), axis=0)))
        for of_reals, of_fakes in weights
    ]
    return Resampled.of(float(score(reals, fakes)), np.array(replicates))


def share(hits: NDArray[Any], *, level: float = 0.95) -> Interval:
    """The share of `hits` [N] (0 or 1) that are 1, with Wilson's interval (1927): sound also at 0 of 10 or 10 of 10."""
    array = np.asarray(hits, dtype=np.float64)
    if not array.size:
        raise SimulacraError("measure.no_pictures")
    return wilson(float(array.mean()), len(array), level=level)


def resampled_frechet(
    real: NDArray[Any], fake: NDArray[Any], *, seed: int = 0, resamples: int = RESAMPLES
) -> Resampled:
    """The Fréchet distance of features [N, D], [M, D], both sets resampled.

    The interval covers the expected score at this N and M; `bias` is about what the score would lose with
    infinitely many pictures, or less where N is not many times D. A resample costs two eigendecompositions: about 2 s
    for 200 at D = 112, minutes at D = 1280.
    """
    reals, fakes = checked_pair(real, fake)
    replicates = np.empty(resamples)
    weights = zip(counts(len(reals), resamples, seed, REALS), counts(len(fakes), resamples, seed, FAKES), strict=True)
    for index, (of_reals, of_fakes) in enumerate(weights):
        replicates[index] = frechet_between(moments(reals, of_reals), moments(fakes, of_fakes))
    return Resampled.of(frechet_between(moments(reals), moments(fakes)), replicates, least=0.0)


def resampled_kid(real: NDArray[Any], fake: NDArray[Any], *, seed: int = 0, resamples: int = RESAMPLES) -> Resampled:
    """KID of features [N, D], [M, D] over all pairs, both sets resampled; its value is `distances.kid`.

    Two copies of one picture are never a pair, so the resampled scores stay unbiased; the interval covers the
    score of infinitely many pictures.
    """
    reals, fakes = checked_pair(real, fake)
    values = mmd(
        reals, fakes, _with_all(len(reals), resamples, seed, REALS), _with_all(len(fakes), resamples, seed, FAKES)
    )
    return Resampled.of(float(values[0]), values[1:])


def resampled_diversity(
    features: NDArray[Any], *, side: int = FAKES, seed: int = 0, resamples: int = RESAMPLES
) -> Resampled:
    """The mean distance between two pictures of a set [N, D], resampled; its value is `distances.diversity`."""
    values = _diversities(checked(features, Message("measure.set_pictures")), side, seed, resamples)
    return Resampled.of(float(values[0]), values[1:], least=0.0)


def resampled_diversity_ratio(
    real: NDArray[Any], fake: NDArray[Any], *, seed: int = 0, resamples: int = RESAMPLES
) -> Resampled:
    """The fakes' diversity over the reals', both resampled; its value is `distances.diversity_ratio`."""
    reals, fakes = checked_pair(real, fake)
    below = _diversities(reals, REALS, seed, resamples)
    if not below.all():
        raise SimulacraError("measure.no_diversity")
    values = _diversities(fakes, FAKES, seed, resamples) / below
    return Resampled.of(float(values[0]), values[1:], least=0.0)


class Floor(NamedTuple):
    """A score between reals and reals: the mean over splits into two halves of `n` pictures each."""

    value: float
    n: int


def floor(
    score: Callable[[Floats, Floats], float], real: NDArray[Any], *, splits: int = 3, seed: int = 0
) -> Floor | None:
    """`score` (such as `frechet`) of one half of the reals [N, D] against the other; None with fewer than 4.

    A generator can hardly score better with as many pictures. The floor of a biased score falls with more pictures:
    that of the Fréchet distance goes with 1/N + 1/M, here 4/N.
    """
    reals = checked(real, Message("measure.set_reals"), least=0)
    half = len(reals) // 2
    if half < 2:
        return None
    source = np.random.default_rng([seed, 3])
    values = []
    for _ in range(splits):
        order = source.permutation(len(reals))
        values.append(score(_chosen(reals, order[:half]), _chosen(reals, order[half : 2 * half])))
    return Floor(float(np.mean(values)), half)


def wilson(rate: float, n: float, *, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share `rate` among `n`."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * float(np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)))
    return Interval(rate, middle - reach if rate > 0 else 0.0, middle + reach if rate < 1 else 1.0)


def _share_below(values: Floats) -> float:
    """The share of `values` that are zero or less, between two values as `np.quantile` interpolates."""
    return float(np.interp(0, np.sort(values), np.linspace(0, 1, len(values)), left=0, right=1))


def _chosen(features: Floats, rows: NDArray[np.int64]) -> Floats:
    """Rows of features; many of them are copied to a temporary file, not into memory."""
    if len(rows) * features.shape[1] < IN_MEMORY:
        return features[rows]
    with tempfile.TemporaryFile(prefix="simulacra-") as file:
        chosen = np.memmap(file, np.float64, "w+", shape=(len(rows), features.shape[1]))
    for start in range(0, len(rows), 1000):
        chosen[start : start + 1000] = features[rows[start : start + 1000]]
    return chosen


def _with_all(n: int, resamples: int, seed: int, side: int) -> NDArray[np.float32]:
    """The whole set once, then its resamples [1 + B, n]."""
    return np.concatenate([np.ones((1, n), np.float32), counts(n, resamples, seed, side)])


def _diversities(features: Floats, side: int, seed: int, resamples: int) -> Floats:
    weights = _with_all(len(features), resamples, seed, side)
    return mean_within(features - features.mean(0), weights, euclidean)

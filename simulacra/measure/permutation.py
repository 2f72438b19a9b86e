"""Whether two sets differ: the permutation test of a score, exact with any number of pictures and whatever its bias.

Fisher, "The Design of Experiments", 1935: if both sets are of one source, exchanging their pictures at random changes
nothing, so that the score's rank among those of exchanged sets is even.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.measure.distances import Floats, checked_pair
from simulacra.measure.model_under_test import subsample

EXCHANGES = 99
PICTURES = 1000  # of each set, at most: with so many, what people see has long been found


def p_of_one_source(
    score: Callable[[Floats, Floats], float],
    real: NDArray[Any],
    fake: NDArray[Any],
    *,
    exchanges: int | None = None,
    seed: int = 0,
) -> float:
    """The p-value of features [N, D] and [M, D] being of one source, for a score that grows where they differ.

    exchanges: random ones, `EXCHANGES` by default; the least p-value is one over their number and one.
    """
    exchanges = EXCHANGES if exchanges is None else exchanges
    reals, fakes = checked_pair(*(side[subsample(len(side), PICTURES)] for side in (real, fake)))
    pooled, source, number = np.concatenate([reals, fakes]), np.random.default_rng([seed, 5]), len(reals)
    observed, as_far = score(reals, fakes), 1
    for _ in range(exchanges):
        order = source.permutation(len(pooled))
        as_far += score(pooled[order[:number]], pooled[order[number:]]) >= observed * (1 - 1e-9)
    return as_far / (exchanges + 1)

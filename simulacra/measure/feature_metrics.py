"""The metrics of two sets of features: Fréchet distance, KID, precision, recall, density, coverage, diversity,
and the second judge's sliced Wasserstein distance."""

from __future__ import annotations

from collections.abc import Mapping

from simulacra.measure import distances
from simulacra.measure.distances import Floats
from simulacra.measure.intervals import (
    Resampled,
    resampled_diversity_ratio,
    resampled_frechet,
    resampled_kid,
)
from simulacra.measure.metrics import Better, Metric
from simulacra.measure.neighbour_intervals import resampled_neighbours
from simulacra.measure.sliced import resampled_sliced, sliced_wasserstein

WIDE, FEW = 256, 20  # above so many dimensions a resample of the Fréchet distance costs seconds: fewer of them


def _resampled_frechet(real: Floats, fake: Floats) -> Resampled:
    return resampled_frechet(real, fake, **({"resamples": FEW} if real.shape[1] > WIDE else {}))


def _resampled_neighbours(real: Floats, fake: Floats) -> Mapping[str, Resampled]:
    return resampled_neighbours(real, fake)


def _by_neighbours(name: str, what: str, better: Better = "higher") -> Metric:
    def score(real: Floats, fake: Floats) -> float:
        return float(getattr(distances.neighbours(real, fake), name).mean())

    return Metric(
        name=name, word="prdc", layer="neighbour", better=better, what=what, score=score,
        resample=_resampled_neighbours,
    )  # fmt: skip


METRICS = (
    Metric(
        name="fd", layer="fd", better="lower", what="measure.what_fd", score=distances.frechet,
        resample=_resampled_frechet,
    ),
    Metric(
        name="kid", layer="kid", better="lower", what="measure.what_kid", score=distances.kid, resample=resampled_kid
    ),
    _by_neighbours("precision", "measure.what_precision"),
    _by_neighbours("recall", "measure.what_recall"),
    _by_neighbours("density", "measure.what_density", "near 1"),
    _by_neighbours("coverage", "measure.what_coverage"),
    Metric(
        name="diversity", layer="neighbour", better="near 1", what="measure.what_diversity",
        score=distances.diversity_ratio, resample=resampled_diversity_ratio,
    ),
    Metric(
        name="swd", layer="second", better="lower", what="measure.what_swd", score=sliced_wasserstein,
        resample=resampled_sliced,
    ),
)  # fmt: skip

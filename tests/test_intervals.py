"""Intervals: that they cover what they say they cover, about as often as they say."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from support import refused

from simulacra.measure.distances import Neighbours, diversity, diversity_ratio, frechet, kid, neighbours
from simulacra.measure.intervals import (
    FAKES,
    REALS,
    Interval,
    Resampled,
    counts,
    floor,
    resampled_diversity,
    resampled_diversity_ratio,
    resampled_frechet,
    resampled_kid,
    resampled_mean,
    share,
)
from simulacra.measure.neighbour_intervals import halves, resampled_neighbours

Floats = NDArray[np.float64]
SCORES: dict[str, Callable[..., Resampled]] = {
    "frechet": resampled_frechet,
    "kid": resampled_kid,
    "diversity": lambda real, fake, **how: resampled_diversity(fake, **how),
    "diversity_ratio": resampled_diversity_ratio,
    "mean": lambda real, fake, **how: resampled_mean(fake[:, 0], **how),
}
D, N, TIMES = 8, 300, 100


def pair(source: np.random.Generator, shift: float, scale: float = 1.0, n: int = N) -> tuple[Floats, Floats]:
    fake = source.normal(size=(n, D)) * scale
    fake[:, 0] += shift
    return source.normal(size=(n, D)), fake


def covered(wanted: float, intervals: list[Interval]) -> float:
    return float(np.mean([interval.low <= wanted <= interval.high for interval in intervals]))


def test_the_frechet_interval_covers_the_score_expected_at_this_n() -> None:
    source, shift, scale = np.random.default_rng(1), 0.7, 1.2
    expected = np.mean([frechet(*pair(source, shift, scale)) for _ in range(400)])
    results = [resampled_frechet(*pair(source, shift, scale), seed=seed, resamples=80) for seed in range(TIMES)]
    assert 0.88 <= covered(float(expected), [score.interval() for score in results]) <= 1
    population = shift**2 + D * (1 - scale) ** 2
    assert np.mean([score.value - score.bias for score in results]) == pytest.approx(population, rel=0.1, abs=0.05)
    raw = [np.quantile(score.replicates + score.bias, [0.025, 0.975]) for score in results]
    assert np.mean([low <= expected <= high for low, high in raw]) < 0.9, "why they are moved"


def test_near_the_floor_the_frechet_interval_is_too_wide_and_never_too_narrow() -> None:
    source = np.random.default_rng(2)
    samples = [frechet(*pair(source, 0.0)) for _ in range(300)]
    results = [resampled_frechet(*pair(source, 0.0), seed=seed, resamples=40) for seed in range(50)]
    assert covered(float(np.mean(samples)), [score.interval() for score in results]) >= 0.93
    assert 1 < np.mean([score.replicates.std() for score in results]) / np.std(samples) < 2.2


@pytest.mark.parametrize(("n", "shift"), [(120, 0.0), (150, 0.6), (80, 1.0)])
def test_the_kid_interval_covers_the_score_of_the_sources(n: int, shift: float) -> None:
    """The closed form of `test_distances`."""
    source, a = np.random.default_rng(3), shift**2
    population = 3 * a / D + 3 * a**2 / D**2 + (a**3 + 3 * a * D + 6 * a**2 + 6 * a) / D**3
    results = [resampled_kid(*pair(source, shift, n=n), seed=seed, resamples=100) for seed in range(TIMES)]
    assert 0.88 <= covered(population, [score.interval() for score in results]) <= 1
    assert np.mean([score.bias for score in results]) == pytest.approx(0, abs=0.006), "resampled scores stay unbiased"


def test_the_interval_of_a_mean() -> None:
    source = np.random.default_rng(4)
    results = [resampled_mean(source.exponential(size=60), seed=seed).interval() for seed in range(300)]
    assert 0.9 <= covered(1.0, results) <= 0.98


def test_the_interval_of_a_share_is_sound_at_its_ends() -> None:
    """Covers a rare event too, where a bootstrap of ten zeros would say 0 to 0."""
    source = np.random.default_rng(5)
    for rate in (0.1, 0.5):
        results = [share(source.random(50) < rate) for _ in range(500)]
        assert 0.92 <= covered(rate, results) <= 0.98
    assert share(np.zeros(10)).low == 0 and 0.2 < share(np.zeros(10)).high < 0.35
    assert share(np.ones(10)).high == 1 and 0.65 < share(np.ones(10)).low < 0.8
    assert share(np.ones(10), level=0.5).low > share(np.ones(10)).low


def test_the_intervals_of_diversity_and_its_ratio() -> None:
    source = np.random.default_rng(6)
    expected = np.mean([diversity(source.normal(size=(2000, D))) for _ in range(3)])
    samples = [pair(source, 0.0, 1.1, n=100) for _ in range(TIMES)]
    ratios = [
        resampled_diversity_ratio(*sets, seed=seed, resamples=100).interval() for seed, sets in enumerate(samples)
    ]
    assert 0.88 <= covered(1.1, ratios) <= 1
    singles = [resampled_diversity(sets[0], side=REALS, seed=seed).interval() for seed, sets in enumerate(samples)]
    assert 0.88 <= covered(float(expected), singles) <= 1


def test_the_intervals_of_precision_and_its_like_know_that_both_sets_were_drawn() -> None:
    """An interval over one set alone, the other taken as given, would cover coverage 60 to 80 % of the time."""
    source, kinds = np.random.default_rng(12), ("precision", "recall", "density", "coverage")

    def score(near: Neighbours) -> list[float]:
        return [float(getattr(near, kind).mean()) for kind in kinds]

    samples = [pair(source, 0.5, 0.8, n=120) for _ in range(150)]
    expected = np.mean([score(neighbours(*sets)) for sets in samples], axis=0)
    results = [resampled_neighbours(*sets, seed=seed, resamples=80) for seed, sets in enumerate(samples[:60])]
    for kind, value in zip(kinds, expected, strict=True):
        assert 0.88 <= covered(value, [scores[kind].interval() for scores in results]) <= 1, kind
    assert [results[0][kind].value for kind in kinds] == pytest.approx(score(neighbours(*samples[0])))


def test_halves_are_drawn_as_if_they_were_the_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A half's scores are those of `neighbours` on that half, whatever the blocks."""
    real, fake = pair(np.random.default_rng(13), 0.5, n=41)
    monkeypatch.setattr("simulacra.measure.distances.BLOCK", 300)
    results = resampled_neighbours(real, fake, resamples=5)
    of_reals, of_fakes = (halves(41, 5, 0, side) for side in (REALS, FAKES))
    assert (of_reals.sum(1) == 20).all()
    for b in range(5):
        wanted = neighbours(real[of_reals[b]], fake[of_fakes[b]])
        for kind, scores in results.items():
            assert scores.replicates[b] + scores.bias == pytest.approx(getattr(wanted, kind).mean()), kind


def test_neighbours_of_tiny_and_of_perfect_sets() -> None:
    real, fake = pair(np.random.default_rng(14), 0.5, n=3)
    for scores in (resampled_neighbours(real, fake[:2]), resampled_neighbours(real, real)):
        for kind, score in scores.items():
            interval = score.interval()
            assert 0 <= interval.low <= interval.value <= interval.high < math.inf, kind
    perfect = resampled_neighbours(real, real)["precision"]
    assert perfect.interval().low < 0.6, "3 of 3 prove little"
    assert perfect.minus(perfect).interval() == Interval(0, 0, 0)


@pytest.mark.parametrize("name", ["frechet", "kid"])
def test_the_difference_of_two_models_with_the_same_seeds(name: str) -> None:
    """Covered, and known better than the scores are: what the reals and the seeds do to both cancels."""
    source = np.random.default_rng(7)
    score: Callable[[Floats, Floats], float] = {"frechet": frechet, "kid": kid}[name]

    def models() -> tuple[Floats, Floats, Floats]:
        real, latent = pair(source, 0.0)
        other = 0.95 * latent + 0.3 * source.normal(size=latent.shape)
        return real, latent * 1.15 + 0.3, other * 1.15 + 0.45

    resamples = 40  # which give a normal interval
    expected = np.mean([score(real, a) - score(real, b) for real, a, b in (models() for _ in range(200))])
    gaps, alone = [], []
    for seed in range(TIMES):
        real, a, b = models()
        first, second = (SCORES[name](real, fake, seed=seed, resamples=resamples) for fake in (a, b))
        gaps.append(first.minus(second).interval())
        alone.append(first.interval())
        assert gaps[-1].value == first.value - second.value
    assert 0.88 <= covered(float(expected), gaps) <= 1
    widths = [np.mean([interval.high - interval.low for interval in group]) for group in (gaps, alone)]
    assert widths[0] < widths[1]


@pytest.mark.parametrize("name", SCORES)
def test_the_value_is_the_score_itself_and_a_seed_repeats(name: str) -> None:
    real, fake = pair(np.random.default_rng(8), 1.0, n=40)
    scores: dict[str, Callable[[Floats, Floats], float]] = {
        "frechet": frechet,
        "kid": kid,
        "diversity": lambda _, fake: diversity(fake),
        "diversity_ratio": diversity_ratio,
        "mean": lambda _, fake: float(fake[:, 0].mean()),
    }
    result = SCORES[name](real, fake, seed=3)
    assert result.value == pytest.approx(scores[name](real, fake), rel=1e-12)
    assert result.interval() == SCORES[name](real, fake, seed=3).interval()
    assert result.interval() != SCORES[name](real, fake, seed=4).interval()
    narrow, wide = result.interval(0.5), result.interval()
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    nothing = result.minus(SCORES[name](real, fake, seed=3)).interval()
    assert nothing == Interval(0, 0, 0), "a model against itself"


@pytest.mark.parametrize("name", SCORES)
def test_tiny_sets(name: str) -> None:
    for n in (2, 3):
        real, fake = pair(np.random.default_rng(n), 1.0, n=n)
        result = SCORES[name](real, fake).interval()
        assert all(math.isfinite(value) for value in (result.value, result.low, result.high))


def test_a_distance_is_never_said_to_be_negative() -> None:
    real, fake = pair(np.random.default_rng(9), 0.0, n=10)
    assert resampled_frechet(real, real).interval().low == 0
    assert resampled_frechet(real, fake).interval(0.999).low >= 0


def test_counts() -> None:
    samples = counts(5, 400, 0, REALS)
    assert (samples.sum(1) == 5).all()
    assert samples.mean(0) == pytest.approx(np.ones(5), abs=0.2)
    assert ((counts(2, 100, 0, REALS) > 0).sum(1) == 2).all(), "two different pictures in each"
    assert counts(1, 3, 0, REALS).tolist() == [[1], [1], [1]]


def test_few_resamples_give_a_normal_interval() -> None:
    score = Resampled.of(2.0, np.array([1.0, 3.0, 2.0, 2.0]))
    assert score.interval().high == pytest.approx(2 + 1.96 * math.sqrt(0.5), rel=1e-3)


def test_the_floor() -> None:
    """What a perfect generator scores: KID 0, and for the Fréchet distance the bias of halves."""
    real, other = pair(np.random.default_rng(10), 0.0, n=400)
    result = floor(frechet, real, splits=10)
    assert result is not None and result.n == 200
    expected = np.mean([frechet(*pair(np.random.default_rng(seed), 0.0, n=200)) for seed in range(40)])
    assert result.value == pytest.approx(expected, rel=0.3)
    assert result.value > frechet(real, other), "fewer pictures in each half"
    assert floor(frechet, real) == floor(frechet, real)
    of_kid = floor(kid, real)
    assert of_kid is not None and abs(of_kid.value) < 0.02
    assert floor(lambda a, b: float(neighbours(a, b).precision.mean()), real) is not None
    assert floor(frechet, real[:3]) is None


def test_refusals() -> None:
    real, fake = pair(np.random.default_rng(11), 0.0, n=10)
    with refused("measure.level"):
        resampled_kid(real, fake).interval(95)
    with refused("measure.resampled_differently"):
        resampled_kid(real, fake).minus(resampled_kid(real, fake, resamples=50))
    with refused("measure.not_finite"):
        resampled_mean(np.array([1.0, math.nan]))
    with refused("measure.no_pictures"):
        share(np.zeros(0))
    with refused("measure.no_diversity"):
        resampled_diversity_ratio(np.ones((4, 2)), fake[:, :2])


def test_a_p_value_agrees_with_the_intervals() -> None:
    source = np.random.default_rng(0)
    for resamples in (20, 200):
        for _ in range(50):
            gap = Resampled.of(source.normal() * 2, source.normal(size=resamples))
            for level in (0.5, 0.9, 0.95, 0.98, 0.99, 0.999):
                interval = gap.interval(level)
                assert (gap.p_value() < 1 - level) == (not interval.low <= 0 <= interval.high), (gap.value, level)
    far = Resampled.of(6.0, source.normal(size=200))
    assert 1e-12 < far.p_value() < 1e-6, "no replicate is so far out: the normal tail"
    assert Resampled.of(0.0, np.zeros(200)).p_value() == 1
    assert Resampled.of(0.1, np.zeros(200)).p_value() == 0
    ties = np.repeat([0.0, 1.0], [190, 10])
    assert Resampled(0.05, ties).p_value() > 0.9, "replicates of zero count on both sides"

"""The sliced Wasserstein distance and its bootstrap: closed forms, a reference, and properties."""

from __future__ import annotations

import numpy as np
import pytest
import scipy  # whose parts are imported on first use
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support import refused

from simulacra.measure import sliced
from simulacra.measure.intervals import FAKES, REALS, counts
from simulacra.measure.sliced import DIRECTIONS, resampled_sliced, sliced_wasserstein

Floats = NDArray[np.float64]


def normal(n: int, d: int = 5, seed: int = 0, deviation: float = 4.0) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, d)) * deviation


def reference(real: Floats, fake: Floats) -> float:
    """The mean of SciPy's distance over the same directions."""
    return float(np.mean([scipy.stats.wasserstein_distance(real @ way, fake @ way) for way in ways(real).T]))


def ways(real: Floats) -> Floats:
    """Directions [D, DIRECTIONS] by the inverse root of the shrunk correlations, as SciPy computes it."""
    directions = np.random.default_rng(0).standard_normal((real.shape[1], DIRECTIONS))
    deviation = np.sqrt(real.var(0) + 1)
    shared = np.cov((real / deviation).T, bias=True).reshape(real.shape[1], -1)
    shrunk = shared + 0.01 * max(1.0, float(np.linalg.norm(shared, 2))) * np.eye(len(shared))
    unit = directions / np.linalg.norm(directions, axis=0)
    whitened: Floats = np.linalg.inv(scipy.linalg.sqrtm(shrunk).real) @ unit / deviation[:, None]
    return whitened


@pytest.mark.parametrize("shift", [-3.0, 0.5, 40.0])
def test_a_shifted_line_is_as_far_as_the_shift(shift: float) -> None:
    real = normal(60, 1)
    assert sliced_wasserstein(real, real + shift) == pytest.approx(
        abs(shift) / np.sqrt(1.01 * real.var() + 0.01), rel=1e-5
    )


def test_equal_sets_are_at_no_distance() -> None:
    real = normal(50)
    assert sliced_wasserstein(real, real) == pytest.approx(0, abs=1e-6)
    assert sliced_wasserstein(real, real[::-1]) == pytest.approx(0, abs=1e-6)
    assert sliced_wasserstein(real, np.concatenate([real, real])) == pytest.approx(0, abs=1e-6), "all twice"
    assert sliced_wasserstein(np.ones((4, 3)), np.ones((3, 3))) == 0


def test_points_on_a_line_by_hand() -> None:
    """{0, 0} against {0, 6}: half of the mass goes 6 far, in units of a tenth, as the reals do not vary."""
    assert sliced_wasserstein(np.zeros((2, 1)), np.array([[0.0], [6.0]])) == pytest.approx(30)


@pytest.mark.parametrize(("n", "m"), [(40, 40), (40, 31), (7, 90), (2, 3)])
@pytest.mark.parametrize("d", [1, 6, 300])
def test_agrees_with_scipy(n: int, m: int, d: int) -> None:
    real, fake = normal(n, d), normal(m, d, 1, deviation=6.0) + 2
    assert sliced_wasserstein(real, fake) == pytest.approx(reference(real, fake), rel=1e-4)


def test_a_distance_of_two_gaussians_goes_with_the_shift_in_deviations() -> None:
    """In many dimensions a direction sees |m| times a normal number over the root of D, whose mean size is √(2/π)."""
    d, deviation = 200, 50.0
    real, fake = normal(1500, d, deviation=deviation), normal(1500, d, 1, deviation=deviation) + 3 * deviation
    ways = np.random.default_rng(0).standard_normal((d, DIRECTIONS))
    expected = 3 * np.abs((ways / np.linalg.norm(ways, axis=0)).sum(0)).mean()
    assert sliced_wasserstein(real, fake) == pytest.approx(expected, rel=0.06), "whitened by a sample"
    assert expected == pytest.approx(3 * np.sqrt(2 / np.pi), rel=0.25)


@settings(max_examples=25)
@given(seed=st.integers(0, 999), n=st.integers(2, 20), m=st.integers(2, 20))
def test_properties(seed: int, n: int, m: int) -> None:
    real, fake = normal(n, 3, seed), normal(m, 3, seed + 1)
    value = sliced_wasserstein(real, fake)
    assert value >= 0
    source = np.random.default_rng(seed)
    assert sliced_wasserstein(source.permutation(real), source.permutation(fake)) == pytest.approx(value, rel=1e-4)
    assert sliced_wasserstein(real + 100, fake + 100) == pytest.approx(value, rel=1e-4), "where the sets are"
    mixed = np.concatenate([np.repeat(real, m, axis=0), np.repeat(fake, n, axis=0)])
    assert sliced_wasserstein(real, mixed) == pytest.approx(value / 2, rel=1e-3), "half of them fakes"
    with_ties = np.round(np.concatenate([real, real[:1]]))
    assert np.isfinite(sliced_wasserstein(with_ties, np.round(fake)))


def test_what_hardly_varies_is_not_magnified() -> None:
    """A feature counts in units of its deviation, and of a tenth of a grey level where that is less."""
    real, fake = normal(200, 1, deviation=1e-3), normal(200, 1, 1, deviation=1e-3)
    assert sliced_wasserstein(real, fake) < 1e-2
    far = [sliced_wasserstein(normal(99, 2, deviation=s), normal(99, 2, deviation=s) + s) for s in (100.0, 1000.0)]
    assert far[0] == pytest.approx(far[1], rel=1e-3), "no units"


def test_a_damage_costs_more_than_reals_and_more_than_less_of_it() -> None:
    real = normal(300, 8)
    values = [sliced_wasserstein(real, normal(300, 8, 1) + shift) for shift in (0, 1, 2, 4)]
    assert values == sorted(values) and values[1] > 2 * values[0]


# --- the bootstrap ----------------------------------------------------------------------------------------------------


def test_a_resample_is_the_set_with_its_rows_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal(12, 4), normal(9, 4, 1) + 1
    weights = [counts(12, 5, 0, REALS), counts(9, 5, 0, FAKES)]
    result = resampled_sliced(real, fake, resamples=5)
    whole = ways(real)  # the whitening stays that of the whole set
    values = []
    for of_reals, of_fakes in zip(*weights, strict=True):
        rows = [np.repeat(x, w.astype(int), axis=0) for x, w in ((real, of_reals), (fake, of_fakes))]
        values.append(np.mean([scipy.stats.wasserstein_distance(rows[0] @ way, rows[1] @ way) for way in whole.T]))
    assert result.value == pytest.approx(sliced_wasserstein(real, fake))
    np.testing.assert_allclose(result.replicates + result.bias, values, rtol=1e-4)
    monkeypatch.setattr(sliced, "BLOCK", 25)  # one resample at a time
    np.testing.assert_allclose(resampled_sliced(real, fake, resamples=5).replicates, result.replicates, rtol=1e-5)


def test_the_same_seed_gives_the_same_interval() -> None:
    real, fake = normal(40), normal(30, seed=1) + 1
    one, same, other = (resampled_sliced(real, fake, seed=seed).interval() for seed in (0, 0, 1))
    assert one == same != other and one.low <= one.value <= one.high
    assert other.value == one.value


def test_the_interval_covers_the_score_expected_of_so_many_pictures() -> None:
    """95 % intervals of 120 pairs of sets hold the mean score of such sets about as often as they say."""
    source, times, shift = np.random.default_rng(0), 120, 2.0
    results = [
        resampled_sliced(source.normal(size=(60, 4)) * 4, source.normal(size=(50, 4)) * 4 + shift, resamples=100)
        for _ in range(times)
    ]
    expected = np.mean([result.value for result in results])
    covered = np.mean([result.interval().low <= expected <= result.interval().high for result in results])
    assert 0.88 <= covered <= 1


def test_an_interval_is_never_below_zero() -> None:
    interval = resampled_sliced(normal(30), normal(30, seed=1)).interval()
    assert 0 <= interval.low <= interval.value <= interval.high


def test_bad_sets_are_refused() -> None:
    with refused("measure.too_few"):
        sliced_wasserstein(normal(1), normal(5))
    with refused("measure.feature_widths"):
        sliced_wasserstein(normal(5, 2), normal(5, 3))
    with refused("measure.not_finite"):
        resampled_sliced(normal(5), np.full((5, 5), np.nan))

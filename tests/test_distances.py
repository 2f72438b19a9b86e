"""Distances between sets of features: closed forms, a reference, and properties that any such score must have."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support import refused

from simulacra.errors import SimulacraError
from simulacra.measure.distances import (
    Moments,
    diversity,
    diversity_ratio,
    frechet,
    frechet_between,
    kid,
    kid_subsets,
    moments,
    neighbours,
    spread,
)

Floats = NDArray[np.float64]
TWO_SETS: dict[str, Callable[[Floats, Floats], float]] = {
    "frechet": frechet,
    "kid": kid,
    "precision": lambda real, fake: float(neighbours(real, fake).precision.mean()),
    "coverage": lambda real, fake: float(neighbours(real, fake).coverage.mean()),
    "density": lambda real, fake: float(neighbours(real, fake).density.mean()),
    "diversity": diversity_ratio,
}
SYMMETRIC, SHIFTABLE = ("frechet", "kid"), ("frechet", "precision", "coverage", "density", "diversity")


def normal(n: int, d: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, d))


def exact(n: int, deviations: Floats, mean: float = 0.0) -> Floats:
    """[n, D] whose mean and (diagonal) covariance are exactly what is asked for."""
    raw = normal(n, len(deviations), seed=len(deviations))
    orthogonal, _ = np.linalg.qr(raw - raw.mean(0))
    return orthogonal * deviations * math.sqrt(n - 1) + mean


def diagonal(variances: Floats) -> Moments:
    return Moments(np.zeros(len(variances)), np.diag(np.sqrt(variances)), float(variances.sum()))


def test_the_frechet_distance_of_two_diagonal_gaussians() -> None:
    """|Δμ|² + Σ (σ₁ - σ₂)², on sets with exactly these moments."""
    a, b = np.array([1.0, 2.0, 0.5, 3.0]), np.array([2.0, 2.0, 1.5, 0.1])
    target = 4 * 0.7**2 + np.square(a - b).sum()
    assert frechet(exact(50, a), exact(70, b, mean=0.7)) == pytest.approx(target, rel=1e-10)


def test_the_frechet_distance_of_commuting_and_of_turned_gaussians() -> None:
    """Covariances that do not commute, against the formula by general eigenvalues."""
    a, b = moments(normal(40, 5) @ normal(5, 5, 1)), moments(normal(40, 5, 2) @ normal(5, 5, 3))
    product = a.root @ a.root.T @ b.root @ b.root.T
    shared = np.sqrt(np.linalg.eigvals(product).astype(complex)).real.sum()
    target = np.square(a.mean - b.mean).sum() + a.trace + b.trace - 2 * shared
    assert frechet_between(a, b) == pytest.approx(target, rel=1e-9)


def test_the_frechet_distance_tends_to_the_shift_squared() -> None:
    """N(0, I) against N(m, I): |m|² for many pictures; for few, above it by a bias that goes with 1/n."""
    assert frechet(normal(50_000, 8), normal(50_000, 8, 1) + 0.5) == pytest.approx(8 * 0.25, abs=0.05)
    bias = [np.mean([frechet(normal(n, 8, 2 * i), normal(n, 8, 2 * i + 1)) for i in range(40)]) for n in (100, 200)]
    assert bias[0] / bias[1] == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("n", [3, 20, 200])
def test_the_frechet_distance_with_fewer_pictures_than_dimensions(n: int) -> None:
    """A set against itself is 0, and against a shifted self the shift squared, whatever the rank."""
    x = normal(n, 64) * np.geomspace(1, 1e-3, 64)
    assert 0 <= frechet(x, x) < 1e-10
    assert frechet(x, x + 0.1) == pytest.approx(0.64, rel=1e-9)
    assert frechet(x, 2 * x) == pytest.approx(np.square(x.mean(0)).sum() + x.var(0, ddof=1).sum(), rel=1e-9)


def test_one_dimension_that_never_varies_does_no_harm() -> None:
    a, b = normal(30, 4), normal(30, 4, 1)
    a[:, 2] = b[:, 2] = 5
    rows = [0, 1, 3]
    assert frechet(a, b) == pytest.approx(frechet(a[:, rows], b[:, rows]), rel=1e-9)
    assert frechet(np.ones((5, 3)), np.ones((4, 3))) == 0


def test_kid_by_hand() -> None:
    """The double sum over pairs that are not one picture with itself, one pair at a time."""
    real, fake = normal(5, 3), normal(4, 3, 1)

    def k(x: Floats, y: Floats) -> float:
        return float(x @ y / 3 + 1) ** 3

    within = [np.mean([k(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j]) for s in (real, fake)]
    between = np.mean([k(x, y) for x in real for y in fake])
    assert kid(real, fake) == pytest.approx(within[0] + within[1] - 2 * between, rel=1e-10)


def test_kid_of_two_gaussians_is_its_closed_form() -> None:
    """N(0, I) against N(m, I), a = |m|²: the kernel's moments expanded; and 0 between two halves of one source."""
    d, a = 8, 2.0
    target = 3 * a / d + 3 * a**2 / d**2 + (a**3 + 3 * a * d + 6 * a**2 + 6 * a) / d**3
    result = kid(normal(4000, d), normal(4000, d, 1) + math.sqrt(a / d))
    assert result == pytest.approx(target, rel=0.1)
    assert abs(kid(normal(4000, d), normal(4000, d, 1))) < target / 100


def test_kid_over_subsets() -> None:
    real, fake = normal(60, 4), normal(50, 4, 1) + 0.3
    mean, deviation = kid_subsets(real, fake, subsets=400, size=20)
    assert mean == pytest.approx(kid(real, fake), abs=4 * deviation / 20)
    assert kid_subsets(real, fake, size=20) == kid_subsets(real, fake, size=20)
    assert kid_subsets(real, fake, size=20) != kid_subsets(real, fake, size=20, seed=1)
    mean, deviation = kid_subsets(real[:50], fake, subsets=3, size=1000)
    assert mean == pytest.approx(kid(real[:50], fake)), "limited to what there is"
    assert deviation == pytest.approx(0, abs=1e-12)


class Identity(torch.nn.Module):
    """Passes features through, for torchmetrics."""

    num_features = 6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save")
def test_agrees_with_torchmetrics() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    real, fake = normal(80, 6) @ normal(6, 6, 1) + 1, normal(70, 6, 2) @ normal(6, 6, 3)
    frechet_reference = FrechetInceptionDistance(feature=Identity()).set_dtype(torch.float64)
    kernel_reference = KernelInceptionDistance(feature=Identity(), subsets=2, subset_size=70)
    for reference in (frechet_reference, kernel_reference):
        reference.update(torch.from_numpy(real[:70]), real=True)
        reference.update(torch.from_numpy(fake), real=False)
    assert frechet(real[:70], fake) == pytest.approx(frechet_reference.compute().item(), rel=1e-4)
    assert kid(real[:70], fake) == pytest.approx(kernel_reference.compute()[0].item(), rel=1e-4)


def test_agrees_with_the_formula_of_the_papers_code() -> None:
    """pytorch-fid and torch-fidelity take the root of the covariances' product by SciPy."""
    from scipy.linalg import sqrtm

    for dimensions in (1, 6, 30):
        mixed = [
            normal(90 - side, dimensions, side) @ normal(dimensions, dimensions, side + 2) + side for side in (0, 1)
        ]
        (real, fake), covariances = mixed, [np.atleast_2d(np.cov(x, rowvar=False)) for x in mixed]
        root = np.real(sqrtm(covariances[0] @ covariances[1]))
        target = np.square(real.mean(0) - fake.mean(0)).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
        assert frechet(real, fake) == pytest.approx(target, rel=1e-7)


def test_identical_sets_and_sets_far_apart() -> None:
    x = normal(40, 3)
    same, apart = neighbours(x, x.copy()), neighbours(x, x + 100)
    for result in (same.precision, same.recall, same.coverage):
        assert result.all()
    assert same.density.mean() == pytest.approx(1.2), "each ball holds its centre and 5 others, ties included"
    for result in (apart.precision, apart.recall, apart.coverage, apart.density):
        assert not result.any()


def test_neighbours_by_hand() -> None:
    """On a line with k = 1: reals at 0, 1, 3 have radii 1, 1, 2; fakes at 0.5, 6, 6.5 have 5.5, 0.5, 0.5."""
    real, fake = np.array([[0.0], [1], [3]]), np.array([[0.5], [6], [6.5]])
    result = neighbours(real, fake, k=1)
    assert result.precision.tolist() == [1, 0, 0]
    assert result.density.tolist() == [2, 0, 0]
    assert result.coverage.tolist() == [1, 1, 0]
    assert result.recall.tolist() == [1, 1, 1]
    assert result.k == 1


def test_neighbours_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal(50, 4), normal(33, 4, 1)
    whole = neighbours(real, fake), kid(real, fake), diversity(fake)
    monkeypatch.setattr("simulacra.measure.distances.BLOCK", 100)
    parts = neighbours(real, fake), kid(real, fake), diversity(fake)
    for name in ("precision", "recall", "density", "coverage"):
        assert (getattr(whole[0], name) == getattr(parts[0], name)).all()
    assert whole[1:] == pytest.approx(parts[1:])


def test_a_collapsed_generator_scores_nothing_but_precision() -> None:
    """All fakes are one real picture: precise, and neither diverse nor covering."""
    real = normal(60, 4)
    fake = np.repeat(real[:1], 60, axis=0)
    result = neighbours(real, fake)
    assert result.precision.all()
    assert result.recall.mean() == 1 / 60
    assert result.coverage.mean() < 0.3
    assert diversity_ratio(real, fake) == 0


def test_diversity_and_spread_by_hand() -> None:
    x = np.array([[0.0, 0], [3, 4], [0, 4]])
    assert diversity(x) == pytest.approx((5 + 4 + 3) / 3)
    assert spread(x) == pytest.approx((25 + 16 + 9) / 3)
    assert diversity_ratio(x, 2 * x) == pytest.approx(2)


sets = st.integers(0, 2**31).flatmap(
    lambda seed: st.tuples(st.just(seed), st.integers(2, 12), st.integers(2, 12), st.integers(1, 6))
)


@given(sets)
@settings(max_examples=40, deadline=None)
def test_symmetry_order_shift_and_sign(case: tuple[int, int, int, int]) -> None:
    seed, n, m, d = case
    source = np.random.default_rng(seed)
    real, fake = source.normal(size=(n, d)) * 3, source.normal(size=(m, d)) + source.normal(size=d)
    for name, score in TWO_SETS.items():
        value = score(real, fake)
        shuffled = score(source.permutation(real), source.permutation(fake))
        assert shuffled == pytest.approx(value, rel=1e-7, abs=1e-9), name
        assert value >= 0 or name == "kid"
        if name in SYMMETRIC:
            assert score(fake, real) == pytest.approx(value, rel=1e-7, abs=1e-9), name
        if name in SHIFTABLE:
            assert score(real + 7, fake + 7) == pytest.approx(value, rel=1e-7, abs=1e-7), name
    recall = neighbours(fake, real).recall
    assert (recall == neighbours(real, fake).precision).all(), "recall is precision the other way round"


@pytest.mark.parametrize("name", TWO_SETS)
def test_three_pictures_are_enough_and_one_is_not(name: str) -> None:
    assert math.isfinite(TWO_SETS[name](normal(3, 5), normal(3, 5, 1)))
    with pytest.raises(SimulacraError, match="at least 2 fakes; there are 1"):
        TWO_SETS[name](normal(3, 5), normal(1, 5))
    with pytest.raises(SimulacraError, match="at least 2 reals; there are 0"):
        TWO_SETS[name](normal(0, 5), normal(3, 5))


@pytest.mark.parametrize("name", TWO_SETS)
def test_features_that_are_no_features(name: str) -> None:
    good, bad = normal(6, 5), normal(6, 5)
    bad[2, 1], bad[4, 0] = math.nan, math.inf
    with pytest.raises(SimulacraError, match=r"2 of 6 fakes hold NaN or infinity \(the first at index 2\)"):
        TWO_SETS[name](good, bad)
    with refused("measure.feature_widths"):
        TWO_SETS[name](good, normal(6, 4))
    with refused("measure.features_shape"):
        TWO_SETS[name](good[0], good)


def test_settings_that_make_no_sense() -> None:
    x = normal(6, 5)
    with refused("measure.neighbour_count", k=0):
        neighbours(x, x, k=0)
    with refused("measure.kid_subsets", subsets=0):
        kid_subsets(x, x, subsets=0)
    with refused("measure.no_diversity"):
        diversity_ratio(np.ones((4, 2)), x[:, :2])


def test_float32_features_are_counted_in_float64() -> None:
    """Far from the origin, where float32 sums of squares would leave nothing."""
    x = (normal(100, 4) + 1000).astype(np.float32)
    y = x + np.float32(0.5)
    assert frechet(x, y) == pytest.approx(np.square(x.astype(float).mean(0) - y.astype(float).mean(0)).sum(), rel=1e-6)
    assert frechet(x, y) == pytest.approx(1, rel=1e-3)

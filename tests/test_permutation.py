"""The permutation test: sure of what differs with few pictures, and rarely wrong."""

from __future__ import annotations

import numpy as np
import pytest

from simulacra.measure import permutation
from simulacra.measure.distances import frechet
from simulacra.measure.permutation import p_of_one_source
from simulacra.measure.sliced import sliced_wasserstein


def gap(real: np.ndarray, fake: np.ndarray) -> float:
    return abs(float(real.mean() - fake.mean()))


def test_by_hand() -> None:
    """Of two sets far apart no exchange is as far, so the p-value is one over their number and one."""
    real, fake = np.arange(20.0)[:, None], np.arange(20.0)[:, None] + 1000
    assert p_of_one_source(gap, real, fake, exchanges=19) == 1 / 20
    assert p_of_one_source(gap, real, real, exchanges=19) == 1, "a distance of 0 is reached by every exchange"


@pytest.mark.parametrize("score", [frechet, sliced_wasserstein])
def test_few_pictures_of_more_dimensions_are_told_apart(score: object) -> None:
    source = np.random.default_rng(3)
    real, fake = source.normal(size=(30, 60)) * 9, source.normal(size=(30, 60)) * 9
    assert p_of_one_source(score, real, fake + 6, exchanges=39) == 1 / 40  # type: ignore[arg-type]
    assert p_of_one_source(score, real, fake, exchanges=39) > 0.05  # type: ignore[arg-type]


def test_it_is_wrong_as_often_as_it_says() -> None:
    source = np.random.default_rng(1)
    values = [p_of_one_source(gap, *source.normal(size=(2, 8, 1)), exchanges=19) for _ in range(400)]
    assert 0.02 < np.mean(np.array(values) <= 0.05) < 0.085
    assert np.mean(values) == pytest.approx(0.525, abs=0.05)


def test_the_same_sets_give_the_same_and_many_are_a_subsample(monkeypatch: pytest.MonkeyPatch) -> None:
    source = np.random.default_rng(2)
    real, fake = source.normal(size=(40, 2)), source.normal(size=(50, 2))
    assert p_of_one_source(gap, real, fake) == p_of_one_source(gap, real, fake)
    sizes: list[int] = []
    monkeypatch.setattr(permutation, "PICTURES", 15)

    def noted(a: np.ndarray, b: np.ndarray) -> float:
        sizes.extend((len(a), len(b)))
        return gap(a, b)

    p_of_one_source(noted, real, fake, exchanges=3)
    assert set(sizes) == {15}

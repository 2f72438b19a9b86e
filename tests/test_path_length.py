"""Path length of generators whose path is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from support import refused
from torch import Tensor

from simulacra.gan import Generator, Settings
from simulacra.measure.path_length import path_lengths, slerp, trimmed


class Plain(Generator):
    """Shows its latent, times `size`, as a picture of one row."""

    def __init__(self, prior: str = "uniform", size: float = 1.0) -> None:
        super().__init__(Settings(shape=(1, 1, 6), z=6, prior=prior))  # type: ignore[arg-type]
        self.size = torch.nn.Parameter(torch.tensor(size))

    def synthesis(self, w: Tensor) -> Tensor:
        return self.size * w[:, None, None]


def flat(pictures: Tensor) -> Tensor:
    return pictures.flatten(1)


@pytest.mark.parametrize("epsilon", [0.1, 1e-2, 1e-3])
def test_a_straight_path_is_as_long_as_its_ends_are_apart(epsilon: float) -> None:
    result = path_lengths(Plain(size=3.0), flat, pairs=5, seed=7, epsilon=epsilon, batch=2)
    z = Plain().seeded(range(7, 17)).double()
    wanted = 9 * (z[0::2] - z[1::2]).square().sum(1)
    assert result == pytest.approx(wanted.numpy(), rel=2e-3)


def test_a_round_path_is_as_long_as_the_angle_between_its_ends() -> None:
    """Latents of one length r: r² θ², where the straight line would have less."""

    class Sphere(Plain):
        def seeded(self, seeds: Sequence[int | str]) -> Tensor:
            return torch.nn.functional.normalize(super().seeded(seeds))

    generator = Sphere("normal")
    result = path_lengths(generator, flat, pairs=6, epsilon=1e-2)
    z = generator.seeded(range(12)).double()
    angles = torch.arccos((z[0::2] * z[1::2]).sum(1))
    assert result == pytest.approx(angles.square().numpy(), rel=2e-3)


def test_the_path_does_not_depend_on_batches_and_a_seed_repeats() -> None:
    advances: list[int] = []
    whole = path_lengths(Plain(), flat, pairs=7, batch=16, advance=advances.append)
    assert (path_lengths(Plain(), flat, pairs=7, batch=3) == pytest.approx(whole, rel=1e-4)) and advances == [7]
    assert (path_lengths(Plain(), flat, pairs=7) == whole).all()
    assert not np.allclose(path_lengths(Plain(), flat, pairs=7, seed=1), whole)


def test_slerp_ends_where_it_should() -> None:
    a, b = torch.randn(2, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(slerp(a, b, torch.zeros(5).double()), a)
    torch.testing.assert_close(slerp(a, b, torch.ones(5).double()), b)
    torch.testing.assert_close(slerp(a, a, torch.full((5,), 0.3).double()), a, rtol=1e-6, atol=1e-6)
    assert slerp(a, -a, torch.full((5,), 0.3).double()).isfinite().all()
    assert slerp(a, b, torch.full((5,), 0.5).double()).norm(dim=1).min() > 0.9 * min(
        a.norm(dim=1).min(), b.norm(dim=1).min()
    )


def test_trimmed() -> None:
    assert trimmed(np.array([5.0, 1, 1000, 2]), 0.25).tolist() == [2, 5]
    assert trimmed(np.array([5.0, 1])).tolist() == [1, 5]


@pytest.mark.parametrize(("pairs", "epsilon"), [(0, 0.1), (3, 0.0), (3, 1.0), (3, math.nan)])
def test_refusals(pairs: int, epsilon: float) -> None:
    with refused("measure.path_arguments"):
        path_lengths(Plain(), flat, pairs=pairs, epsilon=epsilon)

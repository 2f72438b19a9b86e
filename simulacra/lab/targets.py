"""Distributions of the plane with countable modes: a ring of eight, a grid of twenty-five, a Swiss roll."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

GOOD_DISTANCE = 3.0  # σ: largest distance of a good point from a centre (Srivastava et al. 2017, VEEGAN, section 4.1)
STRETCHES, CENTRES = 16, 1024  # of the roll


@dataclass(frozen=True, eq=False)
class PlaneTarget:
    """A mixture of equally likely round Gaussians. Each belongs to a mode; the modes are equally likely, too.

    Centres much closer together than sigma make a curve with noise.
    """

    centres: Tensor  # [K, 2]
    mode_of: Tensor  # [K] int64: each centre's mode
    sigma: float

    @property
    def modes(self) -> int:
        """Number of modes."""
        return int(self.mode_of.max()) + 1

    def draw(self, n: int, rng: np.random.Generator) -> Tensor:
        """`n` points [n, 2]."""
        noise = torch.from_numpy(rng.standard_normal((n, 2), dtype=np.float32))
        return self.centres[torch.from_numpy(rng.integers(len(self.centres), size=n))] + self.sigma * noise

    def log_density(self, points: Tensor) -> Tensor:
        """log p at `points` [N, 2], in nats: [N]."""
        squares = torch.cdist(points, self.centres).square()  # [N, K]
        scale = math.log(2 * math.pi * self.sigma**2 * len(self.centres))
        return torch.logsumexp(-squares / (2 * self.sigma**2), 1) - scale

    def assign(self, points: Tensor) -> Tensor:
        """The mode of each of `points` [N, 2]: [N] int64, -1 for a point farther than 3 σ from every centre."""
        nearest = torch.cdist(points, self.centres).min(1)
        return torch.where(nearest.values <= GOOD_DISTANCE * self.sigma, self.mode_of[nearest.indices], -1)


def ring() -> PlaneTarget:
    """Eight Gaussians on a circle of radius 2."""
    angles = torch.arange(8) * (math.pi / 4)
    centres = 2 * torch.stack([angles.cos(), angles.sin()], 1)
    return PlaneTarget(centres, torch.arange(8), 0.1)


def grid() -> PlaneTarget:
    """Twenty-five Gaussians, five by five, 1 apart."""
    ticks = torch.linspace(-2, 2, 5)
    return PlaneTarget(torch.cartesian_prod(ticks, ticks), torch.arange(25), 0.05)


def roll() -> PlaneTarget:
    """The spiral r = at, t = 1.5π to 4.5π, uniform along its length, with noise; its modes are 16 equal stretches."""
    t = np.linspace(1.5 * math.pi, 4.5 * math.pi, 20_001)
    length = (t * np.sqrt(1 + t**2) + np.arcsinh(t)) / 2  # of the spiral r = t
    lengths = (np.arange(CENTRES) + 0.5) / CENTRES
    t = np.interp(lengths, (length - length[0]) / (length[-1] - length[0]), t)
    centres = 2 / (4.5 * math.pi) * t[:, None] * np.stack([np.cos(t), np.sin(t)], 1)
    mode_of = torch.arange(CENTRES) * STRETCHES // CENTRES
    return PlaneTarget(torch.from_numpy(centres).float(), mode_of, 0.05)


TARGETS: Mapping[str, Callable[[], PlaneTarget]] = {"ring": ring, "grid": grid, "roll": roll}

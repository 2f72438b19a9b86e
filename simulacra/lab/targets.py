"""Distributions of the plane whose modes can be counted: a ring of eight, a grid of twenty-five, a swiss roll."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

NEAR = 3.0  # σ: a point is good when a centre is at most so far away (Srivastava et al. 2017, VEEGAN, section 4.1)
STRETCHES, CENTRES = 16, 1024  # of the roll


@dataclass(frozen=True, eq=False)
class Target:
    """Equally likely round Gaussians of the plane; each belongs to a mode, and the modes are equally likely too.

    A curve with noise is one of these as soon as its centres are much nearer to each other than sigma.
    """

    what: str
    centres: Tensor  # [K, 2]
    mode_of: Tensor  # [K] int64: each centre's mode
    sigma: float

    @property
    def modes(self) -> int:
        """How many there are to find."""
        return int(self.mode_of.max()) + 1

    def draw(self, n: int, source: np.random.Generator) -> Tensor:
        """`n` points [n, 2]."""
        noise = torch.from_numpy(source.standard_normal((n, 2), dtype=np.float32))
        return self.centres[torch.from_numpy(source.integers(len(self.centres), size=n))] + self.sigma * noise

    def log_density(self, points: Tensor) -> Tensor:
        """log p at `points` [N, 2], in nats: [N]."""
        squares = torch.cdist(points, self.centres).square()  # [N, K]
        scale = math.log(2 * math.pi * self.sigma**2 * len(self.centres))
        return torch.logsumexp(-squares / (2 * self.sigma**2), 1) - scale

    def assign(self, points: Tensor) -> Tensor:
        """The mode of each of `points` [N, 2]: [N] int64, -1 for a point that is not within 3 σ of any centre."""
        nearest = torch.cdist(points, self.centres).min(1)
        return torch.where(nearest.values <= NEAR * self.sigma, self.mode_of[nearest.indices], -1)


def ring() -> Target:
    """Eight Gaussians on a circle of radius 2."""
    angles = torch.arange(8) * (math.pi / 4)
    centres = 2 * torch.stack([angles.cos(), angles.sin()], 1)
    return Target("eight Gaussians on a circle", centres, torch.arange(8), 0.1)


def grid() -> Target:
    """Twenty-five Gaussians, five by five, 1 apart."""
    ticks = torch.linspace(-2, 2, 5)
    return Target("twenty-five Gaussians, five by five", torch.cartesian_prod(ticks, ticks), torch.arange(25), 0.05)


def roll() -> Target:
    """The spiral r = at from t = 1.5π to 4.5π, uniform along its length, with noise; its modes are equal stretches."""
    t = np.linspace(1.5 * math.pi, 4.5 * math.pi, 20_001)
    length = (t * np.sqrt(1 + t**2) + np.arcsinh(t)) / 2  # of the spiral r = t
    wanted = (np.arange(CENTRES) + 0.5) / CENTRES
    t = np.interp(wanted, (length - length[0]) / (length[-1] - length[0]), t)
    centres = 2 / (4.5 * math.pi) * t[:, None] * np.stack([np.cos(t), np.sin(t)], 1)
    mode_of = torch.arange(CENTRES) * STRETCHES // CENTRES
    return Target("a swiss roll: a curve, in sixteen stretches", torch.from_numpy(centres).float(), mode_of, 0.05)


TARGETS: Mapping[str, Callable[[], Target]] = {"ring": ring, "grid": grid, "roll": roll}

"""Mode coverage: how many modes fakes cover, how many fakes are good, and how evenly they spread over the modes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

FAIR_SHARE = 0.2  # a mode counts when it holds at least this share of N / modes good fakes


@dataclass(frozen=True)
class Coverage:
    """The result of `coverage`. Divergences are in nats, None if infinite or undefined."""

    modes: int
    good: float
    kl: float | None  # KL(fakes‖target) over the modes, of the good fakes
    kl_reverse: float | None  # KL(target‖fakes): infinite if any mode has no good fake


def coverage(assigned: Tensor, modes: int) -> Coverage:
    """Coverage of `modes` equally likely modes; assigned: the mode of each fake [N], -1 for one that is not good.

    VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018) count a mode from the first good fake, so that a few
    strays cover all. Here a mode must hold a fifth of N / modes: fakes spread evenly over the plane cover none.
    """
    counts = torch.bincount(assigned[assigned >= 0], minlength=modes).double()  # [modes]
    covered = int((counts >= FAIR_SHARE * len(assigned) / modes).sum())
    good = float(counts.sum() / len(assigned))
    if not good:
        return Coverage(covered, good, None, None)
    q = counts / counts.sum()
    reverse = float(-(q * modes).log().mean())
    return Coverage(covered, good, divergence(q), reverse if math.isfinite(reverse) else None)


def divergence(q: Tensor) -> float:
    """KL(q‖uniform) of a histogram q [M] that sums to 1, in nats."""
    return float((torch.special.xlogy(q, q) + q * math.log(len(q))).sum())

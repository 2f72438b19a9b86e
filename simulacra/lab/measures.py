"""How much of a target is found: modes, the share of good fakes, and how evenly they lie over the modes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

FAIR = 0.2  # a mode is found when it holds at least this share of the good fakes that are its due


@dataclass(frozen=True)
class Coverage:
    """What `coverage` found. The divergences are in nats, None where there is no finite number."""

    modes: int
    good: float
    kl: float | None  # KL(fakes‖target) over the modes, of the good fakes
    kl_reverse: float | None  # KL(target‖fakes): None, infinite, as soon as one mode has no good fake at all


def coverage(assigned: Tensor, modes: int) -> Coverage:
    """The coverage of `modes` equally likely modes by fakes whose modes are `assigned` [N], -1 for one that is not good.

    VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018) call a mode found as soon as one good fake lies in
    it, so that a few strays find them all. Here a mode must hold a fifth of its due, N / modes: a cloud that is spread
    evenly over the plane finds none.
    """
    counts = torch.bincount(assigned[assigned >= 0], minlength=modes).double()  # [modes]
    found = int((counts >= FAIR * len(assigned) / modes).sum())
    good = float(counts.sum() / len(assigned))
    if not good:
        return Coverage(found, good, None, None)
    q = counts / counts.sum()
    reverse = float(-(q * modes).log().mean())
    return Coverage(found, good, divergence(q), reverse if math.isfinite(reverse) else None)


def divergence(q: Tensor) -> float:
    """KL(q‖uniform) of a histogram q [M] that sums to 1, in nats."""
    return float((torch.special.xlogy(q, q) + q * math.log(len(q))).sum())

"""One Gaussian fitted to two: what each divergence asks for, forward and reverse KL and what stands behind GAN losses.

Everything is an integral over a line, done by quadrature in float64; q is N(μ, σ²), fitted by gradient descent on
(μ, log σ) from one and the same start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

Divergence = Callable[[Tensor, Tensor], Tensor]  # log p and log q on LINE -> nats
WEIGHTS, CENTRES, WIDTH = (0.6, 0.4), (-2.0, 2.0), 0.5  # the two Gaussians
START = (0.0, 3.0)  # μ and σ
STEPS, RATE = 400, 0.05  # of Adam
LINE = torch.linspace(-12, 12, 4801, dtype=torch.float64)
STEP = float(LINE[1] - LINE[0])


def integral(values: Tensor) -> Tensor:
    """Over the line; what is integrated vanishes long before its ends, where a plain sum is as good as any rule."""
    return values.sum() * STEP


def log_gaussian(centre: Tensor | float, width: Tensor | float) -> Tensor:
    """log N(x; centre, width²) on LINE."""
    width = torch.as_tensor(width, dtype=torch.float64)
    return -0.5 * ((LINE - centre) / width).square() - width.log() - 0.5 * math.log(2 * math.pi)


def mixture() -> Tensor:
    """log p on LINE."""
    parts = [math.log(w) + log_gaussian(c, WIDTH) for w, c in zip(WEIGHTS, CENTRES, strict=True)]
    return torch.logsumexp(torch.stack(parts), 0)


def moments() -> tuple[float, float]:
    """Mean and variance of the two together: what the forward KL's minimum must have."""
    mean = sum(w * c for w, c in zip(WEIGHTS, CENTRES, strict=True))
    return mean, WIDTH**2 + sum(w * (c - mean) ** 2 for w, c in zip(WEIGHTS, CENTRES, strict=True))


def kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    """KL(a‖b)."""
    return integral(log_a.exp() * (log_a - log_b))


def jensen_shannon(log_p: Tensor, log_q: Tensor) -> Tensor:
    """½ KL(p‖m) + ½ KL(q‖m), m = ½(p + q)."""
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return (kl(log_p, log_m) + kl(log_q, log_m)) / 2


class Objective(NamedTuple):
    """A divergence to descend and what it stands for."""

    formula: str
    what: str
    of: Divergence


OBJECTIVES: Mapping[str, Objective] = {
    "forward": Objective("KL(p‖q)", "maximum likelihood: covers every mode", kl),
    "js": Objective("JS(p, q)", "the minimax loss at the best D", jensen_shannon),
    "reverse": Objective("KL(q‖p)", "reverse: settles on a mode", lambda log_p, log_q: kl(log_q, log_p)),
    # 2 KL(½(p + q)‖p): a reverse KL, softened
    "non_saturating": Objective(
        "KL(q‖p) - 2 JS(p, q)",
        "the non-saturating loss at the best D",
        lambda log_p, log_q: kl(log_q, log_p) - 2 * jensen_shannon(log_p, log_q),
    ),
}


@dataclass(frozen=True)
class Fit:
    """Where the descent of one objective went: (μ, σ, value) after each step, from the start on."""

    path: list[tuple[float, float, float]]

    def describe(self, log_p: Tensor) -> dict[str, float]:
        """The end: μ, σ, all four objectives there, and the share of q nearer to each mode than to the other."""
        mu, sigma, _ = self.path[-1]
        log_q = log_gaussian(mu, sigma)
        told = {"mu": mu, "sigma": sigma} | {name: float(each.of(log_p, log_q)) for name, each in OBJECTIVES.items()}
        left = float(integral(log_q.exp() * LINE.lt(sum(CENTRES) / 2)))
        return {key: round(value, 6) for key, value in (told | {"left": left, "right": 1 - left}).items()}


def fit(divergence: Divergence, *, start: tuple[float, float] = START, steps: int = STEPS) -> Fit:
    """Descend a divergence to the mixture from `start` (μ, σ) by Adam, at a rate that falls to nothing as a cosine."""
    log_p = mixture()
    theta = torch.tensor([start[0], math.log(start[1])], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([theta], RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    path = []
    for step in range(steps + 1):
        value = divergence(log_p, log_gaussian(theta[0], theta[1].exp()))
        path.append((float(theta[0].detach()), math.exp(float(theta[1].detach())), float(value.detach())))
        if step < steps:
            (theta.grad,) = torch.autograd.grad(value, theta)
            optimizer.step()
            schedule.step()
    return Fit(path)

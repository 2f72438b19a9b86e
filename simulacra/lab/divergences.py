"""One Gaussian q = N(μ, σ²) fitted to a mixture p of two, under forward KL, reverse KL and the objectives behind GAN losses.

Integrals over a line are computed by quadrature in float64. All fits descend on (μ, log σ) from the same start.
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
    """Integral over LINE. Integrands vanish well before its ends, so a plain sum is as accurate as any rule."""
    return values.sum() * STEP


def log_gaussian(centre: Tensor | float, width: Tensor | float) -> Tensor:
    """log N(x; centre, width²) on LINE."""
    width = torch.as_tensor(width, dtype=torch.float64)
    return -0.5 * ((LINE - centre) / width).square() - width.log() - 0.5 * math.log(2 * math.pi)


def mixture() -> Tensor:
    """log p on LINE."""
    parts = [math.log(w) + log_gaussian(c, WIDTH) for w, c in zip(WEIGHTS, CENTRES, strict=True)]
    return torch.logsumexp(torch.stack(parts), 0)


def mixture_moments() -> tuple[float, float]:
    """Mean and variance of p, which the minimum of the forward KL must have."""
    mean = sum(w * c for w, c in zip(WEIGHTS, CENTRES, strict=True))
    return mean, WIDTH**2 + sum(w * (c - mean) ** 2 for w, c in zip(WEIGHTS, CENTRES, strict=True))


def kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    """KL(a‖b)."""
    return integral(log_a.exp() * (log_a - log_b))


def jensen_shannon(log_p: Tensor, log_q: Tensor) -> Tensor:
    """½ KL(p‖m) + ½ KL(q‖m), m = ½(p + q)."""
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return (kl(log_p, log_m) + kl(log_q, log_m)) / 2


class DivergenceObjective(NamedTuple):
    """A divergence to minimise."""

    formula: str
    meaning: str  # a code
    divergence: Divergence


OBJECTIVES: Mapping[str, DivergenceObjective] = {
    "forward": DivergenceObjective("KL(p‖q)", "lab.forward_kl", kl),
    "js": DivergenceObjective("JS(p, q)", "lab.jensen_shannon", jensen_shannon),
    "reverse": DivergenceObjective("KL(q‖p)", "lab.reverse_kl", lambda log_p, log_q: kl(log_q, log_p)),
    # 2 KL(½(p + q)‖p): a reverse KL, softened
    "non_saturating": DivergenceObjective(
        "KL(q‖p) - 2 JS(p, q)",
        "lab.non_saturating",
        lambda log_p, log_q: kl(log_q, log_p) - 2 * jensen_shannon(log_p, log_q),
    ),
}


@dataclass(frozen=True)
class Fit:
    """The path of one descent: (μ, σ, value) after each step, the start included."""

    path: list[tuple[float, float, float]]

    def summary(self, log_p: Tensor) -> dict[str, float]:
        """At the end: μ, σ, all four objectives, and the share of q nearer to each mode than to the other."""
        mu, sigma, _ = self.path[-1]
        log_q = log_gaussian(mu, sigma)
        values = {"mu": mu, "sigma": sigma}
        values |= {name: float(objective.divergence(log_p, log_q)) for name, objective in OBJECTIVES.items()}
        left = float(integral(log_q.exp() * LINE.lt(sum(CENTRES) / 2)))
        return {key: round(value, 6) for key, value in (values | {"left": left, "right": 1 - left}).items()}


def fit(divergence: Divergence, *, start: tuple[float, float] = START, steps: int = STEPS) -> Fit:
    """Minimise a divergence to the mixture from `start` (μ, σ), by Adam with a rate that falls to zero as a cosine."""
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

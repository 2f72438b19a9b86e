"""Distribution of a model's own latents, so that a search can stay close to it.

Whitened coordinates u: w = w̄ + u Λ^½ Eᵀ, with w̄ the mean of the model's w, Λ and E the eigenvalues and eigenvectors of
their covariance, so ‖u‖ is the Mahalanobis distance from the mean. Without a mapping network w is z, whose prior is
known. A normal prior has ‖u‖/√d in a thin shell around 1; a uniform one is a box.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from simulacra.generator import Generator

DRAWS = 4096  # w drawn for the statistics
SHARE = 0.95  # of them inside `high`
FLOOR = 1e-4  # of the largest variance: thinner directions change next to nothing


class LatentPrior(NamedTuple):
    """Mean, axes and radii of a model's latents."""

    mean: Tensor  # [d]
    axes: Tensor  # [d, d]: a step of u -> a step of w
    low: float  # bounds of ‖u‖/√d for most of the model's latents
    high: float
    box: bool  # a uniform prior: each number is in [-1, 1]

    def from_whitened(self, u: Tensor) -> Tensor:
        """u [..., d] -> z where the model has no mapping network, else w."""
        w = self.mean + u @ self.axes
        return w.clamp(-1, 1) if self.box else w

    def whiten(self, w: Tensor) -> Tensor:
        """z or w [..., d] -> u."""
        u: Tensor = (w - self.mean) @ torch.linalg.inv(self.axes)
        return u

    def radius(self, u: Tensor) -> Tensor:
        """‖u‖/√d of u [N, d], or its mean over layers of u [N, L, d]: [N], about 1 for the model's latents."""
        radius = (u.square().mean(-1) + 1e-12).sqrt()
        return radius if radius.dim() == 1 else radius.mean(1)

    def penalty(self, u: Tensor) -> Tensor:
        """Squared distance [N] of the radius of u [N, d] or [N, L, d] from [low, high]; 0 inside."""
        radius = (u.square().mean(-1) + 1e-12).sqrt()
        outside = (radius - radius.clamp(self.low, self.high)).square()
        return outside if outside.dim() == 1 else outside.mean(1)


@torch.no_grad()
def latent_prior(generator: Generator) -> LatentPrior:
    """The distribution of a model's latents: its prior, or statistics of `DRAWS` of its w."""
    device, d = generator.device, generator.w_dim
    if not generator.num_ws:
        scale = 3**-0.5 if generator.prior == "uniform" else 1.0
        edge = 2 * (2 * d) ** -0.5  # the standard deviation of ‖z‖/√d is about 1/√(2d)
        box = generator.prior == "uniform"
        axes = torch.eye(d, device=device) * scale
        return LatentPrior(torch.zeros(d, device=device), axes, max(0.0, 1 - edge), 1 + edge, box)
    parts = [range(start, start + 256) for start in range(0, DRAWS, 256)]
    w = torch.cat([generator.mapping(generator.seeded(part), generator.conditions(part)) for part in parts])
    w = w.cpu().double()
    mean = w.mean(0)
    variances, vectors = torch.linalg.eigh((w - mean).T.cov())
    scales = variances.clamp(min=FLOOR * float(variances.max()) + 1e-12).sqrt()
    axes = scales[:, None] * vectors.T
    radii = ((w - mean) @ torch.linalg.inv(axes)).square().mean(1).sqrt()
    # no lower bound: truncation leads to the mean, so latents near it are usual
    return LatentPrior(mean.float().to(device), axes.float().to(device), 0.0, float(radii.quantile(SHARE)), False)

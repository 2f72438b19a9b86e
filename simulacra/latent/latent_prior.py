"""Where a model's own latents lie, so that a search for one can stay there.

Numbers u stand for latents: w = w̄ + u Λ^½ Eᵀ, with w̄ the mean of the model's own w, Λ and E their variances and
directions, so that ‖u‖ is the Mahalanobis distance from the mean. Without a mapping network w is z, whose prior is
known. A normal prior puts ‖u‖/√d in a thin shell around 1; a uniform one is a box.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from simulacra.generator import Generator

DRAWS = 4096  # of the model's own w
SHARE = 0.95  # of them, that lie inside
FLOOR = 1e-4  # of the largest variance: in thinner directions there is next to nothing to find


class Near(NamedTuple):
    """What is known of a model's own latents."""

    centre: Tensor  # [d]
    axes: Tensor  # [d, d]: a step of u -> a step of w
    low: float  # of ‖u‖/√d, where most of the model's own lie
    high: float
    box: bool  # a uniform prior: each number is from -1 to 1

    def latent(self, u: Tensor) -> Tensor:
        """u [..., d] -> z where the model has no mapping network, else w."""
        w = self.centre + u @ self.axes
        return w.clamp(-1, 1) if self.box else w

    def numbers(self, w: Tensor) -> Tensor:
        """The way back: z or w [..., d] -> u."""
        u: Tensor = (w - self.centre) @ torch.linalg.inv(self.axes)
        return u

    def length(self, u: Tensor) -> Tensor:
        """‖u‖/√d of u [N, d], or the mean over layers of u [N, L, d]: about 1 for the model's own."""
        size = (u.square().mean(-1) + 1e-12).sqrt()
        return size if size.dim() == 1 else size.mean(1)

    def strayed(self, u: Tensor) -> Tensor:
        """How far u [N, d] or [N, L, d] lies outside of where most of the model's own are: [N], squared; 0 inside."""
        size = (u.square().mean(-1) + 1e-12).sqrt()
        outside = (size - size.clamp(self.low, self.high)).square()
        return outside if outside.dim() == 1 else outside.mean(1)


@torch.no_grad()
def near(generator: Generator) -> Near:
    """What is known of this model's own latents: of its prior, or of `DRAWS` of its w."""
    device, d = generator.device, generator.w_dim
    if not generator.num_ws:
        spread = 3**-0.5 if generator.prior == "uniform" else 1.0
        edge = 2 * (2 * d) ** -0.5  # the standard deviation of ‖z‖/√d is about 1/√(2d)
        box = generator.prior == "uniform"
        axes = torch.eye(d, device=device) * spread
        return Near(torch.zeros(d, device=device), axes, max(0.0, 1 - edge), 1 + edge, box)
    parts = [range(start, start + 256) for start in range(0, DRAWS, 256)]
    w = (
        torch.cat([generator.mapping(generator.seeded(part), generator.labelled(part)) for part in parts])
        .cpu()
        .double()
    )
    centre = w.mean(0)
    variances, directions = torch.linalg.eigh((w - centre).T.cov())
    scale = variances.clamp(min=FLOOR * float(variances.max()) + 1e-12).sqrt()
    axes = scale[:, None] * directions.T
    size = ((w - centre) @ torch.linalg.inv(axes)).square().mean(1).sqrt()
    # nearer to the mean is no stranger: that is where truncation leads
    return Near(centre.float().to(device), axes.float().to(device), 0.0, float(size.quantile(SHARE)), False)

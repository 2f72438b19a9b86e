"""Pseudo-pairs between two unpaired domains, by optimal transport between their latest pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra.settings import Shape
from simulacra.translator import OTHER, Side

CHUNK = 64  # pictures converted to floats at once
SIDE = 16  # px of the downscaled pictures in comparisons
BLUR = 0.02  # weight of the plan's entropy, relative to the mean cost
ROUNDS = 50  # iterations of Sinkhorn's algorithm


def transport(cost: Tensor, blur: float = BLUR, rounds: int = ROUNDS) -> Tensor:
    """The entropic optimal transport plan [N, M] between uniform masses, for a cost [N, M]; its sum is 1.

    Cuturi 2013, algorithm 1. blur: weight of the entropy, relative to the mean of the cost after row and column minima
    are subtracted.
    """
    excess = cost - cost.amin(1, keepdim=True)
    excess = excess - excess.amin(0, keepdim=True)  # no row or column underflows; the plan is unchanged
    tiny = torch.finfo(cost.dtype).tiny
    kernel = torch.exp(-excess / (blur * excess.mean()).clamp_min(tiny))
    n, m = cost.shape
    rows, columns = cost.new_ones(n), cost.new_ones(m)
    for _ in range(rounds):
        columns = 1 / m / (kernel.T @ rows).clamp_min(tiny)
        rows = 1 / n / (kernel @ columns).clamp_min(tiny)
    return rows[:, None] * kernel * columns


def downscale(images: Tensor) -> Tensor:
    """Pictures [N, C, H, W] at most `SIDE` px high and wide, as rows [N, values]."""
    height, width = images.shape[2:]
    return F.adaptive_avg_pool2d(images.float(), (min(height, SIDE), min(width, SIDE))).flatten(1)


def pairwise_l1(one: Tensor, other: Tensor) -> Tensor:
    """Mean absolute differences [N, M] between downscaled pictures [N, values] and [M, values]."""
    return torch.cdist(one, other, p=1) / one.shape[1]


class PseudoPairBank(nn.Module):
    """Buffers of `size` uint8 pictures per domain, each with the index of its pseudo-pair in the other domain.

    New pictures are collected separately; `commit` replaces all paired ones with them, before the next `assign`.
    """

    def __init__(self, size: int, shape: Shape) -> None:
        super().__init__()
        self.size = size
        for side in OTHER:
            for kind in ("coming", "images"):
                self.register_buffer(f"{kind}_{side}", torch.zeros(size, *shape, dtype=torch.uint8))
            self.register_buffer(f"match_{side}", torch.zeros(size, dtype=torch.int64))

    @torch.no_grad()
    def add(self, images: Mapping[Side, Tensor], start: int) -> None:
        """Collect pictures [N, C, H, W] of each domain in place of the oldest. start: pictures added before."""
        for side, new in images.items():
            rows = torch.arange(start, start + len(new), device=new.device)[-self.size :] % self.size
            self.get_buffer(f"coming_{side}")[rows] = ((new[-self.size :] + 1) * 127.5).round().to(torch.uint8)

    @torch.no_grad()
    def commit(self) -> None:
        """Replace the paired pictures with the collected ones; call `assign` next."""
        for side in OTHER:
            self.get_buffer(f"images_{side}").copy_(self.get_buffer(f"coming_{side}"))

    def images(self, side: Side, rows: Tensor | slice = slice(None)) -> Tensor:
        """Paired pictures of a domain [N, C, H, W] in [-1, 1]."""
        return self.get_buffer(f"images_{side}")[rows].float() / 127.5 - 1

    def chunks(self, side: Side) -> Iterator[Tensor]:
        """All paired pictures of a domain, `CHUNK` at a time."""
        return (self.images(side, slice(start, start + CHUNK)) for start in range(0, self.size, CHUNK))

    @torch.no_grad()
    def assign(self, cost: Tensor) -> None:
        """Recompute the pairs. cost: [size, size], pictures of a by pictures of b."""
        plan = transport(cost)
        for dim, side in enumerate(OTHER):
            self.get_buffer(f"match_{side}").copy_(plan.argmax(1 - dim))

    def draw(self, side: Side, n: int) -> tuple[Tensor, Tensor]:
        """n random paired pictures [n, C, H, W] of a domain, and their pseudo-pairs."""
        mine, matches = self.get_buffer(f"images_{side}"), self.get_buffer(f"match_{side}")
        rows = torch.randint(self.size, (n,), device=mine.device)
        return self.images(side, rows), self.images(OTHER[side], matches[rows])

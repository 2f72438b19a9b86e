"""Which picture of one domain goes with which of the other, where nobody says so: optimal transport between the last of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra.settings import Shape
from simulacra.translator import OTHER, Side

AT_ONCE = 64  # pictures that become floats together
SIDE = 16  # px that pictures are reduced to where they are compared
BLUR = 0.02  # of the mean cost: how much dearer a match may be and still be weighed
ROUNDS = 50  # of Sinkhorn's scaling


def transport(cost: Tensor, blur: float = BLUR, rounds: int = ROUNDS) -> Tensor:
    """The plan [N, M], all entries 1 together, that carries N equal masses to M others at the least cost [N, M], blurred.

    Cuturi 2013, algorithm 1; `blur`, the weight of the plan's entropy, is told in means of the cost above the cheapest
    of its row and column.
    """
    above = cost - cost.amin(1, keepdim=True)
    above = above - above.amin(0, keepdim=True)  # no row and no column vanishes; neither step moves the plan
    tiny = torch.finfo(cost.dtype).tiny
    kernel = torch.exp(-above / (blur * above.mean()).clamp_min(tiny))
    n, m = cost.shape
    rows, columns = cost.new_ones(n), cost.new_ones(m)
    for _ in range(rounds):
        columns = 1 / m / (kernel.T @ rows).clamp_min(tiny)
        rows = 1 / n / (kernel @ columns).clamp_min(tiny)
    return rows[:, None] * kernel * columns


def reduced(images: Tensor) -> Tensor:
    """Pictures [N, C, H, W] as they are compared: at most `SIDE` px high and wide, as rows [N, values]."""
    height, width = images.shape[2:]
    return F.adaptive_avg_pool2d(images.float(), (min(height, SIDE), min(width, SIDE))).flatten(1)


def apart(one: Tensor, other: Tensor) -> Tensor:
    """The mean differences [N, M] of reduced pictures [N, values] and [M, values]."""
    return torch.cdist(one, other, p=1) / one.shape[1]


class Matches(nn.Module):
    """`size` pictures of two domains, as 8 bits, and for each the best match among those of the other: buffers.

    Those that come are gathered beside the matched ones, and take their places all at once, when they are matched.
    """

    def __init__(self, size: int, shape: Shape) -> None:
        super().__init__()
        self.size = size
        for side in OTHER:
            for kind in ("coming", "images"):
                self.register_buffer(f"{kind}_{side}", torch.zeros(size, *shape, dtype=torch.uint8))
            self.register_buffer(f"match_{side}", torch.zeros(size, dtype=torch.int64))

    @torch.no_grad()
    def keep(self, images: Mapping[Side, Tensor], seen: int) -> None:
        """Gather pictures [N, C, H, W] of each domain, in the places of the oldest; seen: how many came before these."""
        for side, each in images.items():
            rows = torch.arange(seen, seen + len(each), device=each.device)[-self.size :] % self.size
            self.get_buffer(f"coming_{side}")[rows] = ((each[-self.size :] + 1) * 127.5).round().to(torch.uint8)

    @torch.no_grad()
    def renew(self) -> None:
        """Let what was gathered be what is matched; `match` is to follow."""
        for side in OTHER:
            self.get_buffer(f"images_{side}").copy_(self.get_buffer(f"coming_{side}"))

    def images(self, side: Side, rows: Tensor | slice = slice(None)) -> Tensor:
        """What is matched of a domain [N, C, H, W], in [-1, 1]."""
        return self.get_buffer(f"images_{side}")[rows].float() / 127.5 - 1

    def parts(self, side: Side) -> Iterator[Tensor]:
        """The same, some at a time."""
        return (self.images(side, slice(start, start + AT_ONCE)) for start in range(0, self.size, AT_ONCE))

    @torch.no_grad()
    def match(self, cost: Tensor) -> None:
        """Match; cost [size, size]: of the first domain's pictures with the second's."""
        plan = transport(cost)
        for dim, side in enumerate(OTHER):
            self.get_buffer(f"match_{side}").copy_(plan.argmax(1 - dim))

    def draw(self, side: Side, n: int) -> tuple[Tensor, Tensor]:
        """n of the matched pictures [N, C, H, W] of a domain, and their matches."""
        mine, matches = self.get_buffer(f"images_{side}"), self.get_buffer(f"match_{side}")
        rows = torch.randint(self.size, (n,), device=mine.device)
        return self.images(side, rows), self.images(OTHER[side], matches[rows])

"""What the generators with a mapping network share: w for each layer, their mean, truncation and mixing."""

from __future__ import annotations

import torch
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.generator import Generator, Layers
from simulacra.settings import Settings

FOLLOW = 0.005  # how fast the mean w follows, a play of G


class StyledGenerator(Generator):
    """A generator each of whose layers can have a w of its own; `render` takes [N, w] or [N, styles, w]."""

    def __init__(self, config: Settings, *, styles: int, w: int) -> None:
        super().__init__(config)
        self.styles = styles
        self.register_buffer("centre", torch.zeros(w))  # w̄, the mean w
        self.centre: Tensor

    @property
    def w_dim(self) -> int:
        """Numbers of w."""
        return len(self.centre)

    @torch.no_grad()
    def follow(self, w: Tensor) -> None:
        """The mean w moves towards that of w [N, w]."""
        self.centre.lerp_(w.mean(0).to(self.centre.dtype), FOLLOW)

    def truncate(self, w: Tensor, psi: float, y: Tensor | None = None, layers: Layers = None) -> Tensor:
        """w [N, w] or [N, L, w] -> w̄ + ψ (w - w̄), w̄ the mean w; [N, L, w] where only some layers are truncated."""
        pulled = torch.lerp(self.centre, w, psi)
        if layers is None:
            return pulled
        first, end = layers
        if not 0 <= first < end <= self.styles:
            raise SimulacraError(f"Layers {first} to {end} cannot be truncated: this model has {self.styles}, from 0.")
        chosen = torch.zeros(self.styles, 1, dtype=torch.bool, device=w.device)
        chosen[first:end] = True
        return torch.where(chosen, self.each(pulled), self.each(w))

    def each(self, w: Tensor) -> Tensor:
        """w [N, w] or [N, L, w] -> [N, L, w], one for each layer."""
        return w if w.dim() == 3 else w[:, None].expand(-1, self.styles, -1)

    def mixed(self, n: int, y: Tensor | None = None, *, share: float, layers: int | None = None) -> Tensor:
        """n fresh w with labels y, one a layer [n, L, w], a `share` of them mixed from two (Karras et al. 2019, 3.1).

        layers: how many are in use, all if not given: the other w takes over at a random one of them.
        """
        layers = layers or self.styles
        one, other = self.embed(self.draw(2 * n), y if y is None else y.repeat(2, 1)).chunk(2)
        crossover = torch.randint(1, layers, (n, 1), device=one.device)
        crossover = torch.where(torch.rand(n, 1, device=one.device) < share, crossover, layers)
        before = torch.arange(self.styles, device=one.device) < crossover  # [n, L]
        return torch.where(before[:, :, None], one[:, None], other[:, None])

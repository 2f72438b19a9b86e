"""What the generators with a mapping network share: w for each layer, their mean, truncation and mixing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.generator import Generator, Layers
from simulacra.layers.renamed import RenamedTensors
from simulacra.settings import Settings

FOLLOW = 0.005  # how fast the mean w follows, a play of G


class StyledGenerator(RenamedTensors, Generator):
    """A generator each of whose layers can have a w of its own; `render` takes [N, w] or [N, num_ws, w]."""

    renamed_tensors: ClassVar[Mapping[str, str]] = {"centre": "w_avg", "mapping": "mapping_network"}

    def __init__(self, config: Settings, *, num_ws: int, w: int) -> None:
        super().__init__(config)
        self.num_ws = num_ws
        self.register_buffer("w_avg", torch.zeros(w))  # w̄, the mean w
        self.w_avg: Tensor

    @property
    def w_dim(self) -> int:
        """Numbers of w."""
        return len(self.w_avg)

    @torch.no_grad()
    def follow(self, w: Tensor) -> None:
        """The mean w moves towards that of w [N, w]."""
        self.w_avg.lerp_(w.mean(0).to(self.w_avg.dtype), FOLLOW)

    def truncate(self, w: Tensor, psi: float, y: Tensor | None = None, layers: Layers = None) -> Tensor:
        """w [N, w] or [N, L, w] -> w̄ + ψ (w - w̄), w̄ the mean w; [N, L, w] where only some layers are truncated."""
        pulled = torch.lerp(self.w_avg, w, psi)
        if layers is None:
            return pulled
        first, end = layers
        if not 0 <= first < end <= self.num_ws:
            raise SimulacraError(f"Layers {first} to {end} cannot be truncated: this model has {self.num_ws}, from 0.")
        chosen = torch.zeros(self.num_ws, 1, dtype=torch.bool, device=w.device)
        chosen[first:end] = True
        return torch.where(chosen, self.each(pulled), self.each(w))

    def each(self, w: Tensor) -> Tensor:
        """w [N, w] or [N, L, w] -> [N, L, w], one for each layer."""
        return w if w.dim() == 3 else w[:, None].expand(-1, self.num_ws, -1)

    def mixed(self, n: int, y: Tensor | None = None, *, share: float, layers: int | None = None) -> Tensor:
        """n fresh w with labels y, one a layer [n, L, w], a `share` of them mixed from two (Karras et al. 2019, 3.1).

        layers: how many are in use, all if not given: the other w takes over at a random one of them.
        """
        layers = layers or self.num_ws
        one, other = self.mapping(self.draw(2 * n), y if y is None else y.repeat(2, 1)).chunk(2)
        crossover = torch.randint(1, layers, (n, 1), device=one.device)
        crossover = torch.where(torch.rand(n, 1, device=one.device) < share, crossover, layers)
        before = torch.arange(self.num_ws, device=one.device) < crossover  # [n, L]
        return torch.where(before[:, :, None], one[:, None], other[:, None])

"""`StyledGenerator`: w per layer, its moving average, truncation and style mixing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.generator import Generator, Layers
from simulacra.layers.renamed import RenamedTensors
from simulacra.settings import Settings

W_AVG_RATE = 0.005  # rate of the moving average of w per step of G


class StyledGenerator(RenamedTensors, Generator):
    """A generator with w per layer: `synthesis` takes [N, w] or [N, num_ws, w], and optionally each layer's noise."""

    has_noise: ClassVar[bool] = True

    renamed_tensors: ClassVar[Mapping[str, str]] = {"centre": "w_avg", "mapping": "mapping_network"}

    def __init__(self, config: Settings, *, num_ws: int, w: int) -> None:
        super().__init__(config)
        self.num_ws = num_ws
        self.register_buffer("w_avg", torch.zeros(w))  # w̄, the moving average of w
        self.w_avg: Tensor

    @property
    def w_dim(self) -> int:
        """Size of w."""
        return len(self.w_avg)

    def stored_noise(self) -> list[Tensor]:
        """The noise of each layer outside of training [1, 1, H, W]."""
        raise TypeError(f"{type(self).__name__} must define stored_noise")

    def synthesis(self, w: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """w -> pictures [N, C, H, W]. noise: of each layer [1 or N, 1, H, W]; None: random in training, else the stored one."""
        raise TypeError(f"{type(self).__name__} must define synthesis")

    def render(self, w: Tensor, noise: int | None = None) -> Tensor:
        """w -> pictures [N, C, H, W]; noise: seed that draws the layers' noise anew, the same for all pictures."""
        if noise is None:
            return self.synthesis(w)
        source = torch.Generator().manual_seed(noise)
        return self.synthesis(w, [torch.randn(old.shape, generator=source).to(old) for old in self.stored_noise()])

    @torch.no_grad()
    def update_w_avg(self, w: Tensor) -> None:
        """Move w̄ towards the mean of w [N, w]."""
        self.w_avg.lerp_(w.mean(0).to(self.w_avg.dtype), W_AVG_RATE)

    def truncate(self, w: Tensor, psi: float, y: Tensor | None = None, layers: Layers = None) -> Tensor:
        """w [N, w] or [N, L, w] -> w̄ + ψ (w - w̄) of the same shape; with `layers`, [N, L, w] truncated only in these."""
        truncated = torch.lerp(self.w_avg, w, psi)
        if layers is None:
            return truncated
        first, end = layers
        if not 0 <= first < end <= self.num_ws:
            raise SimulacraError("generator.no_such_layers", first=first, end=end, count=self.num_ws)
        mask = torch.zeros(self.num_ws, 1, dtype=torch.bool, device=w.device)
        mask[first:end] = True
        return torch.where(mask, self.broadcast_ws(truncated), self.broadcast_ws(w))

    def broadcast_ws(self, w: Tensor) -> Tensor:
        """w [N, w] or [N, L, w] -> [N, L, w], a w per layer."""
        return w if w.dim() == 3 else w[:, None].expand(-1, self.num_ws, -1)

    def mixed_ws(self, n: int, y: Tensor | None = None, *, share: float, layers: int | None = None) -> Tensor:
        """Draw n random w per layer [n, L, w] for labels y, a `share` with style mixing (Karras et al. 2019, section 3.1).

        layers: number of layers in use, default all; the second w takes over at a random one of them.
        """
        layers = layers or self.num_ws
        one, other = self.mapping(self.draw(2 * n), y if y is None else y.repeat(2, 1)).chunk(2)
        crossover = torch.randint(1, layers, (n, 1), device=one.device)
        crossover = torch.where(torch.rand(n, 1, device=one.device) < share, crossover, layers)
        before = torch.arange(self.num_ws, device=one.device) < crossover  # [n, L]
        return torch.where(before[:, :, None], one[:, None], other[:, None])

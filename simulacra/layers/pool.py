"""A replay buffer of earlier fakes for a discriminator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra.settings import Shape

Name = TypeVar("Name", bound=str)


class Pool(nn.Module):
    """Buffers of at most `size` earlier pictures per name (Shrivastava et al. 2017, section 2.3).

    Pictures of different names that arrive together are kept or replaced together. Set `seen`, the pictures so far,
    before each call: it follows from the steps, so that nothing is read back from the device.
    """

    def __init__(self, size: int, shapes: Mapping[Name, Shape]) -> None:
        super().__init__()
        self.size, self.seen = size, 0
        for name, shape in shapes.items():  # the last row takes those that are not kept
            self.register_buffer(name, torch.zeros(size + 1, *shape))

    def forward(self, fresh: Mapping[Name, Tensor]) -> tuple[dict[Name, Tensor], Tensor]:
        """Pictures to show for fresh ones [N, C, H, W] per name, and the row [N] that each fresh one will take, or -1.

        While the pool fills, all fresh ones are shown and kept. Then each has a chance of 1/2 to be shown and dropped; else
        it replaces an earlier one, which is shown instead.
        """
        first = next(iter(fresh.values()))
        n, device = len(first), first.device
        if self.seen < self.size:
            rows = torch.arange(self.seen, self.seen + n, device=device)
            return dict(fresh), torch.where(rows < self.size, rows, -1)
        rows_out = torch.randperm(self.size, device=device)[:n]  # each row once
        rest = n - len(rows_out)
        swapped = F.pad(torch.rand(len(rows_out), device=device) < 0.5, (0, rest))
        rows = torch.where(swapped, F.pad(rows_out, (0, rest)), -1)
        again = swapped[:, None, None, None]
        return {name: torch.where(again, self.get_buffer(name)[rows], images) for name, images in fresh.items()}, rows

    @torch.no_grad()
    def keep(self, fresh: Mapping[Name, Tensor], rows: Tensor) -> None:
        """Store fresh pictures in the rows that the call returned."""
        for name, images in fresh.items():
            self.get_buffer(name)[rows] = images

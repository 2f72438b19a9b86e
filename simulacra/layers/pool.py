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

    Pictures at the same index of different names are stored or replaced together. Set `count`, the pictures before this
    call, before each call: it follows from the number of steps, so nothing is read back from the device.
    """

    def __init__(self, size: int, shapes: Mapping[Name, Shape]) -> None:
        super().__init__()
        self.size, self.count = size, 0
        for name, shape in shapes.items():  # pictures with row -1 go to the last row
            self.register_buffer(name, torch.zeros(size + 1, *shape))

    def forward(self, fresh: Mapping[Name, Tensor]) -> tuple[dict[Name, Tensor], Tensor]:
        """Pictures for D in place of fresh ones [N, C, H, W] per name, and the rows [N] in which to store these, or -1.

        Until the pool is full, D gets all fresh pictures and the pool stores them. Then a fresh picture goes to D with
        probability 1/2 and is not stored; otherwise it replaces an earlier one, which goes to D.
        """
        first = next(iter(fresh.values()))
        n, device = len(first), first.device
        if self.count < self.size:
            rows = torch.arange(self.count, self.count + n, device=device)
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

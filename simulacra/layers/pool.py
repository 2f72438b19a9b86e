"""Fakes of some time ago, which a discriminator is shown again, so that it forgets none of G's ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra.settings import Shape

Name = TypeVar("Name", bound=str)


class Pool(nn.Module):
    """At most `size` earlier pictures of each kind (Shrivastava et al. 2017, section 2.3), as buffers.

    Those of different kinds that come together have the same fate. `seen`, how many have come so far, is to be set
    before each call: it follows from the plays, and nothing is read back from the device.
    """

    def __init__(self, size: int, shapes: Mapping[Name, Shape]) -> None:
        super().__init__()
        self.size, self.seen = size, 0
        for name, shape in shapes.items():  # the last row is where those go that are not to be kept
            self.register_buffer(name, torch.zeros(size + 1, *shape))

    def forward(self, fresh: Mapping[Name, Tensor]) -> tuple[dict[Name, Tensor], Tensor]:
        """What is to be shown of fresh pictures [N, C, H, W] of each kind, and the row [N] that each will take, or -1.

        Until the pool is full each goes into it and is shown. Then half of them are shown, and the others take the place
        of an earlier one each, which is shown instead.
        """
        one = next(iter(fresh.values()))
        n, device = len(one), one.device
        if self.seen < self.size:
            rows = torch.arange(self.seen, self.seen + n, device=device)
            return dict(fresh), torch.where(rows < self.size, rows, -1)
        drawn = torch.randperm(self.size, device=device)[:n]  # each row once
        rest = n - len(drawn)
        swapped = F.pad(torch.rand(len(drawn), device=device) < 0.5, (0, rest))
        rows = torch.where(swapped, F.pad(drawn, (0, rest)), -1)
        again = swapped[:, None, None, None]
        return {name: torch.where(again, self.get_buffer(name)[rows], each) for name, each in fresh.items()}, rows

    @torch.no_grad()
    def keep(self, fresh: Mapping[Name, Tensor], rows: Tensor) -> None:
        """Put the pictures into the rows that they were told."""
        for name, each in fresh.items():
            self.get_buffer(name)[rows] = each

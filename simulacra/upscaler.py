"""`Upscaler`, the contract of a model that enlarges pictures to twice their height and width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import torch
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.model import Model, Task

FACTOR = 2  # of every upscaler; for more, one works behind the other


class Upscaler(Model):
    """A model that takes pictures of any height and width to `FACTOR` times these. `shape`: of its originals."""

    task: ClassVar[Task] = "upscale"

    def upscale(self, images: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] -> [N, C, 2H, 2W] float32 in [-1, 1]."""
        enlarged: Tensor = self(images)
        return enlarged.float().clamp(-1, 1)

    @torch.no_grad()
    def upscaled(self, images: Iterable[Tensor]) -> Iterator[Tensor]:
        """`upscale` for batches on any device, one by one, without gradients."""
        self.eval()
        for batch in images:
            yield self.upscale(batch.to(self.device))


def as_upscaler(model: Model) -> Upscaler:
    """`model` if it enlarges pictures. Raises `SimulacraError` for another one."""
    if not isinstance(model, Upscaler):
        raise SimulacraError("cascade.not_an_upscaler")
    return model

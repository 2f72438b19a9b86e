"""The exponential moving average of G's weights: the model that checkpoints hold."""

from __future__ import annotations

import copy
from typing import Any

import torch

from simulacra.model import Model

RAMP = 0.05  # half-life / images shown so far, at most: an early average must not be stale


class EMA:
    """`average`, a copy of G whose weights and buffers follow those of G with a half-life in images."""

    def __init__(self, generator: Model, half_life: float) -> None:
        self.half_life = half_life
        self.nimg = 0  # at the last update
        self.average: Any = copy.deepcopy(generator).eval().requires_grad_(False)
        pairs = list(zip(self.average.state_dict().values(), generator.state_dict().values(), strict=True))  # ours, G's
        self._floats = [(mine, theirs) for mine, theirs in pairs if mine.is_floating_point()]
        self._others = [(mine, theirs) for mine, theirs in pairs if not mine.is_floating_point()]

    def decay(self, shown: int, nimg: int, half_life: float | None = None) -> float:
        """The factor on the old average, `shown` images after the last update and `nimg` in all."""
        half_life = min(self.half_life, RAMP * nimg) if half_life is None else half_life
        return 0.5 ** (shown / half_life) if half_life > 0 else 0.0

    @torch.no_grad()
    def update(self, nimg: int, half_life: float | None = None) -> None:
        """Move the average after a step of G, at `nimg` images in all; half_life: instead of the constant one."""
        mine, theirs = [pair[0] for pair in self._floats], [pair[1] for pair in self._floats]
        torch._foreach_lerp_(mine, theirs, 1 - self.decay(nimg - self.nimg, nimg, half_life))
        self.nimg = nimg
        for old, new in self._others:
            old.copy_(new)

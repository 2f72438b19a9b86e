"""`Model`: what every trained model has; a `Generator` draws, a `Translator` translates, an `Upscaler` enlarges."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import nn

from simulacra.settings import Settings

Task = Literal["draw", "translate", "upscale"]


class Model(nn.Module):
    """A trained model as it is stored, sampled and exported; `task` says which of its subclasses it is.

    shape: (C, H, W) of the pictures it was trained on. classes: names of its classes, attributes or domains.
    """

    task: ClassVar[Task]

    def __init__(self, config: Settings) -> None:
        super().__init__()
        self.shape = config.shape
        self.classes: tuple[str, ...] = ()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

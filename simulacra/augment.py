"""What D sees of reals and fakes alike, so that few pictures last longer."""

from __future__ import annotations

from torch import Tensor, nn

from simulacra.settings import Settings


class Augment(nn.Module):
    """No augmentation."""

    def forward(self, images: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] -> the same shape; differentiable, any number of times."""
        return images

    def saw(self, real: Tensor, fake: Tensor, *, critic: bool) -> None:
        """Take note of D's outputs [N], [N] after each play of D."""


def make(config: Settings) -> Augment:
    """The augmentation that `config.augment` names."""
    return Augment()

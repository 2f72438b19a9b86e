"""Augmentation of everything that D sees, reals and fakes alike: for small data sets."""

from __future__ import annotations

from simulacra.augment.ada import AdaptiveAugment
from simulacra.augment.base import Augment as Augment
from simulacra.augment.diff import Differentiable
from simulacra.settings import Settings


def make(config: Settings) -> Augment:
    """The augmentation that `config.augment` names."""
    if config.augment == "ada":
        return AdaptiveAugment(config)
    return Differentiable(config) if config.augment == "diff" else Augment()

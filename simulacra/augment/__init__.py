"""Augmentation of reals and fakes before D, for small data sets."""

from __future__ import annotations

from simulacra.augment.ada import AdaptiveAugment
from simulacra.augment.base import Augment as Augment
from simulacra.augment.diff import DiffAugment
from simulacra.settings import Settings


def make(config: Settings) -> Augment:
    """The augmentation that `config.augment` names."""
    if config.augment == "ada":
        return AdaptiveAugment(config)
    return DiffAugment(config) if config.augment == "diff" else Augment()

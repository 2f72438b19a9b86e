"""`--gan auto`: game, width, batch, augmentation and penalty from the pictures and the machine, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from simulacra.data.dataset import Dataset, Pair

GAN = "r3gan"
WHOLE = 64  # px up to which pictures are translated as wholes, by networks that know no other size
FEW = 1_500  # pictures; with fewer, D comes to know them by heart before G has learned
EACH = 20  # pictures that the smallest class must have for classes to be learned
LAPTOP: dict[str, Any] = {"network": "conv", "features": 32}
HASTE: dict[str, Any] = {"batch": 16, "lazy": 4, "lr": 1e-3, "ema": 3000.0, "burn_in": 100_000.0}
STRONG: dict[str, Any] = {"network": "conv", "features": 64}
MANY: dict[str, Any] = {"batch": 64, "lazy": 4, "lr": 1e-3, "ema": 5000.0, "burn_in": 300_000.0}
HURRY: dict[str, Any] = {"batch": 16, "lazy": 4, "lr": 1e-3, "betas": (0.0, 0.9), "ema": 3000.0}  # HASTE for pairs
CRITICS: dict[str, Any] = {"loss": "relativistic", "gamma": 1.0, "norm": "none", "cycle": 5.0, "same": 0.0}
PENALTY = 0.5  # at 32 px; below it D runs away from G where pictures are flat drawings


@dataclass(frozen=True)
class Choice:
    """A game and groups of settings, each with its reason."""

    spec: str
    because: str
    groups: tuple[tuple[Mapping[str, Any], str], ...]

    @property
    def settings(self) -> dict[str, Any]:
        """All settings chosen."""
        return {key: value for group, _ in self.groups for key, value in group.items()}

    def why(self, words: Mapping[str, Any]) -> tuple[str, ...]:
        """The reasons, but for groups that `words`, the user's own settings, change."""
        kept = [reason for group, reason in self.groups if not group.keys() & words.keys()]
        return (f"{self.spec}: {self.because}", *kept)


def choose(data: Dataset | Pair, device: torch.device) -> Choice:
    """What to train `data` with on `device`. A function of both alone: the same command finds the same run again."""
    _, height, width = data.shape
    side, n = min(height, width), len(data)
    if isinstance(data, Pair):
        return translating(side, min(len(data.a), len(data.b)), device)
    if device.type == "cpu":
        groups = [
            (LAPTOP, "DCGAN's networks of 32 channels and more: a processor learns most with them in minutes"),
            (HASTE, "batches of 16, the penalty at every fourth play, a high rate: many plays in little time"),
        ]
    else:
        groups = [
            (
                STRONG,
                "DCGAN's networks of 64 channels and more: they see many times the pictures of R3GAN's own in a minute",
            ),
            (MANY, "batches of 64, the penalty at every fourth play, a high rate: many plays in little time"),
        ]
    gamma = PENALTY * (side / 32) ** 2.5
    groups.append(
        ({"gamma": (gamma, gamma / 5)}, f"a penalty of {gamma:.3g} that falls to a fifth: it grows with the side")
    )
    if n < FEW:
        few = f"augmentation of what D sees: {n} pictures are few, and D would know them by heart"
        groups.append(({"augment": "diff"}, few))
    if len(data.classes) > 1 and data.labels is not None:
        least = int(np.bincount(data.labels, minlength=len(data.classes)).min())
        if least >= EACH:
            told = f"both players are told the {len(data.classes)} classes: each has {least} pictures or more"
            groups.append(({"conditional": True}, told))
    return Choice(GAN, "a loss that does not collapse and needs no tuning from set to set", tuple(groups))


def translating(side: int, n: int, device: torch.device) -> Choice:
    """What to train a pair of domains with, of a shorter side `side`, the smaller of `n` pictures."""
    critics = "R3GAN's loss on patches, and no norms: colours stay, and pictures came nearer to true partners"
    groups: list[tuple[Mapping[str, Any], str]]
    if side <= WHOLE:
        wide = 32 if device.type == "cpu" else 64
        groups = [
            (
                {"network": "unet", "features": wide, "fine": wide // 2} | HURRY,
                f"U-Nets of {wide} channels and more, batches of 16, the penalty at every fourth play, a high rate: they see "
                "many times the pictures of the paper's networks in the same time. network=residual, the paper's, is for "
                "translating at other sizes, too",
            ),
            (CRITICS, critics),
            (
                {"match": 10.0},
                "each picture is drawn to its match in the other domain, which optimal transport finds anew as G learns: it is "
                "the matching that goes wrong where nobody tells it",
            ),
            ({"zoom": 1.0}, "pictures are learned from at the size at which they are translated, not enlarged"),
        ]
        if n < FEW:
            holes = (
                f"holes in what D sees: {n} pictures are few; where things are and in which colour it still can tell"
            )
            groups.append(({"augment": "diff", "augment_kinds": ("cutout",)}, holes))
    elif device.type == "cpu":
        haste = {"features": 32, "batch": 4, "lr": 4e-4}
        groups = [(haste, "32 channels and more, batches of 4: a processor learns more with them in the same time")]
    else:
        batch = min(16, max(1, 65_536 // side**2))
        groups = [
            (CRITICS | {"same": 2.0}, critics),
            ({"batch": batch, "lr": 4e-4}, f"batches of {batch}: an accelerator has room for them"),
        ]
    return Choice("cyclegan", "the pictures are of two domains, between which it translates", tuple(groups))

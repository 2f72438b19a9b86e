"""`--gan auto`: game, width, batch, augmentation and penalty from the pictures and the machine, with the reasons."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from simulacra.data.dataset import Dataset

GAN = "r3gan"
FEW = 5_000  # pictures; with fewer, D comes to know them by heart before G has learned
EACH = 20  # pictures that the smallest class must have for classes to be learned


class Choice(NamedTuple):
    """A game, its settings and why."""

    spec: str
    settings: dict[str, Any]
    why: tuple[str, ...]


def suited(data: Dataset, device: torch.device) -> Choice:
    """What to train `data` with on `device`. A function of both alone: the same command finds the same run again."""
    _, height, width = data.shape
    side, n = min(height, width), len(data)
    settings: dict[str, Any] = {}
    why = [f"{GAN}: its loss does not collapse, and it needs no tuning from set to set"]
    if device.type == "cuda":
        settings |= {"features": max(32, 2048 // side), "features_max": 512, "batch": 64}
        why.append(f"{settings['features']} to 512 channels: an accelerator can carry them")
    else:
        settings |= {"features": 16, "features_max": 128, "blocks": 1, "expansion": 1, "group": 0, "patch": 2}
        settings |= {"lazy": 4, "batch": 16, "lr": 1e-3, "ema": 3000.0, "burn_in": 100_000.0}
        why.append(
            "16 to 128 channels, the penalty at every fourth play, batches of 16: a processor learns most so in minutes"
        )
    gamma = 0.05 * (side / 32) ** 3
    settings["gamma"] = (gamma, gamma / 5)
    why.append(f"penalty {gamma:.3g}, falling to a fifth: larger pictures need more")
    if n < FEW:
        settings["augment"] = "diff"
        why.append(f"augmentation of what D sees: {n} pictures are few, and D would know them by heart")
    if data.classes and len(data.classes) > 1 and data.labels is not None:
        least = int(np.bincount(data.labels, minlength=len(data.classes)).min())
        if least >= EACH:
            settings["conditional"] = True
            why.append(f"told the {len(data.classes)} classes: each has {least} pictures or more")
    return Choice(GAN, settings, tuple(why))

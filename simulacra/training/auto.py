"""`--gan auto`: GAN, width, batch, augmentation and penalty for the pictures and the machine, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from simulacra.data.dataset import Dataset, Pair
from simulacra.messages import Message
from simulacra.training.lengths import is_drawn

GAN = "r3gan"
WHOLE = 64  # px up to which pictures are translated whole, by networks of one size
FEW = 1_500  # pictures of a domain; with fewer, its D memorises them before G has learned
UNSEEN = 16  # unseen pictures that reveal whether D memorises
SMALLEST_CLASS = 20  # pictures of a large class, and pictures with and without each attribute of a conditional GAN
IN_LARGE_CLASSES = 0.9  # share of the pictures in such classes, for the GAN to be conditional
LAPTOP: dict[str, Any] = {"network": "conv", "features": 32, "modulation": True, "start": "bilinear"}
HASTE: dict[str, Any] = {"batch": 16, "lazy": 4, "lr": 2e-3, "ema": 3000.0, "burn_in": 0.0}
SLOWER: dict[str, Any] = {"lr_d": HASTE["lr"] / 2}
STRONG: dict[str, Any] = {"network": "conv", "features": 64}
MANY: dict[str, Any] = {"batch": 64, "lazy": 4, "lr": 1e-3, "ema": 5000.0, "burn_in": 0.0}
HURRY: dict[str, Any] = {"batch": 16, "lazy": 4, "lr": 1e-3, "betas": (0.0, 0.9), "ema": 3000.0}  # HASTE for pairs
CRITICS: dict[str, Any] = {"loss": "relativistic", "gamma": 1.0, "norm": "none", "cycle": 5.0, "same": 0.0}
# Augmentation that begins when D memorises, and leaves the colours alone
NEEDED: dict[str, Any] = {
    **{"augment": "ada", "augment_sensor": "unseen", "augment_target": 0.5, "augment_images": 100_000.0},
    "augment_kinds": ("blit", "geometric"),
}
# Weight of the penalty at 32 px: for minutes of a processor, and for the many images of an accelerator
PENALTY, STRONG_PENALTY = 0.04, 0.5
PHOTOS = 8.0  # factor on the first for photos, whose broad shapes come first; drawings need their lines

Group = tuple[Mapping[str, Any], Message]  # settings, and the reason for them


@dataclass(frozen=True)
class Choice:
    """A GAN and groups of settings, each with its reason."""

    spec: str
    reason: Message
    groups: tuple[Group, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """All settings chosen."""
        return self.settings_beside({})

    def settings_beside(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """All settings chosen, without those of the augmentation, or D's rate, where the user names another or G's."""
        replaced = _named(overrides) & {"augment", "lr_d"}
        groups = (group for group, _ in self.groups if not group.keys() & replaced)
        return {key: value for group in groups for key, value in group.items()}

    def named(self) -> Choice:
        """The same settings where the user names the GAN: that choice is no longer one that needs a reason."""
        return replace(self, reason=Message("auto.named", spec=self.spec))

    def reasons(self, overrides: Mapping[str, Any]) -> tuple[Message, ...]:
        """The reasons, without those of groups in which `overrides`, the user's own settings, change something."""
        changed = _named(overrides)
        return (self.reason, *(reason for group, reason in self.groups if not group.keys() & changed))


def choose(data: Dataset | Pair, device: torch.device, *, unseen: int = 0) -> Choice:
    """What to train on `data` with `device`, and `unseen` pictures outside of it.

    A function of these alone: the same command finds the same run again.
    """
    _, height, width = data.shape
    side = min(height, width)
    if isinstance(data, Pair):
        return _choose_translator(side, min(len(data.a), len(data.b)), device)
    groups: list[Group]
    if device.type == "cpu":
        groups = [(LAPTOP, Message("auto.laptop")), (HASTE, Message("auto.haste", batch=HASTE["batch"]))]
        groups.append((SLOWER, Message("auto.slower_d")))
    else:
        groups = [(STRONG, Message("auto.strong")), (MANY, Message("auto.haste", batch=MANY["batch"]))]
    photos = device.type == "cpu" and not is_drawn(data)
    gamma = (PENALTY if device.type == "cpu" else STRONG_PENALTY) * (side / 32) ** 2.5 * (PHOTOS if photos else 1)
    reason = Message("auto.gamma_photos" if photos else "auto.gamma", gamma=gamma)
    groups.append(({"gamma": (gamma, gamma / 5)}, reason))
    if unseen >= UNSEEN:
        groups.append((NEEDED, Message("auto.sensor", unseen=unseen)))
    if labels := _reason_for_labels(data):
        groups.append(({"conditional": True}, labels))
    return Choice(GAN, Message("auto.gan", spec=GAN), tuple(groups))


def _named(overrides: Mapping[str, Any]) -> set[str]:
    """The settings that the user names; with G's rate also D's."""
    return set(overrides) | ({"lr_d"} if "lr" in overrides else set())


def _reason_for_labels(data: Dataset) -> Message | None:
    """Why to condition on the labels of `data`; None where there are none, or too few pictures of one."""
    if data.labels is None or len(data.classes or data.attributes) < (2 if data.classes else 1):
        return None
    if data.classes:
        counts = np.bincount(data.labels, minlength=len(data.classes))
        large = counts[counts >= SMALLEST_CLASS].sum() / len(data)
        enough = large >= IN_LARGE_CLASSES and (counts >= SMALLEST_CLASS).sum() > 1
        values = {"classes": len(data.classes), "percent": int(100 * large), "smallest": SMALLEST_CLASS}
        return Message("auto.classes", **values) if enough else None
    present = (np.asarray(data.labels) > 0.5).sum(0)
    smallest = int(np.minimum(present, len(data) - present).min())
    reason = Message("auto.attributes", attributes=len(data.attributes), smallest=smallest)
    return reason if smallest >= SMALLEST_CLASS else None


def _choose_translator(side: int, n: int, device: torch.device) -> Choice:
    """What to train on a pair of domains: pictures with a shorter side of `side`, `n` in the smaller domain."""
    critics = Message("auto.critics")
    groups: list[Group]
    if side <= WHOLE:
        wide = 32 if device.type == "cpu" else 64
        networks = {"network": "unet", "features": wide, "fine": wide // 2}
        groups = [
            (networks | HURRY, Message("auto.unet", features=wide)),
            (CRITICS, critics),
            ({"match": 10.0}, Message("auto.match")),
            ({"zoom": 1.0}, Message("auto.zoom")),
        ]
        if n < FEW:
            groups.append(({"augment": "diff", "augment_kinds": ("cutout",)}, Message("auto.cutout", n=n)))
    elif device.type == "cpu":
        groups = [({"features": 32, "batch": 4, "lr": 4e-4}, Message("auto.narrow"))]
    else:
        batch = min(16, max(1, 65_536 // side**2))
        groups = [
            (CRITICS | {"same": 2.0}, critics),
            ({"batch": batch, "lr": 4e-4}, Message("auto.large_batches", batch=batch)),
        ]
    return Choice("cyclegan", Message("auto.translator", spec="cyclegan"), tuple(groups))

"""The settings that every game has, and presets of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from simulacra.config import require
from simulacra.errors import SimulacraError

Shape = tuple[int, int, int]
AUGMENTATIONS: Mapping[str, tuple[str, ...]] = {  # the kinds of each
    "none": (),
    "ada": ("blit", "geometric", "colour", "filter", "corrupt"),
    "diff": ("colour", "translation", "cutout"),
}
AS_PUBLISHED = {"ada": ("blit", "geometric", "colour"), "diff": AUGMENTATIONS["diff"]}  # what the papers settle on
MOST = 0.8  # of ada's p: above it augmentations leak into what G draws (Karras et al. 2020, section 2.2)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings that every game has; a game's own settings add to them and sets its source's defaults."""

    shape: Shape = (3, 64, 64)  # channels, height, width: from the data set
    conditional: bool = False  # both players are told the labels
    labels: int = 0  # how many classes or attributes they are told: from the data set
    attributes: bool = False  # labels are attributes, numbers in [0, 1], not classes: from the data set
    z: int = 100
    prior: Literal["normal", "uniform"] = "normal"
    output: Literal["tanh", "linear"] = "tanh"
    dropout: float = 0.0  # in D
    label_noise: float = 0.0  # D's targets move towards each other by up to this much, uniformly
    smoothing: float = 0.0  # one-sided: D's target for reals is 1 - smoothing
    separate: bool = True  # reals and fakes go through D as separate batches
    mirror: bool = False  # half of the reals are shown mirrored
    augment: Literal["none", "ada", "diff"] = "none"  # what D sees, reals and fakes, is augmented
    augment_kinds: tuple[str, ...] = ()  # only these kinds; those that the paper settles on if none is named
    augment_p: float = 0.0  # ada: the probability at the start
    augment_target: float = 0.6  # ada: p rises while the mean sign of D on reals is above this
    augment_images: float = 500_000.0  # ada: images in which p can go from 0 to 1
    batch: int = 64
    epochs: float = 100.0  # the run's length where the command names none
    balance: str = "fixed:1"  # fixed:K (K plays of D to one of G) or adaptive
    optimizer: Literal["adam", "rmsprop"] = "adam"
    lr: float = 2e-4
    lr_d: float | None = None  # D's own rate
    betas: tuple[float, float] = (0.5, 0.999)
    alpha: float = 0.99  # rmsprop's memory of squared gradients
    lr_decay: float = 0.0  # rate / (1 + lr_decay * plays)
    clip: float = 0.0  # gradients are clipped to +-clip by value; 0 is off
    ema: float = 10_000.0  # half-life of the average of G's weights, in images; 0 is off

    def __post_init__(self) -> None:
        require(self, "at least 1", "z", "batch")
        require(self, "more than 0", "lr", "lr_d", "epochs", "augment_images")
        require(self, "at least 0", "labels", "lr_decay", "clip", "ema")
        require(self, "at least 0 and less than 1", "dropout", "label_noise", "smoothing", "alpha", "betas")
        require(self, "at least 0 and less than 1", "augment_p", "augment_target")
        if self.augment_p > MOST:
            raise SimulacraError(
                f"augment_p is {self.augment_p}; it must be at most {MOST}, or what G draws is augmented."
            )
        known = AUGMENTATIONS[self.augment]
        if unknown := [kind for kind in self.augment_kinds if kind not in known]:
            which = f"it has: {', '.join(known)}" if known else "there are none without augment=ada or augment=diff"
            raise SimulacraError(f"augment={self.augment} has no augment_kinds {', '.join(unknown)}: {which}.")

    def kinds_of_augmentation(self) -> tuple[str, ...]:
        """Which kinds of `augment` apply: those named, or those that the paper settles on."""
        return self.augment_kinds or AS_PUBLISHED.get(self.augment, ())


class Preset(NamedTuple):
    """A source's own settings under a name; `size` is the picture side it was made for."""

    settings: Mapping[str, Any]
    note: str = ""
    size: int | None = None

"""The settings that every GAN has, and presets of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from simulacra.config import require, setting
from simulacra.errors import SimulacraError

Shape = tuple[int, int, int]
AUGMENTATIONS: Mapping[str, tuple[str, ...]] = {  # the kinds of each
    "none": (),
    "ada": ("blit", "geometric", "colour", "filter", "corrupt"),
    "diff": ("colour", "translation", "cutout"),
}
# The kinds that the papers settle on. Runs store an empty `augment_kinds` for them, so these lists never change.
AS_PUBLISHED = {"ada": ("blit", "geometric", "colour"), "diff": ("colour", "translation", "cutout")}
MOST = 0.8  # of ada's p: above it augmentations leak into what G draws (Karras et al. 2020, section 2.2)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings that every GAN has. A GAN's own settings derive from these and set its source's defaults."""

    shape: Shape = setting((3, 64, 64), "Channels, height and width of the pictures, from the data set.")
    conditional: bool = setting(False, "Give both networks the labels of the pictures.")
    labels: int = setting(0, "Number of classes or attributes, from the data set.")
    attributes: bool = setting(False, "Labels are attributes in [0, 1], not classes; from the data set.")
    z: int = setting(100, "Numbers in the latent z.")
    prior: Literal["normal", "uniform"] = setting("normal", "Distribution of the latent z.")
    output: Literal["tanh", "linear"] = setting("tanh", "Last activation of G.")
    dropout: float = setting(0.0, "Dropout in D.")
    label_noise: float = setting(0.0, "D's targets move towards each other by a random amount up to this.")
    smoothing: float = setting(0.0, "D's target for real pictures is 1 minus this (one-sided label smoothing).")
    separate: bool = setting(True, "Send real and generated pictures through D in two batches instead of one.")
    mirror: bool = setting(False, "Mirror half of the real pictures.")
    augment: Literal["none", "ada", "diff"] = setting("none", "Augmentation of every picture that D sees.")
    augment_kinds: tuple[str, ...] = setting(
        (), "Kinds of augmentation to use; empty for those of the paper.", when={"augment": ("ada", "diff")}
    )
    augment_p: float = setting(0.0, "Probability of each ADA transform at the start.", when={"augment": "ada"})
    augment_target: float = setting(
        0.6,
        "ADA raises its probability while the mean sign of D on real pictures is above this.",
        when={"augment": "ada"},
    )
    augment_images: float = setting(
        500_000.0, "Images in which ADA's probability can go from 0 to 1.", when={"augment": "ada"}
    )
    batch: int = setting(64, "Pictures in one step.")
    epochs: float = setting(100.0, "Length of the run in passes over the data, where the command gives none.")
    balance: str = setting("fixed:1", "Steps of D for each step of G: fixed:K, or adaptive.")
    optimizer: Literal["adam", "rmsprop"] = setting("adam", "Optimizer of both networks.")
    lr: float = setting(2e-4, "Learning rate.")
    lr_d: float | None = setting(None, "Learning rate of D; none for the same as G's.")
    betas: tuple[float, float] = setting((0.5, 0.999), "Adam's decay rates.", when={"optimizer": "adam"})
    alpha: float = setting(0.99, "RMSprop's decay rate of squared gradients.", when={"optimizer": "rmsprop"})
    lr_decay: float = setting(0.0, "After n steps the learning rate is divided by 1 + lr_decay * n.")
    clip: float = setting(0.0, "Clip each gradient value to ± this; 0 for no clipping.")
    ema: float = setting(10_000.0, "Half-life of the moving average of G's weights in images; 0 for no average.")

    def __post_init__(self) -> None:
        require(self, "at least 1", "z", "batch")
        require(self, "more than 0", "lr", "lr_d", "epochs", "augment_images")
        require(self, "at least 0", "labels", "lr_decay", "clip", "ema")
        require(self, "at least 0 and less than 1", "dropout", "label_noise", "smoothing", "alpha", "betas")
        require(self, "at least 0 and less than 1", "augment_p", "augment_target")
        if self.augment_p > MOST:
            raise SimulacraError("config.augment_p_too_high", value=self.augment_p, most=MOST)
        choices = AUGMENTATIONS[self.augment]
        if unknown := [kind for kind in self.augment_kinds if kind not in choices]:
            code = "config.unknown_augmentation" if choices else "config.no_augmentation"
            raise SimulacraError(code, augment=self.augment, names=unknown, choices=choices)

    def kinds_of_augmentation(self) -> tuple[str, ...]:
        """The kinds of `augment` in use: those named, or those of the paper."""
        return self.augment_kinds or AS_PUBLISHED.get(self.augment, ())


class Preset(NamedTuple):
    """A source's own settings under a name; `size` is the picture side it was made for."""

    settings: Mapping[str, Any]
    note: str = ""
    size: int | None = None

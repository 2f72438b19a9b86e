"""Settings common to all GANs, and presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from simulacra.config import require, setting, updated
from simulacra.errors import SimulacraError

Shape = tuple[int, int, int]
DEFAULTS = "defaults"  # preset of the GANs that `auto` picks: their own settings, of which `auto` changes none
AUGMENTATIONS: Mapping[str, tuple[str, ...]] = {  # the kinds of transforms of each
    "none": (),
    "ada": ("blit", "geometric", "colour", "filter", "corrupt", "cutout"),
    "diff": ("colour", "translation", "cutout"),
}
# The papers' choices. Runs store them as an empty `augment_kinds`, so these lists must never change.
AS_PUBLISHED = {"ada": ("blit", "geometric", "colour"), "diff": ("colour", "translation", "cutout")}
MOST = 0.8  # largest p of ADA; beyond it augmentations leak into G's pictures (Karras et al. 2020, section 2.2)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings common to all GANs. Subclasses add a GAN's own and set the defaults of its paper."""

    # Those that decide the networks: a run that starts from a pretrained model has the same
    of_the_networks: ClassVar[frozenset[str]] = frozenset({"z", "prior", "output"})
    # Settings whose default is not what was done before they existed -> their value in runs and models without them
    in_older_runs: ClassVar[Mapping[str, Any]] = {}

    shape: Shape = setting((3, 64, 64), "Channels, height and width of the pictures, from the data set.")
    conditional: bool = setting(False, "Condition both networks on the labels of the pictures.")
    labels: int = setting(0, "Number of classes or attributes, from the data set.")
    attributes: bool = setting(False, "Labels are attributes in [0, 1], not classes; from the data set.")
    z: int = setting(100, "Size of the latent z.")
    prior: Literal["normal", "uniform"] = setting("normal", "Distribution of the latent z.")
    output: Literal["tanh", "linear"] = setting("tanh", "Last activation of G.")
    dropout: float = setting(0.0, "Dropout in D.")
    label_noise: float = setting(0.0, "D's targets move towards each other by a random amount up to this.")
    smoothing: float = setting(0.0, "D's target for real pictures is 1 minus this (one-sided label smoothing).")
    # One batch is faster; a D with batch norm or minibatch deviation tells reals from fakes by it.
    separate: bool = setting(True, "Pass real and generated pictures through D in two batches instead of one.")
    mirror: bool = setting(False, "Mirror half of the real pictures.")
    augment: Literal["none", "ada", "diff"] = setting("none", "Augmentation of real and generated pictures before D.")
    augment_kinds: tuple[str, ...] = setting(
        (), "Kinds of augmentation to use; empty for those of the paper.", when={"augment": ("ada", "diff")}
    )
    augment_p: float = setting(0.0, "Probability of each ADA transform at the start.", when={"augment": "ada"})
    augment_colour: float = setting(
        1.0, "Factor on the probability of ADA's colour transforms.", when={"augment": "ada"}
    )
    augment_sensor: Literal["signs", "unseen"] = setting(
        "signs",
        "What ADA adapts to: D's signs on reals, or how much D prefers them to unseen pictures.",
        when={"augment": "ada"},
    )
    augment_target: float = setting(
        0.6, "ADA raises its probability while its sensor, 1 at most, is above this.", when={"augment": "ada"}
    )
    augment_images: float = setting(
        500_000.0, "Images in which ADA's probability can go from 0 to 1.", when={"augment": "ada"}
    )
    batch: int = setting(64, "Pictures in one step.")
    epochs: float = setting(100.0, "Length of the run in passes over the data, unless the command sets a length.")
    balance: str = setting("fixed:1", "Steps of D for each step of G: fixed:K, or adaptive.")
    optimizer: Literal["adam", "rmsprop"] = setting("adam", "Optimizer of both networks.")
    lr: float = setting(2e-4, "Learning rate.")
    lr_d: float | None = setting(None, "Learning rate of D; none for that of G.")
    betas: tuple[float, float] = setting((0.5, 0.999), "Adam's decay rates.", when={"optimizer": "adam"})
    alpha: float = setting(0.99, "RMSprop's decay rate of squared gradients.", when={"optimizer": "rmsprop"})
    lr_decay: float = setting(0.0, "After n steps the learning rate is divided by 1 + lr_decay * n.")
    clip: float = setting(0.0, "Clip each gradient value to ± this; 0 for no clipping.")
    ema: float = setting(10_000.0, "Half-life in images of the moving average of G's weights; 0 for no average.")

    def __post_init__(self) -> None:
        require(self, "at least 1", "z", "batch")
        require(self, "more than 0", "lr", "lr_d", "epochs", "augment_images")
        require(self, "at least 0", "labels", "lr_decay", "clip", "ema")
        require(self, "at least 0 and less than 1", "dropout", "label_noise", "smoothing", "alpha", "betas")
        require(self, "at least 0 and less than 1", "augment_p", "augment_target")
        require(self, "at least 0", "augment_colour")
        if self.augment_colour > 1:
            raise SimulacraError("config.more_than_1", name="augment_colour", value=str(self.augment_colour))
        if self.augment_p > MOST:
            raise SimulacraError("config.augment_p_too_high", value=self.augment_p, most=MOST)
        choices = AUGMENTATIONS[self.augment]
        if unknown := [kind for kind in self.augment_kinds if kind not in choices]:
            code = "config.unknown_augmentation" if choices else "config.no_augmentation"
            raise SimulacraError(code, augment=self.augment, names=unknown, choices=choices)

    def kinds_of_augmentation(self) -> tuple[str, ...]:
        """The kinds of transforms of `augment` in use: `augment_kinds`, or the paper's."""
        return self.augment_kinds or AS_PUBLISHED.get(self.augment, ())


S = TypeVar("S", bound=Settings)


def from_stored(kind: type[S], values: Mapping[str, Any], *, of: str) -> S:
    """The settings of a stored run or model; one that is absent there has the value from before it existed.

    of: the owner in error messages. Raises `SimulacraError` for an unknown setting or an unreadable value.
    """
    return updated(kind(), {**kind.in_older_runs, **values}, of=of)


class Preset(NamedTuple):
    """Named settings from a paper or other source, for pictures of `size` px if given."""

    settings: Mapping[str, Any]
    note: str = ""
    size: int | None = None

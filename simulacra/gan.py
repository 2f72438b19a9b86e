"""The contract of a game, `GAN`, with `Batch` and the registry; what is left after training is a `Generator`.

One convention of tensors everywhere: pictures are float32 [N, C, H, W] in [-1, 1]; D returns logits or
scores [N]; class labels are int64 [N], attributes float32 [N, A].
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from simulacra import augment
from simulacra.config import updated
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.generator import Generator as Generator
from simulacra.generator import Layers as Layers
from simulacra.generator import to_image as to_image
from simulacra.losses import targets
from simulacra.model import Model as Model
from simulacra.model import Task as Task
from simulacra.settings import Preset as Preset
from simulacra.settings import Settings as Settings
from simulacra.settings import Shape as Shape


class Batch(NamedTuple):
    """What one play is dealt."""

    images: Tensor  # [N, C, H, W] float32 in [-1, 1]
    labels: Tensor | None = None  # [N] int64, or [N, A] float32 for attributes
    others: Tensor | None = None  # pictures of the second domain, unpaired


class GAN(nn.Module):
    """A game: build `self.G` and `self.D`, write the two losses.

    The trainer freezes the opponent while one side plays, so a loss need only differentiate for its player.
    A loss returns the scalar to descend and its stats: D's outputs [N] under `real` and `fake` (of a game that
    translates [2N], both domains'), those that it `keeps`, and any further scalar under its own name. Where D's loss holds penalties, `adversarial` is the loss without them.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    authors: ClassVar[str]
    year: ClassVar[int]
    paper: ClassVar[str]
    formulas: ClassVar[tuple[str, str]]  # D's loss, G's loss
    critic: ClassVar[bool] = False  # D gives a score without a probability
    targeted: ClassVar[bool] = True  # D's loss has targets, that smoothing and label noise can move
    takes_labels: ClassVar[bool] = False  # there is a conditional form
    task: ClassVar[Task] = "draw"  # of its G; "translate": a batch holds two domains, and G is a `Translator`
    unreduced_stats: ClassVar[frozenset[str]] = frozenset()  # stats [N, ...] that only `saw` is given, whole
    Config: ClassVar[type[Settings]] = Settings
    presets: ClassVar[Mapping[str, Preset]] = {}

    G: Any  # a Generator, or where it translates a Translator
    D: nn.Module

    def __init__(self, config: Settings) -> None:
        super().__init__()
        self.config = config
        self.augment = augment.make(config)

    @classmethod
    def generator(cls, config: Any) -> Model:
        """The untrained G alone: what `storage.load` fills with weights."""
        raise TypeError(f"{cls.__name__} must define generator")

    @classmethod
    def resolve(cls, config: Any, total: int | None) -> Any:
        """`config` with what it leaves to the run's length filled in; total: images, or None where minutes decide."""
        return config

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """D's loss on a batch, with its stats."""
        raise TypeError(f"{type(self).__name__} must define d_loss")

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """G's loss for as many fakes as the batch has pictures, with its stats."""
        raise TypeError(f"{type(self).__name__} must define g_loss")

    def condition(self, batch: Batch) -> Tensor | None:
        """The condition [N, labels] of both players, or None in a game without labels."""
        if not self.config.labels:
            return None
        assert batch.labels is not None
        y: Tensor = self.G.encode(batch.labels)
        return y

    def generate(self, batch: Batch, *, grad: bool = True) -> Tensor:
        """As many fresh fakes as the batch has pictures, with its labels: for G's loss."""
        with torch.set_grad_enabled(grad and torch.is_grad_enabled()):
            images: Tensor = self.G(self.G.draw(len(batch.images)), self.condition(batch))
        return images

    def discriminate(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        """D's outputs [N] float32 for pictures as D sees them in training: augmented."""
        seen = self.augment(images)
        logits: Tensor = self.D(seen) if y is None else self.D(seen, y)
        return logits.float()

    def discriminate_pair(self, batch: Batch, fake: Tensor) -> tuple[Tensor, Tensor]:
        """D's outputs [N], [N] for reals and fakes, in two batches or (`separate=false`) in one."""
        y = self.condition(batch)
        if self.config.separate:
            return self.discriminate(batch.images, y), self.discriminate(fake, y)
        both = self.discriminate(torch.cat([batch.images, fake]), y if y is None else torch.cat([y, y]))
        return both[: len(fake)], both[len(fake) :]

    def targets(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """D's targets for reals and fakes under this game's smoothing and label noise."""
        return targets(logits, smoothing=self.config.smoothing, noise=self.config.label_noise)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One optimizer a player, under "D" and "G"."""
        config = self.config
        rates = {"D": config.lr if config.lr_d is None else config.lr_d, "G": config.lr}
        made: dict[str, torch.optim.Optimizer] = {}
        for player, network in (("D", self.D), ("G", self.G)):
            if config.optimizer == "adam":
                made[player] = torch.optim.Adam(network.parameters(), rates[player], config.betas, fused=True)
            else:
                made[player] = torch.optim.RMSprop(network.parameters(), rates[player], self.config.alpha, foreach=True)
        return made

    def rate(self, steps: int) -> float:
        """The learning rate's factor after so many plays of one side."""
        return 1 / (1 + self.config.lr_decay * steps)

    def momenta(self) -> tuple[float, float] | None:
        """Adam's betas at this moment, where they change with time."""
        return None

    def half_life(self) -> float | None:
        """The half-life of the average of G at this moment, in images, where it changes with time."""
        return None

    def on_step_start(self, nimg: int, steps: Mapping[str, int]) -> None:
        """Set everything that depends on time: growth, fades, weights of penalties, lazy steps.

        Called before each play; plays: those so far of "D" and of "G". What it sets follows from these alone, so a
        resume needs none of it, and nothing is read back from the device.
        """

    def graph_key(self, player: str) -> Hashable | None:
        """What of this moment decides which operations a player's play is made of, where the rest of it is in tensors.

        Plays of the same phase can be recorded once and replayed. None: they cannot.
        """
        return () if type(self).on_step_start is GAN.on_step_start else None

    def max_microbatch(self) -> int | None:
        """The most pictures that should be played at once at this moment, for the memory; None: any number."""
        return None

    def on_step_end(self, player: str, stats: Mapping[str, Tensor]) -> None:
        """Called after each play with its stats, those of all processes together (but scalars) as one row each.

        What adapts, and what remembers, does so here: then it is the same in all processes.
        """
        if player == "D":
            self.augment.update(stats["real"], stats["fake"], critic=self.critic)

    def constrain(self) -> None:
        """Called after each step of D: weight clipping."""


_GANS: dict[str, type[GAN]] = {}


def register(gan: type[GAN]) -> type[GAN]:
    """Class decorator: the game is known by its `name`."""
    _GANS[gan.name] = gan
    return gan


def gans() -> dict[str, type[GAN]]:
    """Every game by name, oldest first. A new file under `gans/` is found by being there."""
    package = importlib.import_module("simulacra.gans")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"simulacra.gans.{module.name}")
    return dict(sorted(_GANS.items(), key=lambda item: (item[1].year, item[0])))


def find(name: str) -> type[GAN]:
    """The game called `name`. Raises `SimulacraError` for an unknown one."""
    known = gans()
    if name not in known:
        hint = did_you_mean(name, known) or f" There are: {', '.join(known)}."
        raise SimulacraError(f"There is no GAN called {name!r}.{hint}")
    return known[name]


def configured(
    spec: str, shape: Shape, settings: Mapping[str, Any], *, labels: int = 0, attributes: bool = False
) -> tuple[type[GAN], Settings]:
    """`"dcgan"` or `"dcgan:celeba64"` -> the game and its settings for pictures of `shape` (C, H, W).

    `settings` override the preset. labels, attributes: how many classes or attributes the pictures have, for games
    that are told them. Raises `SimulacraError` for an unknown game, preset or setting, for a preset made for another
    size, and for a conditional game without labels.
    """
    name, _, preset_name = spec.partition(":")
    gan = find(name)
    config = updated(gan.Config(), {"shape": shape}, of=name)
    if preset_name:
        if preset_name not in gan.presets:
            raise SimulacraError(f"{name} has no preset {preset_name!r}. It has: {', '.join(gan.presets) or 'none'}.")
        preset = gan.presets[preset_name]
        if preset.size and shape[1:] != (preset.size, preset.size):
            raise SimulacraError(
                f"{spec} is made for {preset.size}x{preset.size} pictures and these are {shape[2]}x{shape[1]}: "
                f"prepare them with --size {preset.size}, or use --gan {name}."
            )
        config = updated(config, preset.settings, of=spec)
    for key, what in (("shape", "The shape of the pictures"), ("labels", "The number of labels"),
                      ("attributes", "The kind of labels")):  # fmt: skip
        if key in settings:
            raise SimulacraError(f"{what} comes from the data set: it is not a setting.")
    config = updated(config, settings, of=name)
    told = {"labels": labels, "attributes": attributes} if config.conditional else {"labels": 0, "attributes": False}
    config = updated(config, told, of=name)
    if config.conditional and not gan.takes_labels:
        able = ", ".join(sorted(name for name, other in gans().items() if other.takes_labels))
        raise SimulacraError(f"{name} has no conditional form (conditional=true); these have: {able}.")
    if config.conditional and not labels:
        raise SimulacraError(
            f"{name} is to be told labels and these pictures have none: prepare them from a folder per class or with "
            "--labels, or train without conditional=true."
        )
    if not gan.targeted and (config.smoothing or config.label_noise):
        raise SimulacraError(f"{name}'s D is a critic without labels: smoothing and label_noise do not apply to it.")
    return gan, config

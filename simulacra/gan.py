"""The contract of a GAN, and its `Batch`.

Tensors are the same everywhere: pictures float32 [N, C, H, W] in [-1, 1]; logits or scores of D float32 [N]; classes
int64 [N], attributes float32 [N, A].
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from simulacra import augment, messages
from simulacra.config import explanation, unmet
from simulacra.errors import SimulacraError
from simulacra.generator import Generator as Generator
from simulacra.generator import Layers as Layers
from simulacra.generator import to_image as to_image
from simulacra.losses import targets
from simulacra.messages import Message, translated
from simulacra.model import Model as Model
from simulacra.model import Task as Task
from simulacra.optimizers import Adam, RMSprop
from simulacra.settings import Preset as Preset
from simulacra.settings import Settings as Settings
from simulacra.settings import Shape as Shape


class Batch(NamedTuple):
    """The real pictures of one step."""

    images: Tensor  # [N, C, H, W] float32 in [-1, 1]
    labels: Tensor | None = None  # [N] int64, or [N, A] float32 for attributes
    others: Tensor | None = None  # pictures of the second domain, unpaired


class GAN(nn.Module):
    """Base class of all GANs: a subclass builds `self.G` and `self.D` and defines the two losses.

    Required: `__init__`, `generator`, `d_loss`, `g_loss`. All other methods are hooks with a default.

    A loss returns the scalar to minimise and its stats. The trainer freezes the other network during a step. The stats
    hold D's outputs [N] as `real` and `fake` ([2N] of both domains where the GAN translates), tensors named in
    `unreduced_stats`, and scalars under any other name. `adversarial` is D's loss without its penalties.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    authors: ClassVar[str]
    year: ClassVar[int]
    paper: ClassVar[str]
    formulas: ClassVar[tuple[str, str]]  # of D's loss and G's loss
    suits: ClassVar[str] = ""  # one sentence: the data and the runs that this GAN is for
    critic: ClassVar[bool] = False  # D's output is a score, not the logit of a probability
    targeted: ClassVar[bool] = True  # D's loss has targets, which smoothing and label noise can move
    takes_labels: ClassVar[bool] = False  # has a conditional form
    task: ClassVar[Task] = "draw"  # of its G; "translate": a batch holds two domains, and G is a `Translator`
    unreduced_stats: ClassVar[frozenset[str]] = frozenset()  # stats [N, ...] that `on_step_end` gets whole
    # Pretrained networks that its losses look through, such as "efl0": such a network cannot judge what it taught
    looks_through: ClassVar[tuple[str, ...]] = ()
    grows: ClassVar[bool] = False  # whether the networks grow, so that no step is like one of a later level
    unused: ClassVar[Mapping[str, str]] = {}  # inherited settings without any effect -> the code of the reason
    Config: ClassVar[type[Settings]] = Settings
    haste: ClassVar[Mapping[str, Any]] = {}  # settings with which the tiny preset learns within the steps of a test
    fine_tuning: ClassVar[Mapping[str, Any]] = {}  # settings of a run that starts from a pretrained model
    presets: ClassVar[Mapping[str, Preset]] = {}
    source: ClassVar[str] = ""  # where it comes from: built in, a package's name, "/path/file.py:Class", "module:Class"

    G: Any  # a Generator, or where it translates a Translator
    D: nn.Module

    def __init__(self, config: Settings) -> None:
        super().__init__()
        self.config = config
        self.augment = augment.make(config)

    # --- required -------------------------------------------------------------------------------------------

    @classmethod
    def generator(cls, config: Any) -> Model:
        """The untrained G alone: what `storage.load` fills with weights."""
        raise TypeError(f"{cls.__name__} must define generator")

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """D's loss on a batch, and its stats."""
        raise TypeError(f"{type(self).__name__} must define d_loss")

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """G's loss on as many fakes as the batch has pictures, and its stats."""
        raise TypeError(f"{type(self).__name__} must define g_loss")

    # --- building blocks of a loss --------------------------------------------------------------------------

    def condition(self, batch: Batch) -> Tensor | None:
        """The condition [N, labels] of both networks; None for a GAN without labels."""
        if not self.config.labels:
            return None
        assert batch.labels is not None
        y: Tensor = self.G.encode(batch.labels)
        return y

    def generate(self, batch: Batch, *, grad: bool = True) -> Tensor:
        """Fresh fakes, as many as the batch has pictures, with its labels."""
        with torch.set_grad_enabled(grad and torch.is_grad_enabled()):
            images: Tensor = self.G(self.G.draw(len(batch.images)), self.condition(batch))
        return images

    def discriminate(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        """D's outputs [N] float32 on augmented pictures."""
        augmented = self.augment(images)
        logits: Tensor = self.D(augmented) if y is None else self.D(augmented, y)
        return logits.float()

    def discriminate_pair(self, batch: Batch, fake: Tensor) -> tuple[Tensor, Tensor]:
        """D's outputs [N], [N] on reals and fakes, in two batches or (`separate=false`) in one."""
        y = self.condition(batch)
        if self.config.separate:
            return self.discriminate(batch.images, y), self.discriminate(fake, y)
        both = self.discriminate(torch.cat([batch.images, fake]), y if y is None else torch.cat([y, y]))
        return both[: len(fake)], both[len(fake) :]

    def targets(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """D's targets for reals and fakes, with the smoothing and the label noise of the settings."""
        return targets(logits, smoothing=self.config.smoothing, noise=self.config.label_noise)

    # --- hooks of the trainer -------------------------------------------------------------------------------

    @classmethod
    def resolve(cls, config: Any, total: int | None) -> Any:
        """`config` with values that depend on the run's length in images; total is None where minutes decide."""
        return config

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimizers of "D" and "G"."""
        config = self.config
        rates = {"D": config.lr if config.lr_d is None else config.lr_d, "G": config.lr}
        optimizers: dict[str, torch.optim.Optimizer] = {}
        for player, network in (("D", self.D), ("G", self.G)):
            parameters, rate = network.parameters(), rates[player]
            if config.optimizer == "adam":
                optimizers[player] = Adam(parameters, rate, config.betas)
            else:
                optimizers[player] = RMSprop(parameters, rate, config.alpha)
        return optimizers

    def rate(self, steps: int) -> float:
        """The factor on the learning rate after `steps` steps of one player."""
        return 1 / (1 + self.config.lr_decay * steps)

    def momenta(self) -> tuple[float, float] | None:
        """Adam's betas now; None where they are constant."""
        return None

    def half_life(self) -> float | None:
        """Half-life of the average of G now, in images; None where it is constant."""
        return None

    def on_step_start(self, nimg: int, steps: Mapping[str, int]) -> None:
        """Set what depends on time: growth, fades, weights of penalties, lazy steps.

        nimg: images shown so far. steps: steps so far of "D" and "G". The state must follow from these alone, so that a
        resume is exact, and must not be read back from the device.
        """

    def graph_key(self, player: str) -> Hashable | None:
        """Key of the current step's graph: steps with equal keys run the same operations. None: now there is none.

        Of a GAN that grows, the level is its first part.
        """
        return () if type(self).on_step_start is GAN.on_step_start else None

    def max_microbatch(self) -> int | None:
        """Largest microbatch that fits in memory now; None: no limit."""
        return None

    def on_step_end(self, player: str, stats: Mapping[str, Tensor]) -> None:
        """Update state from the stats of a step, which are those of all processes together.

        State that adapts or accumulates changes here only, so that it is the same in all processes.
        """
        if player == "D":
            self.augment.update(stats["real"], stats["fake"], critic=self.critic)

    def constrain(self) -> None:
        """Change D's weights after each of its steps, such as by clipping."""

    # --- settings -------------------------------------------------------------------------------------------

    @classmethod
    def idle_settings(cls, config: Settings) -> dict[str, Message]:
        """Settings without any effect under this config, each with the reason."""
        reasons = {name: Message(code) for name, code in cls.unused.items()}
        if not cls.targeted:
            reasons |= dict.fromkeys(("smoothing", "label_noise"), Message("gan.no_targets"))
        for name in vars(config):
            if wake := unmet(config, name):
                reasons.setdefault(name, Message("gan.needs", wake=wake))
        return reasons


def setting_text(gan: type[GAN], name: str) -> str:
    """The sentence on a setting, in the language in use; the GAN's own where it means something else by it."""
    common = translated(f"settings.{name}", explanation(gan.Config, name))
    return translated(f"settings.{gan.name}.{name}", common)


def check_players(gan: GAN) -> None:
    """Raise `SimulacraError` for trainable parameters outside of G and D, which no optimizer would move."""
    trained = {id(parameter) for network in (gan.G, gan.D) for parameter in network.parameters()}
    for name, parameter in gan.named_parameters():
        if parameter.requires_grad and id(parameter) not in trained:
            raise SimulacraError("gan.untrained_network", gan=gan.name, network=name.partition(".")[0])


REGISTERED: dict[str, type[GAN]] = {}  # by name; `registry.gans` fills it


def register(gan: type[GAN]) -> type[GAN]:
    """Class decorator: add a GAN to the registry under its `name`; another one of that name is overwritten with a warning."""
    old = REGISTERED.get(gan.name)
    if old is not None and (old.__module__, old.__qualname__) != (gan.__module__, gan.__qualname__):
        text = messages.text("gan.overwritten", name=gan.name, old=_address(old), new=_address(gan))
        warnings.warn(text, UserWarning, stacklevel=2)
    REGISTERED[gan.name] = gan
    return gan


def _address(gan: type[GAN]) -> str:
    return f"{gan.__module__}.{gan.__qualname__}"

"""The GAN is dead; long live the GAN! A Modern GAN Baseline. Huang, Gokaslan, Kuleshov, Tompkin. 2024.

    D:  E[softplus(-(D(x) - D(G(z))))] + γ/2 (E[‖∇x D(x)‖²] + E[‖∇x D(G(z))‖²])
    G:  E[softplus(-(D(G(z)) - D(x)))]

The relativistic pairing loss has no local minima in which modes are dropped. Zero-centred gradient penalties on reals
(R1) and fakes (R2) make it converge, without norms or tricks. Both networks use the same residual blocks.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from simulacra import gan, losses
from simulacra.augment.ada import AdaptiveAugment
from simulacra.config import require, setting
from simulacra.errors import SimulacraError
from simulacra.gan import Batch, Preset
from simulacra.gans import dcgan
from simulacra.gans.r3gan_networks import Discriminator, Generator
from simulacra.settings import DEFAULTS, MOST

RESIDUAL = {"network": "residual"}
ADAPTIVE = {"augment": "ada", "augment_last": None}
PAPER: dict[str, Any] = {  # common to all of the paper's settings
    **{"features_max": 768, "batch": 256, "ema": 5e5, "ema_first": 0.0, "burn_in": 2e7},
    **{"mirror": True, "augment": "ada", "augment_last": 0.3},
    # as in the authors' code, which differs from ADA's: colours with half the probability, and cutout
    **{"augment_kinds": ("blit", "geometric", "colour", "cutout"), "augment_colour": 0.5},
}


@dataclass(frozen=True, kw_only=True)
class Settings(dcgan.Networks):
    """Sizes for a laptop; presets have the paper's. Pairs (a, b) change from a to b over the `burn_in`."""

    of_the_networks: ClassVar[frozenset[str]] = dcgan.Networks.of_the_networks | {
        *("patch", "blocks", "expansion", "group"),
    }

    network: Literal["residual", "conv", "dense", "mlp"] = setting("residual")  # type: ignore[assignment]
    z: int = 64
    features: int = setting(32, "Channels at the full side (with network=conv at half of it), doubled at each halving.")
    features_max: int = 256
    patch: Literal[1, 2] = setting(
        1, "Pixels per side of a patch; 2 leaves out the blocks at the full side, which cost most.", when=RESIDUAL
    )
    blocks: int = setting(2, "Residual blocks at each side.", when=RESIDUAL)
    expansion: int = setting(2, "Factor on the channels inside a block.", when=RESIDUAL)
    group: int = setting(16, "Channels in a group of the 3x3 convolutions; 0 for a single group.", when=RESIDUAL)
    norm_d: dcgan.Norm = "none"
    separate: bool = False
    gamma: tuple[float, float] = setting((1.0, 0.1), "Weight γ of R1 and R2, before and after the burn-in.")
    lazy: int = setting(1, "Interval between steps of D with R1 and R2; their weight is multiplied by it.")
    penalty: Literal["exact", "difference"] = setting(
        "exact", "Compute R1 and R2 by second derivatives, or by finite differences: faster but noisier."
    )
    burn_in: float = setting(200_000.0, "Length of the schedules in images; 0 for that of the run.")
    lr: float = 2e-4
    lr_last: float = setting(0.25, "Factor on the learning rate after the burn-in.")
    betas: tuple[float, float] = (0.0, 0.9)
    beta2_last: float = setting(0.99, "Adam's second decay rate after the burn-in.", when={"optimizer": "adam"})
    ema_first: float | None = setting(
        None, "Half-life of the average at the start, which rises to ema over the burn-in; none: it grows with the run."
    )
    augment_sensor: Literal["signs", "unseen"] = setting("signs", when=ADAPTIVE)
    augment_target: float = setting(0.6, when=ADAPTIVE)
    augment_images: float = setting(500_000.0, when=ADAPTIVE)
    augment_last: float | None = setting(
        None,
        "ADA's probability after the burn-in, from augment_p at the start; none: it adapts.",
        when={"augment": "ada"},
    )
    batch: int = 64
    epochs: float = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 1", "blocks", "expansion", "lazy")
        require(self, "at least 0", "gamma", "group", "ema_first", "burn_in")
        require(self, "more than 0", "lr_last")
        require(self, "at least 0 and less than 1", "beta2_last")
        if self.augment_last is not None and not (self.augment == "ada" and 0 <= self.augment_last <= MOST):
            raise SimulacraError("config.augment_last", value=self.augment_last, most=MOST)


@gan.register
class R3GAN(gan.GAN):
    """The relativistic pairing loss with zero-centred penalties: the modern baseline."""

    name, title, year = "r3gan", "R3GAN, a modern GAN baseline", 2024
    authors = "Huang, Gokaslan, Kuleshov, Tompkin"
    paper = "arXiv:2501.05441"
    suits = "The default: small folders, short runs, and any new data."
    formulas = (
        "E[softplus(D(G(z)) - D(x))] + γ/2 (E[‖∇D(x)‖²] + E[‖∇D(G(z))‖²])",
        "E[softplus(D(x) - D(G(z)))]",
    )
    critic, targeted, takes_labels = True, False, True
    unused = {"lr_decay": "gan.own_rate"}  # noqa: RUF012
    Config = Settings
    haste = {"batch": 16, "lr": 4e-3, "gamma": (0.1, 0.1), "lazy": 4}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "cifar32": Preset(
            PAPER | {"features": 768, "gamma": (0.05, 0.005), "batch": 512, "ema": 5e6, "augment_last": 0.55},
            "the paper's settings for 32 px",
            32,
        ),
        "ffhq64": Preset(PAPER | {"features": 384, "gamma": (2.0, 0.2)}, "the paper's settings for faces of 64 px", 64),
        "ffhq256": Preset(PAPER | {"features": 96, "gamma": (150.0, 15.0)}, "the same for faces of 256 px", 256),
        DEFAULTS: Preset({}, "the defaults below, without what auto changes for pictures and machine"),
        "tiny": Preset({"z": 8, "features": 8, "features_max": 16, "blocks": 1, "group": 4, "batch": 8}, "for tests"),
    }
    config: Settings

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.G = self.generator(config)
        self.D = Discriminator(config) if config.network == "residual" else dcgan.build_discriminator(config)
        self.nimg, self.due = 0, True  # whether the next step of D has the penalties
        first = torch.tensor(config.gamma[0] * config.lazy / 2)
        self.register_buffer("weight", first, persistent=False)  # current weight of the penalties
        self.weight: Tensor

    @classmethod
    def generator(cls, config: Any) -> gan.Generator:
        """The untrained G alone."""
        return Generator(config) if config.network == "residual" else dcgan.build_generator(config)

    @classmethod
    def resolve(cls, config: Any, total: int | None) -> Any:
        """Set `burn_in` to the run's length if it is unset."""
        return replace(config, burn_in=float(total)) if total and not config.burn_in else config

    def on_step_start(self, nimg: int, steps: Mapping[str, int]) -> None:
        """Update the schedules, and whether the next step of D has penalties."""
        self.nimg, self.due = nimg, steps["D"] % self.config.lazy == 0
        self.weight.fill_(self.scheduled(*self.config.gamma) * self.config.lazy / 2)
        if self.config.augment_last is not None and isinstance(self.augment, AdaptiveAugment):
            self.augment.p.fill_(self.scheduled(self.config.augment_p, self.config.augment_last))

    def graph_key(self, player: str) -> Hashable | None:
        """Whether the step has penalties."""
        return player == "D" and self.due

    def on_step_end(self, player: str, stats: Mapping[str, Tensor]) -> None:
        """Adapt ADA's p unless it has a schedule."""
        if self.config.augment_last is None:
            super().on_step_end(player, stats)

    def scheduled(self, first: float, last: float) -> float:
        """Cosine schedule from `first` to `last` over the burn-in (section 4 and appendix of the paper)."""
        done = min(1.0, self.nimg / self.config.burn_in) if self.config.burn_in else 0.0
        return last + (first - last) * (1 + math.cos(math.pi * done)) / 2

    def rate(self, steps: int) -> float:
        """Factor on the learning rate."""
        return self.scheduled(1.0, self.config.lr_last)

    def momenta(self) -> tuple[float, float]:
        """Adam's betas, with a schedule of β2."""
        return self.config.betas[0], self.scheduled(self.config.betas[1], self.config.beta2_last)

    def half_life(self) -> float | None:
        """Half-life of the EMA in images; None for the default."""
        first = self.config.ema_first
        return None if first is None else self.scheduled(first, self.config.ema)

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """E[softplus(D(G(z)) - D(x))] + γ/2 (R1 + R2)."""
        exact, y = self.config.penalty == "exact", self.condition(batch)
        pairs = [(batch.images, y), (self.generate(batch, grad=False), y)]
        if not self.config.separate:
            pairs = [(torch.cat([x for x, _ in pairs]), y if y is None else torch.cat([y, y]))]
        scores, penalties = [], []
        for pictures, labels in pairs:
            x = pictures.detach().requires_grad_(self.due and exact)
            plain = functools.partial(self.discriminate, y=labels)
            critic = losses.repeatable(plain) if self.due and not exact else plain
            scores.append(logits := critic(x))
            if self.due:
                squared = (
                    losses.squared_gradients(logits, x) if exact else losses.squared_differences(logits, x, critic)
                )
                penalties.append(squared)
        real, fake = torch.cat(scores).chunk(2)
        adversarial = losses.relativistic_d(real, fake)
        stats = {"real": real, "fake": fake, "adversarial": adversarial}
        if not self.due:
            return adversarial, stats
        r1, r2 = (part.mean() for part in torch.cat(penalties).chunk(2))
        return adversarial + self.weight * (r1 + r2), stats | {"r1": r1, "r2": r2}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """E[softplus(D(x) - D(G(z)))]."""
        y = self.condition(batch)
        fake = self.discriminate(self.generate(batch), y)
        with torch.no_grad():
            real = self.discriminate(batch.images, y)
        return losses.relativistic_g(real, fake), {"fake": fake}

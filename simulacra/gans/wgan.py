"""Wasserstein GAN. Arjovsky, Chintala, Bottou. 2017.

    D:  E[D(G(z))] - E[D(x)],  each weight of D clamped to [-c, c] after each step
    G: -E[D(G(z))]

D is a critic, whose score has no sigmoid. The paper clamps to 0.01; a later tutorial uses 0.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from simulacra import gan, losses
from simulacra.config import require, setting
from simulacra.gan import Batch, Preset
from simulacra.gans import dcgan


@dataclass(frozen=True, kw_only=True)
class Settings(dcgan.Networks):
    """The paper's settings."""

    batch: int = 64
    optimizer: Literal["adam", "rmsprop"] = "rmsprop"
    lr: float = 5e-5
    balance: str = "fixed:5"
    clamp: float = setting(0.01, "Clamp each weight of D to ± this.")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "more than 0", "clamp")


@gan.register
class WGAN(gan.GAN):
    """The Wasserstein distance, by a critic with clamped weights."""

    name, title, year = "wgan", "Wasserstein GAN", 2017
    authors = "Arjovsky, Chintala, Bottou"
    paper = "arXiv:1701.07875"
    suits = "To learn what the Wasserstein distance is; for pictures to keep, use wgan-gp or r3gan."
    takes_labels = True
    formulas = ("E[D(G(z))] - E[D(x)], weights clamped to ±c", "-E[D(G(z))]")
    critic, targeted = True, False
    Config = Settings
    haste = {"features": 16, "clamp": 0.05}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "faces80": Preset(
            {"z": 128, "batch": 20, "epochs": 1000, "balance": "adaptive", "clamp": 0.1},
            "80 px, small batches, adaptive balance, the wider clamp",
            80,
        ),
        "tiny": Preset({"z": 8, "features": 8, "batch": 8, "balance": "fixed:2"}, "for tests"),
    }
    config: Settings

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.G = self.generator(config)
        self.D = dcgan.build_discriminator(config)

    @classmethod
    def generator(cls, config: Any) -> gan.Generator:
        """The untrained G alone."""
        return dcgan.build_generator(config)

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """E[D(G(z))] - E[D(x)]."""
        real, fake = self.discriminate_pair(batch, self.generate(batch, grad=False))
        return losses.wasserstein_d(real, fake), {"real": real, "fake": fake}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[D(G(z))]."""
        fake = self.discriminate(self.generate(batch), self.condition(batch))
        return losses.wasserstein_g(fake), {"fake": fake}

    @torch.no_grad()
    def constrain(self) -> None:
        """Clamp all of D's weights to ±c, including the gains of its norms (algorithm 1 of the paper)."""
        weights: list[Tensor] = list(self.D.parameters())
        torch._foreach_clamp_max_(weights, self.config.clamp)
        torch._foreach_clamp_min_(weights, -self.config.clamp)

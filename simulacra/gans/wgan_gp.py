"""Improved Training of Wasserstein GANs. Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville. 2017.

    D:  E[D(G(z))] - E[D(x)] + λ E[(‖∇x̂ D(x̂)‖₂ - 1)²],  x̂ = εx + (1 - ε)G(z),  ε uniform in [0, 1]
    G: -E[D(G(z))]

The penalty is per picture, so D has no batch norm: instance norm, or optionally layer norm or none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from simulacra import gan, losses
from simulacra.config import require, setting
from simulacra.errors import SimulacraError
from simulacra.gan import Batch, Preset
from simulacra.gans import dcgan


@dataclass(frozen=True, kw_only=True)
class Settings(dcgan.Networks):
    """The paper's settings."""

    batch: int = 64
    lr: float = 1e-4
    betas: tuple[float, float] = (0.0, 0.9)
    balance: str = "fixed:5"
    norm_d: dcgan.Norm = "instance"
    separate: bool = False
    gp: float = setting(10.0, "Weight λ of the gradient penalty.")
    one_sided: bool = setting(False, "Penalise only gradients longer than 1.", when={"gp": "more than 0"})
    penalty_precision: Literal["same", "fp32"] = setting(
        "same", "Precision of the gradient penalty in a bf16 run.", when={"gp": "more than 0"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 0", "gp")


@gan.register
class WGANGP(gan.GAN):
    """The Wasserstein distance, by a critic with a gradient penalty."""

    name, title, year = "wgan-gp", "Wasserstein GAN with gradient penalty", 2017
    authors = "Gulrajani et al."
    paper = "arXiv:1704.00028"
    suits = "Data on which other GANs have mode collapse; slower but stable."
    takes_labels = True
    formulas = ("E[D(G(z))] - E[D(x)] + λ E[(‖∇D(x̂)‖ - 1)²]", "-E[D(G(z))]")
    critic, targeted = True, False
    Config = Settings
    haste = {"lr": 3e-3, "betas": (0.5, 0.9), "gp": 1}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "faces80": Preset(
            {"z": 128, "batch": 20, "epochs": 1000, "balance": "adaptive", "betas": (0.0, 0.999)},
            "80 px, small batches, adaptive balance",
            80,
        ),
        "tiny": Preset({"z": 8, "features": 8, "batch": 8, "balance": "fixed:2"}, "for tests"),
    }
    config: Settings

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        if config.norm_d == "batch":
            raise SimulacraError("gan.batch_norm_with_penalty")
        self.G = self.generator(config)
        self.D = dcgan.build_discriminator(config)

    @classmethod
    def generator(cls, config: Any) -> gan.Generator:
        """The untrained G alone."""
        return dcgan.build_generator(config)

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """E[D(G(z))] - E[D(x)] + λ E[(‖∇x̂ D(x̂)‖₂ - 1)²]."""
        images, fakes, y = batch.images, self.generate(batch, grad=False), self.condition(batch)
        real, fake = self.discriminate_pair(batch, fakes)
        enabled = self.config.penalty_precision == "same" and torch.is_autocast_enabled(images.device.type)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=enabled):
            penalty = losses.gradient_penalty(
                lambda x: self.discriminate(x, y), images, fakes, one_sided=self.config.one_sided
            )
        loss = losses.wasserstein_d(real, fake) + self.config.gp * penalty
        return loss, {"real": real, "fake": fake, "penalty": penalty}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[D(G(z))]."""
        fake = self.discriminate(self.generate(batch), self.condition(batch))
        return losses.wasserstein_g(fake), {"fake": fake}

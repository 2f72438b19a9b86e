"""Generative Adversarial Nets. Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio. 2014.

D:  -E[log D(x)] - E[log(1 - D(G(z)))]
G:  -E[log D(G(z))]        non-saturating
G:   E[log(1 - D(G(z)))]   minimax: its gradient vanishes when D is certain
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from simulacra import gan, losses
from simulacra.config import require, setting
from simulacra.gan import Batch, Preset, Shape
from simulacra.layers import Linear


@dataclass(frozen=True, kw_only=True)
class Settings(gan.Settings):
    """Two hidden layers of 256 each, for pictures of any size as one vector."""

    of_the_networks: ClassVar[frozenset[str]] = gan.Settings.of_the_networks | {"hidden"}

    shape: Shape = (1, 28, 28)
    z: int = 64
    batch: int = 100
    epochs: float = 200
    betas: tuple[float, float] = (0.9, 0.999)
    separate: bool = False
    loss: Literal["nonsaturating", "minimax"] = setting("nonsaturating", "Loss of G.")
    hidden: tuple[int, ...] = setting((256, 256), "Widths of the hidden layers of G and D.")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 1", "hidden")


class Generator(gan.Generator):
    """z -> hidden layers, ReLU -> a picture."""

    def __init__(self, config: gan.Settings, hidden: Sequence[int] = (256, 256)) -> None:
        super().__init__(config)
        widths = [config.z + config.labels, *hidden]
        layers: list[nn.Module] = []
        for inner, outer in itertools.pairwise(widths):
            layers += [Linear(inner, outer), nn.ReLU()]
        layers.append(Linear(widths[-1], prod(config.shape)))
        self.layers = nn.Sequential(*layers, nn.Tanh() if config.output == "tanh" else nn.Identity())

    def synthesis(self, w: Tensor) -> Tensor:
        """w [N, z] or [N, z + labels] -> pictures [N, C, H, W]."""
        images: Tensor = self.layers(w)
        return images.view(-1, *self.shape)


class Discriminator(nn.Module):
    """A picture as one vector -> hidden layers, LeakyReLU 0.2 -> a logit."""

    def __init__(self, config: gan.Settings, hidden: Sequence[int] = (256, 256)) -> None:
        super().__init__()
        widths = [prod(config.shape) + config.labels, *hidden]
        layers: list[nn.Module] = []
        for inner, outer in itertools.pairwise(widths):
            layers += [Linear(inner, outer), nn.LeakyReLU(0.2)]
            if config.dropout:
                layers.append(nn.Dropout(config.dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W], y [N, labels] or None -> logits [N]."""
        flat = images.flatten(1)
        logits: Tensor = self.layers(flat if y is None else torch.cat([flat, y], 1))
        return logits.squeeze(1)


@gan.register
class MLP(gan.GAN):
    """The first GAN, fully connected."""

    name, title, year = "mlp", "Generative Adversarial Nets", 2014
    authors = "Goodfellow et al."
    paper = "arXiv:1406.2661"
    suits = "To learn how the first GAN works: very small pictures, in minutes."
    takes_labels = True
    formulas = ("-E[log D(x)] - E[log(1 - D(G(z)))]", "-E[log D(G(z))], or minimax E[log(1 - D(G(z)))]")
    Config = Settings
    haste = {"batch": 128, "lr": 1e-3, "betas": (0.5, 0.999), "hidden": (256,), "ema": 2000}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "minimax": Preset({"loss": "minimax"}, "the saturating loss, to see the gradient vanish"),
        "tiny": Preset({"z": 8, "hidden": (32, 32), "batch": 16}, "for tests"),
    }
    config: Settings

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.G = self.generator(config)
        self.D = Discriminator(config, config.hidden)

    @classmethod
    def generator(cls, config: Any) -> Generator:
        """The untrained G alone."""
        return Generator(config, config.hidden)

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[log D(x)] - E[log(1 - D(G(z)))]."""
        real, fake = self.discriminate_pair(batch, self.generate(batch, grad=False))
        return losses.minimax_d(real, fake, *self.targets(real)), {"real": real, "fake": fake}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[log D(G(z))], or E[log(1 - D(G(z)))]."""
        fake = self.discriminate(self.generate(batch), self.condition(batch))
        loss = losses.minimax_g if self.config.loss == "minimax" else losses.non_saturating_g
        return loss(fake), {"fake": fake}

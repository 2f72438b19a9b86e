"""Conditional Generative Adversarial Nets. Mirza, Osindero. 2014.

    D:  -E[log D(x, y)] - E[log(1 - D(G(z, y), y))] - ω E[log(1 - D(x, ỹ))],  ỹ a label that x does not have
    G:  -E[log D(G(z, y), y)]

The paper's D gets no wrong labels (ω = 0); with them it must use y from the start (Reed et al. 2016, section 4.2).
With `design=two`, D has two networks: R scores whether the picture is real, M whether its label matches:

    D:  (1 - μ) (-E[log R(x)] - E[log(1 - R(G(z, y)))]) + μ (-E[log M(x, y)] - E[log(1 - M(x, ỹ))])
    G:  -(1 - μ) E[log R(G(z, y))] - μ E[log M(G(z, y), y)]

Fully connected: a linear embedding of y is concatenated with z, and with the picture as one vector.
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
from simulacra.errors import SimulacraError
from simulacra.gan import Batch, Preset, Shape
from simulacra.layers import Linear


@dataclass(frozen=True, kw_only=True)
class Settings(gan.Settings):
    """Three hidden layers in each network, wider near the picture."""

    of_the_networks: ClassVar[frozenset[str]] = gan.Settings.of_the_networks | {
        *("embedding", "hidden_g", "hidden_d", "design"),
    }

    shape: Shape = (1, 28, 28)
    conditional: bool = True
    labels: int = 10
    lr: float = 1e-4
    dropout: float = 0.4
    embedding: int = setting(10, "Size of a label's embedding in G and in D.")
    hidden_g: tuple[int, ...] = setting((256, 512, 1024), "Widths of the hidden layers of G.")
    hidden_d: tuple[int, ...] = setting((1024, 512, 256), "Widths of the hidden layers of D.")
    design: Literal["pair", "two"] = setting("pair", "D: one network for picture and label, or two networks.")
    wrong: float = setting(1.0, "Weight ω of real pictures with wrong labels in D's loss.", when={"design": "pair"})
    match: float = setting(
        0.5, "Weight μ of the second network, which scores whether the label matches.", when={"design": "two"}
    )
    separate: bool = setting(True, when={"design": "pair"})

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 1", "embedding", "hidden_g", "hidden_d")
        require(self, "at least 0", "wrong")
        require(self, "at least 0 and less than 1", "match")


def connected(widths: Sequence[int], *, dropout: float = 0.0) -> nn.Sequential:
    """Fully connected layers of these widths, with LeakyReLU 0.2 and dropout between them."""
    layers: list[nn.Module] = []
    for inner, outer in itertools.pairwise(widths):
        layers += [Linear(inner, outer), nn.LeakyReLU(0.2)]
        layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers[: -2 if dropout else -1])


def embedding(config: Settings) -> nn.Linear:
    """y [N, labels] -> [N, embedding]: a column per label, of the scale of a latent."""
    layer = nn.Linear(config.labels, config.embedding, bias=False)
    nn.init.normal_(layer.weight)
    return layer


class Generator(gan.Generator):
    """z and the embedding of y -> hidden layers -> a picture."""

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.label = embedding(config)
        self.layers = connected([config.z + config.embedding, *config.hidden_g, prod(config.shape)])
        self.out = nn.Tanh() if config.output == "tanh" else nn.Identity()

    def mapping(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """z [N, z], y [N, labels] -> [N, z + embedding]."""
        assert y is not None
        return torch.cat([z, self.label(y)], 1)

    def synthesis(self, w: Tensor) -> Tensor:
        """w [N, z + embedding] -> pictures [N, C, H, W]."""
        images: Tensor = self.out(self.layers(w))
        return images.view(-1, *self.shape)


class PairDiscriminator(nn.Module):
    """A picture and the embedding of y -> a logit for the pair."""

    def __init__(self, config: Settings) -> None:
        super().__init__()
        self.label = embedding(config)
        self.layers = connected([prod(config.shape) + config.embedding, *config.hidden_d, 1], dropout=config.dropout)

    def forward(self, images: Tensor, y: Tensor) -> Tensor:
        """Pictures [N, C, H, W], y [N, labels] -> logits [N]."""
        logits: Tensor = self.layers(torch.cat([images.flatten(1), self.label(y)], 1))
        return logits.squeeze(1)


class TwoDiscriminators(nn.Module):
    """R scores whether a picture is real, M whether its label matches; the logit is their weighted sum."""

    def __init__(self, config: Settings) -> None:
        super().__init__()
        self.weight = config.match
        self.real = connected([prod(config.shape), *config.hidden_d, 1], dropout=config.dropout)
        self.match = PairDiscriminator(config)

    def is_real(self, images: Tensor) -> Tensor:
        """Pictures [N, C, H, W] -> logits [N]."""
        logits: Tensor = self.real(images.flatten(1))
        return logits.squeeze(1)

    def forward(self, images: Tensor, y: Tensor) -> Tensor:
        """Pictures [N, C, H, W], y [N, labels] -> (1 - μ) R + μ M [N]."""
        real, match = self.is_real(images), self.match(images, y)
        logits: Tensor = (1 - self.weight) * real + self.weight * match
        return logits


def wrong(y: Tensor, *, attributes: bool) -> Tensor:
    """Wrong labels [N, labels] for pictures with labels y [N, labels].

    A uniformly random other class; or another picture's attributes, inverted if they are equal.
    """
    n, labels = y.shape
    if not attributes:
        shift = torch.randint(1, labels, (n,), device=y.device)
        classes = (y.argmax(1) + shift) % labels
        one_hot: Tensor = classes[:, None] == torch.arange(labels, device=y.device)
        return one_hot.to(y.dtype)
    offset = torch.randint(1, max(n, 2), (1,), device=y.device)
    rolled = y[(torch.arange(n, device=y.device) + offset) % n]
    return torch.where((rolled == y).all(1, keepdim=True), 1 - y, rolled)


@gan.register
class CGAN(gan.GAN):
    """Fully connected networks, both conditional on the label."""

    name, title, year = "cgan", "Conditional GAN", 2014
    authors = "Mirza, Osindero"
    paper = "arXiv:1411.1784"
    suits = "To learn how labels enter a GAN: very small pictures with classes."
    formulas = ("-E[log D(x,y)] - E[log(1 - D(G(z,y),y))] - ω E[log(1 - D(x,ỹ))]", "-E[log D(G(z,y),y)]")
    takes_labels = True
    Config = Settings
    presets = {  # noqa: RUF012
        "two": Preset({"design": "two"}, "two networks in D: is it real, and does the label match"),
        "tiny": Preset({"z": 8, "hidden_g": (32, 32), "hidden_d": (32, 32), "batch": 8}, "for tests"),
    }
    config: Settings
    D: Any

    def __init__(self, config: Settings) -> None:
        if not config.labels:
            raise SimulacraError("gan.only_conditional")
        if config.labels == 1 and not config.attributes:
            raise SimulacraError("gan.single_class")
        super().__init__(config)
        self.G = self.generator(config)
        self.D = PairDiscriminator(config) if config.design == "pair" else TwoDiscriminators(config)

    @classmethod
    def generator(cls, config: Any) -> Generator:
        """The untrained G alone."""
        return Generator(config)

    def wrong(self, y: Tensor) -> Tensor:
        """ỹ for labels y, both [N, labels]."""
        return wrong(y, attributes=self.config.attributes)

    def condition(self, batch: Batch) -> Tensor:
        """y [N, labels]."""
        y = super().condition(batch)
        assert y is not None
        return y

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Targets: high for reals, low for fakes and for reals with wrong labels."""
        y = self.condition(batch)
        if self.config.design == "two":
            return self.two_d_loss(batch, y)
        real, fake = self.discriminate_pair(batch, self.generate(batch, grad=False))
        high, low = self.targets(real)
        pair = losses.minimax_d(real, fake, high, low)
        mismatch = losses.cross_entropy(self.discriminate(batch.images, self.wrong(y)), low)
        stats = {"real": real, "fake": fake, "adversarial": pair, "mismatch": mismatch}
        return pair + self.config.wrong * mismatch, stats

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[log D(G(z, y), y)]."""
        fakes, y = self.generate(batch), self.condition(batch)
        if self.config.design == "two":
            return self.two_g_loss(fakes, y)
        fake = self.discriminate(fakes, y)
        return losses.non_saturating_g(fake), {"fake": fake}

    def two_d_loss(self, batch: Batch, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """R on reals and fakes, M on reals with right and wrong labels."""
        R, M, weight = self.D.is_real, self.D.match, self.config.match
        images, fakes = self.augment(batch.images), self.augment(self.generate(batch, grad=False))
        real, fake = R(images).float(), R(fakes).float()
        matching, mismatching = M(images, y).float(), M(images, self.wrong(y)).float()
        high, low = self.targets(real)
        mismatch = losses.minimax_d(matching, mismatching, high, low)
        loss = (1 - weight) * losses.minimax_d(real, fake, high, low) + weight * mismatch
        return loss, {"real": real, "fake": fake, "mismatch": mismatch}

    def two_g_loss(self, fakes: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """-(1 - μ) E[log R(G(z, y))] - μ E[log M(G(z, y), y)]."""
        images, weight = self.augment(fakes), self.config.match
        fake, matching = self.D.is_real(images).float(), self.D.match(images, y).float()
        loss = (1 - weight) * losses.non_saturating_g(fake) + weight * losses.non_saturating_g(matching)
        return loss, {"fake": fake}

"""Analyzing and Improving the Image Quality of StyleGAN. Karras, Laine, Aittala, Hellsten, Lehtinen, Aila. 2020.

    D: -E[log D(x)] - E[log(1 - D(G(z)))] + γ/2 E[‖∇x D(x)‖²]
    G: -E[log D(G(z))] + λ E[(‖J_wᵀ y‖₂ - a)²],  J_w = ∂g(w)/∂w, y normal pictures, a the running mean of ‖J_wᵀ y‖₂

G maps z to w, and w scales the weights of each layer: g(w). The penalties are lazy: taken at every so many plays, with as much
more weight. With `augment=ada` this is StyleGAN2-ADA (Karras et al. 2020, arXiv:2006.06676), whose γ, mapping network of two
layers and conditional form are the ones here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable
from collections.abc import Mapping as Named
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra import gan, losses
from simulacra.config import require, setting
from simulacra.gan import Batch, Preset
from simulacra.gans.dcgan import base
from simulacra.layers import (
    EqualisedConv2d,
    EqualisedLinear,
    ModulatedConv2d,
    ModulatedPixels,
    blur,
    downsample,
    minibatch_stddev,
    pixel_norm,
    upsample,
)
from simulacra.layers.renamed import RenamedTensors
from simulacra.styled import StyledGenerator

SLOPE = 0.2
GAIN = math.sqrt(2)  # keeps the variance through a leaky ReLU
PATH = {"path": "more than 0"}


@dataclass(frozen=True, kw_only=True)
class Settings(gan.Settings):
    """The sizes suit a laptop, the rest is the source's; see the presets for the papers' sizes."""

    z: int = setting(128, "Numbers in z and in w.")
    features: int = setting(32, "Channels at the full side, doubled at each halving.")
    features_max: int = setting(512, "Upper limit of the channels.")
    depth: int = setting(2, "Layers of the mapping network.")
    mapping_rate: float = setting(0.01, "Factor on the learning rate of the mapping network.")
    mixing: float = setting(0.9, "Share of fakes that mix two w, which change over at a random layer.")
    group: int = setting(4, "Pictures over which D sees a standard deviation.")
    gamma: float | None = setting(None, "Weight γ of R1; none for 0.0002 H W / batch.")
    r1_every: int = setting(
        16, "R1 is taken at every so many steps of D, with as much more weight.", when={"gamma": "more than 0"}
    )
    path: float = setting(2.0, "Weight λ of the path length penalty; 0 for none.")
    path_every: int = setting(4, "The path length penalty is taken at every so many steps of G.", when=PATH)
    path_decay: float = setting(0.01, "Rate of the moving average of path lengths.", when=PATH)
    path_share: float = setting(0.5, "Share of the batch for the path length penalty.", when=PATH)
    batch: int = 32
    lr: float = 2.5e-3
    betas: tuple[float, float] = (0.0, 0.99)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 1", "features", "features_max", "depth", "group", "r1_every", "path_every")
        require(self, "more than 0", "mapping_rate", "path_decay", "path_share")
        require(self, "at least 0", "mixing", "gamma", "path")


def widths(config: Settings) -> list[int]:
    """Channels from the base to the picture's side."""
    n = base(config.shape)[2]
    return [min(config.features << i, config.features_max) for i in reversed(range(n + 1))]


class Mapping(nn.Module):
    """z, or y, or both -> w: normalised, then fully connected layers."""

    def __init__(self, config: Settings, *, latent: bool) -> None:
        super().__init__()
        size, told = config.z, config.labels > 0
        # Without a bias, normalised, half of a single attribute would be the same as all of it.
        self.embedding = EqualisedLinear(config.labels, size, bias=1.0, biased=config.attributes) if told else None
        sizes = [size * (latent + told), *[size] * config.depth]
        pairs = itertools.pairwise(sizes)
        self.layers = nn.ModuleList(EqualisedLinear(a, b, gain=GAIN, rate=config.mapping_rate) for a, b in pairs)

    def forward(self, z: Tensor | None, y: Tensor | None) -> Tensor:
        """z [N, z], y [N, labels] -> w [N, z]."""
        parts = [z, y if self.embedding is None or y is None else self.embedding(y)]
        x = torch.cat([pixel_norm(part) for part in parts if part is not None], 1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
        return x


class Layer(nn.Module):
    """A convolution that w modulates, then noise, a bias and a leaky ReLU."""

    def __init__(self, config: Settings, inner: int, outer: int, sides: tuple[int, int], *, up: bool) -> None:
        super().__init__()
        self.style = EqualisedLinear(config.z, inner, bias=1.0)
        self.convolution = ModulatedConv2d(inner, outer, 3, up=up, gain=GAIN)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outer))
        self.register_buffer("constant", torch.randn(1, 1, *sides))  # the noise of a finished generator
        self.constant: Tensor

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [N, C, H, W], w [N, z] -> [N, C', H', W']."""
        noise = self.constant
        if self.training:
            noise = torch.randn(len(w), *noise.shape[1:], device=noise.device, dtype=noise.dtype)
        x = self.convolution(x, self.style(w), noise * self.strength)
        return F.leaky_relu_(x.add_(self.bias[:, None, None]), SLOPE)


class Colours(nn.Module):
    """Features -> a picture, by a convolution that w modulates."""

    def __init__(self, config: Settings, inner: int) -> None:
        super().__init__()
        self.style = EqualisedLinear(config.z, inner, bias=1.0)
        self.convolution = ModulatedPixels(inner, config.shape[0])

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [N, C, H, W], w [N, z] -> [N, channels, H, W]."""
        picture: Tensor = self.convolution(x, self.style(w))
        return picture


class Generator(StyledGenerator):
    """z -> w; a learned constant -> two layers at each side; the pictures of all sides are added up."""

    def __init__(self, config: Settings) -> None:
        height, width, n = base(config.shape)
        super().__init__(config, num_ws=2 * n + 2, w=config.z)  # the last of them for the colours alone
        channels = widths(config)
        self.mapping_network = Mapping(config, latent=True)
        self.constant = nn.Parameter(torch.randn(height, width, channels[0]))
        layers = [Layer(config, channels[0], channels[0], (height, width), up=False)]
        for i, (inner, outer) in enumerate(itertools.pairwise(channels), 1):
            sides = (height << i, width << i)
            layers += [Layer(config, inner, outer, sides, up=True), Layer(config, outer, outer, sides, up=False)]
        self.layers = nn.ModuleList(layers)
        self.colours = nn.ModuleList(Colours(config, each) for each in channels)
        self.bound = nn.Tanh() if config.output == "tanh" else nn.Identity()

    def mapping(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """z [N, z], y [N, labels] -> w [N, z]."""
        w: Tensor = self.mapping_network(z, y)
        return w

    def synthesis(self, w: Tensor) -> Tensor:
        """w [N, z], or [N, L, z] for one a layer -> pictures [N, C, H, W]."""
        ws = self.broadcast_ws(w).unbind(1)
        x = self.constant.permute(2, 0, 1).expand(w.shape[0], -1, -1, -1)
        picture: Tensor | None = None
        for i, layer in enumerate(self.layers):
            x = layer(x, ws[i])
            if i % 2 == 0:
                here = self.colours[i // 2](x, ws[i + 1])
                picture = here if picture is None else upsample(picture) + here
        bounded: Tensor = self.bound(picture)
        return bounded


class Block(nn.Module):
    """Half the side: (two convolutions + a skip) / √2."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.first = EqualisedConv2d(inner, inner, 3, gain=GAIN)
        self.second = EqualisedConv2d(inner, outer, 3, stride=2, padding=0)  # a gain of √2 / √2
        self.skip = EqualisedConv2d(inner, outer, 1, gain=1 / GAIN, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H/2, W/2]."""
        y = F.leaky_relu_(self.first(x), SLOPE)
        y = F.leaky_relu_(self.second(blur(y, padding=2)), SLOPE)
        halved: Tensor = y + self.skip(downsample(x))
        return halved


class Discriminator(RenamedTensors):
    """A picture -> residual blocks, each halving it -> the deviation within a group -> a logit."""

    renamed_tensors: ClassVar[Named[str, str]] = {"told": "label_mapping"}

    def __init__(self, config: Settings) -> None:
        super().__init__()
        height, width, _ = base(config.shape)
        channels = widths(config)[::-1]
        top = channels[-1]
        self.group = config.group
        self.first = EqualisedConv2d(config.shape[0], channels[0], 1, gain=GAIN)
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in itertools.pairwise(channels)))
        self.last = EqualisedConv2d(top + 1, top, 3, gain=GAIN)
        self.dense = EqualisedLinear(top * height * width, top, gain=GAIN)
        self.dropout = nn.Dropout(config.dropout)
        self.label_mapping = Mapping(config, latent=False) if config.labels else None
        self.out = EqualisedLinear(top, config.z if config.labels else 1)

    def forward(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W], y [N, labels] where there are labels -> logits [N]."""
        x = self.blocks(F.leaky_relu_(self.first(images), SLOPE))
        x = F.leaky_relu_(self.last(minibatch_stddev(x, self.group)), SLOPE)
        x = F.leaky_relu(self.dense(x.permute(0, 2, 3, 1).flatten(1)), SLOPE)
        x = self.out(self.dropout(x))
        if self.label_mapping is not None:
            x = x * self.label_mapping(None, y) / math.sqrt(x.shape[1])  # a projection: Miyato & Koyama 2018
        logits: Tensor = x.sum(1)
        return logits


@gan.register
class StyleGAN2(gan.GAN):
    """Modulated convolutions, skips and residuals, lazy penalties."""

    name, title, year = "stylegan2", "StyleGAN2, with ADA as an option", 2020
    authors = "Karras, Laine, Aittala, Hellsten, Lehtinen, Aila"
    paper = "arXiv:1912.04958"
    suits = "Pictures to edit afterwards, such as aligned faces; with augment=ada where they are few."
    formulas = (
        "-E[log D(x)] - E[log(1 - D(G(z)))] + γ/2 E[‖∇D(x)‖²]",
        "-E[log D(G(z))] + λ E[(‖J_wᵀ y‖ - a)²]",
    )
    takes_labels = True
    Config = Settings
    haste = {"batch": 16, "lr": 5e-3, "gamma": 0.1, "path": 0, "mixing": 0.5}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "paper256": Preset(
            {"z": 512, "features": 64, "depth": 8, "gamma": 1.0, "group": 8, "batch": 64, "ema": 20_000},
            "the settings of the ADA paper's experiments at 256 px",
            256,
        ),
        "minutes": Preset(
            {"z": 64, "features": 16, "features_max": 128, "path": 0.0, "batch": 16, "lr": 5e-3, "ema": 5000},
            "for a few minutes of one CPU core, at about 32 px",
        ),
        "tiny": Preset({"z": 8, "features": 8, "features_max": 16, "batch": 8}, "for tests"),
    }
    config: Settings
    G: Generator

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.G = self.generator(config)
        self.D = Discriminator(config)
        _, height, width = config.shape
        self.gamma = 2e-4 * height * width / config.batch if config.gamma is None else config.gamma
        self.due = {"D": True, "G": True}  # whether the next play is one with a penalty
        self.register_buffer("length", torch.zeros(()))  # a
        self.length: Tensor

    @classmethod
    def generator(cls, config: Any) -> Generator:
        """The generator alone."""
        return Generator(config)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Rates and betas to the power of k / (k + 1), for a penalty at every k-th play (appendix B of the paper)."""
        made, config = super().optimizers(), self.config
        for player, every, weight in (("D", config.r1_every, self.gamma), ("G", config.path_every, config.path)):
            share = every / (every + 1) if weight else 1.0
            for settings in made[player].param_groups:
                settings["lr"] *= share
                settings |= {"betas": tuple(beta**share for beta in settings["betas"])} if "betas" in settings else {}
        return made

    def on_step_start(self, nimg: int, steps: Named[str, int]) -> None:
        """Whether the next play is one with a penalty."""
        every = {"D": self.config.r1_every, "G": self.config.path_every}
        self.due = {player: steps[player] % every[player] == 0 for player in every}

    def graph_key(self, player: str) -> Hashable | None:
        """Whether there is a penalty."""
        return self.due[player]

    def on_step_end(self, player: str, stats: Named[str, Tensor]) -> None:
        """The mean length follows."""
        super().on_step_end(player, stats)
        if "length" in stats:
            self.length.lerp_(stats["length"].to(self.length), self.config.path_decay)

    def draw_ws(self, n: int, y: Tensor | None) -> Tensor:
        """n fresh w with labels y, one a layer [n, L, z], some of them mixed."""
        return self.G.mixed_ws(n, y, share=self.config.mixing)

    def generate(self, batch: Batch, *, grad: bool = True) -> Tensor:
        """As many fresh fakes as the batch has pictures, with styles mixed."""
        with torch.set_grad_enabled(grad and torch.is_grad_enabled()):
            return self.G.synthesis(self.draw_ws(len(batch.images), self.condition(batch))).float()

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[log D(x)] - E[log(1 - D(G(z)))], and γ/2 E[‖∇x D(x)‖²] when it is due."""
        real, fake = self.discriminate_pair(batch, self.generate(batch, grad=False))
        adversarial = losses.minimax_d(real, fake, *self.targets(real))
        stats = {"real": real, "fake": fake, "adversarial": adversarial}
        if not self.gamma or not self.due["D"]:
            return adversarial, stats
        y = self.condition(batch)
        with torch.autocast(batch.images.device.type, enabled=False):
            r1 = losses.r1(lambda x: self.discriminate(x, y), batch.images)
        return adversarial + self.gamma / 2 * self.config.r1_every * r1, stats | {"r1": r1}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[log D(G(z))], and λ E[(‖J_wᵀ y‖₂ - a)²] when it is due."""
        y = self.condition(batch)
        w = self.draw_ws(len(batch.images), y)
        self.G.update_w_avg(w[:, 0])
        fake = self.discriminate(self.G.synthesis(w).float(), y)
        adversarial = losses.non_saturating_g(fake)
        stats = {"fake": fake, "adversarial": adversarial}
        if not self.config.path or not self.due["G"]:
            return adversarial, stats
        n = math.ceil(len(batch.images) * self.config.path_share)
        with torch.autocast(batch.images.device.type, enabled=False):
            w = self.draw_ws(n, y if y is None else y[:n])
            lengths = losses.path_lengths(self.G.synthesis(w), w)
        penalty = (lengths - self.length).square().mean()
        stats |= {"path": penalty, "length": lengths.mean()}
        return adversarial + self.config.path * self.config.path_every * penalty, stats

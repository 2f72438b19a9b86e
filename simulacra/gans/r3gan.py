"""The GAN is dead; long live the GAN! A Modern GAN Baseline. Huang, Gokaslan, Kuleshov, Tompkin. 2024.

    D:  E[softplus(-(D(x) - D(G(z))))] + γ/2 (E[‖∇x D(x)‖²] + E[‖∇x D(G(z))‖²])
    G:  E[softplus(-(D(G(z)) - D(x)))]

A relativistic pairing loss, which cannot drop modes by locally optimal D's, with zero-centred penalties on reals (R1) and
fakes (R2), which make it converge; no normalisation and no tricks. Both networks are the same residual blocks.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra import gan, losses
from simulacra.augment.ada import Adaptive
from simulacra.config import require, setting
from simulacra.errors import SimulacraError
from simulacra.gan import Batch, Preset
from simulacra.gans import dcgan
from simulacra.gans.dcgan import base
from simulacra.layers import Conv2d, GroupedConv2d, Patches, downsample, upsample
from simulacra.layers.renamed import RenamedTensors
from simulacra.settings import MOST

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the variance through a leaky ReLU (He et al. 2015)
RESIDUAL = {"network": "residual"}
ADAPTIVE = {"augment": "ada", "augment_last": None}
PAPER: dict[str, Any] = {  # what the paper's settings for pictures of faces, and of all, share
    **{"features_max": 768, "batch": 256, "ema": 5e5, "ema_first": 0.0, "burn_in": 2e7},
    **{"mirror": True, "augment": "ada", "augment_last": 0.3},
}


@dataclass(frozen=True, kw_only=True)
class Settings(dcgan.Networks):
    """A size for a laptop; see the presets for the paper's. Pairs (a, b) go from a to b over the first `burn_in` images."""

    network: Literal["residual", "conv", "dense", "mlp"] = setting("residual")  # type: ignore[assignment]
    z: int = 64
    features: int = setting(32, "Channels at the full side (of conv at half of it), doubled at each halving.")
    features_max: int = 256
    patch: Literal[1, 2] = setting(1, "With 2 there are no blocks at the full side, which cost most.", when=RESIDUAL)
    blocks: int = setting(2, "Residual blocks at each side.", when=RESIDUAL)
    expansion: int = setting(2, "Factor by which a block is wider inside.", when=RESIDUAL)
    group: int = setting(16, "Channels in a group of the 3x3 convolutions; 0 for a single group.", when=RESIDUAL)
    norm_d: dcgan.Norm = "none"
    gamma: tuple[float, float] = setting((1.0, 0.1), "Weight γ of R1 and R2, before and after the burn-in.")
    lazy: int = setting(1, "R1 and R2 are taken at every so many steps of D, with as much more weight.")
    penalty: Literal["exact", "difference"] = setting(
        "exact", "R1 and R2 by a second derivative, or by finite differences, which are faster and noisier."
    )
    burn_in: float = setting(200_000.0, "Images over which the schedules run.")
    lr: float = 2e-4
    lr_last: float = setting(0.25, "Factor on the learning rate after the burn-in.")
    betas: tuple[float, float] = (0.0, 0.9)
    beta2_last: float = setting(0.99, "Adam's second decay rate after the burn-in.", when={"optimizer": "adam"})
    ema_first: float | None = setting(
        None, "The average's half-life goes from this to ema over the burn-in; none: it grows with the run."
    )
    augment_target: float = setting(0.6, when=ADAPTIVE)
    augment_images: float = setting(500_000.0, when=ADAPTIVE)
    augment_last: float | None = setting(
        None,
        "ADA's probability goes from augment_p to this over the burn-in; none: it adapts.",
        when={"augment": "ada"},
    )
    batch: int = 64
    epochs: float = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 1", "blocks", "expansion", "lazy")
        require(self, "at least 0", "gamma", "group", "ema_first")
        require(self, "more than 0", "lr_last", "burn_in")
        require(self, "at least 0 and less than 1", "beta2_last")
        if self.augment_last is not None and not (self.augment == "ada" and 0 <= self.augment_last <= MOST):
            raise SimulacraError("config.augment_last", value=self.augment_last, most=MOST)


def convolution(
    inner: int, outer: int, kernel: int, *, groups: int = 1, gain: float = 1.0, bias: bool = False
) -> nn.Module:
    """A convolution that keeps the side, its weights N(0, gain² / fan in)."""
    made: nn.Conv2d = Conv2d(inner, outer, kernel, padding=kernel // 2, bias=bias)
    if groups > 1:
        made = GroupedConv2d(inner, outer, kernel, padding=kernel // 2, groups=groups, bias=bias)
    nn.init.normal_(made.weight, 0.0, gain / math.sqrt(inner // groups * kernel * kernel))
    if bias:
        nn.init.zeros_(made.bias)  # type: ignore[arg-type]
    return made


def linear(inner: int, outer: int, *, gain: float = 1.0, bias: bool = False) -> nn.Linear:
    """A matrix, its weights N(0, gain² / fan in), its biases N(0, gain²)."""
    made = nn.Linear(inner, outer, bias=bias)
    nn.init.normal_(made.weight, 0.0, gain / math.sqrt(inner))
    if bias:
        nn.init.normal_(made.bias, 0.0, gain)
    return made


class BiasLeakyReLU(nn.Module):
    """A bias for each channel, and a leaky ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        return F.leaky_relu(x + self.bias[:, None, None], SLOPE)


class Block(nn.Module):
    """x + 1x1(bend(3x3(bend(1x1(x))))): wider inside, the 3x3 in groups, nothing normalised.

    `depth` residual blocks in a row keep their variance by fixup (Zhang et al. 2019): the last convolution starts at 0,
    the other two are scaled by depth^(-1/4).
    """

    def __init__(self, config: Settings, channels: int, depth: int) -> None:
        super().__init__()
        wide, gain = channels * config.expansion, GAIN * depth**-0.25
        groups = max(1, wide // config.group) if config.group else 1
        self.layers = nn.Sequential(
            convolution(channels, wide, 1, gain=gain),
            BiasLeakyReLU(wide),
            convolution(wide, wide, 3, groups=groups if wide % groups == 0 else 1, gain=gain),
            BiasLeakyReLU(wide),
            convolution(wide, channels, 1, gain=0.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        y: Tensor = x + self.layers(x)
        return y


def channels_of(config: Settings) -> list[int]:
    """Channels from the picture's side (half of it, with patches) down to the base's."""
    _, _, n = base(config.shape)
    return [min(config.features << i, config.features_max) for i in range(config.patch - 1, n + 1)]


def stages(config: Settings, channels: list[int]) -> list[nn.Sequential]:
    """The blocks at each side."""
    depth = config.blocks * len(channels)
    return [nn.Sequential(*(Block(config, each, depth) for _ in range(config.blocks))) for each in channels]


class Generator(RenamedTensors, gan.Generator):
    """A learned base x base picture of many channels, scaled by z -> blocks and doublings -> a picture."""

    renamed_tensors: ClassVar[Mapping[str, str]] = {"told": "label_embedding"}

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        height, width, _ = base(config.shape)
        channels = channels_of(config)[::-1]
        self.label_embedding = linear(config.labels, config.z) if config.labels else None
        self.first = linear(config.z * (2 if config.labels else 1), channels[0])
        self.basis = nn.Parameter(torch.randn(channels[0], height, width))
        self.stages = nn.ModuleList(stages(config, channels))
        pairs = itertools.pairwise(channels)
        self.narrow = nn.ModuleList(
            convolution(a, b, 1) if a != b else nn.Identity() for a, b in pairs
        )  # before each doubling: the same as after it, and four times cheaper
        self.last: nn.Module = convolution(channels[-1], config.shape[0], 1, bias=True)
        if config.patch > 1:
            self.last = Patches(channels[-1], config.shape[0])
        self.bound = nn.Tanh() if config.output == "tanh" else nn.Identity()

    def synthesis(self, w: Tensor) -> Tensor:
        """w [N, z], or [N, z + labels] -> pictures [N, C, H, W]."""
        if self.label_embedding is not None:
            w = torch.cat([w[:, : self.z_dim], self.label_embedding(w[:, self.z_dim :])], 1)
        x = (self.first(w)[:, :, None, None] * self.basis).contiguous(memory_format=torch.channels_last)
        x = self.stages[0](x)
        for narrow, stage in zip(self.narrow, self.stages[1:], strict=True):
            x = stage(upsample(narrow(x)))
        images: Tensor = self.bound(self.last(x))
        return images


class Discriminator(RenamedTensors):
    """A picture -> blocks and halvings -> a learned weighing of base x base positions -> a score."""

    renamed_tensors: ClassVar[Mapping[str, str]] = {"told": "label_embedding"}

    def __init__(self, config: Settings) -> None:
        super().__init__()
        height, width, _ = base(config.shape)
        channels = channels_of(config)
        self.first: nn.Module = convolution(config.shape[0], channels[0], 1, bias=True)
        if config.patch > 1:
            self.first = Conv2d(config.shape[0], channels[0], 4, 2, 1)
            nn.init.normal_(self.first.weight, 0.0, 0.25 / math.sqrt(config.shape[0]))
        self.stages = nn.ModuleList(stages(config, channels))
        pairs = itertools.pairwise(channels)
        self.widen = nn.ModuleList(convolution(a, b, 1) if a != b else nn.Identity() for a, b in pairs)
        self.basis = nn.Parameter(torch.randn(channels[-1], height, width) / math.sqrt(height * width))
        self.dropout = nn.Dropout(config.dropout)
        self.last = linear(channels[-1], config.z if config.labels else 1)
        gain, some = 1 / math.sqrt(config.z), config.attributes  # where all are 0, D would say 0 without a bias
        self.label_embedding = linear(config.labels, config.z, gain=gain, bias=some) if config.labels else None

    def forward(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W], and labels [N, labels] -> scores [N]."""
        x = self.stages[0](self.first(images))
        for widen, stage in zip(self.widen, self.stages[1:], strict=True):
            x = stage(widen(downsample(x)))
        x = self.last(self.dropout((x * self.basis).sum((2, 3))))
        scores: Tensor = (
            x[:, 0] if self.label_embedding is None else (x * self.label_embedding(y)).sum(1)
        )  # projection: Miyato & Koyama 2018
        return scores


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
    unused = {"separate": "gan.own_batches", "lr_decay": "gan.own_rate"}  # noqa: RUF012
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
        "tiny": Preset({"z": 8, "features": 8, "features_max": 16, "blocks": 1, "group": 4, "batch": 8}, "for tests"),
    }
    config: Settings

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.G = self.generator(config)
        self.D = Discriminator(config) if config.network == "residual" else dcgan.build_discriminator(config)
        self.nimg, self.due = 0, True  # whether the next play of D is one with the penalties
        first = torch.tensor(config.gamma[0] * config.lazy / 2)
        self.register_buffer("weight", first, persistent=False)  # of the penalties, at this moment
        self.weight: Tensor

    @classmethod
    def generator(cls, config: Any) -> gan.Generator:
        """The generator alone."""
        return Generator(config) if config.network == "residual" else dcgan.build_generator(config)

    def on_step_start(self, nimg: int, steps: Mapping[str, int]) -> None:
        """The schedules follow the images shown; the penalties, D's plays."""
        self.nimg, self.due = nimg, steps["D"] % self.config.lazy == 0
        self.weight.fill_(self.scheduled(*self.config.gamma) * self.config.lazy / 2)
        if self.config.augment_last is not None and isinstance(self.augment, Adaptive):
            self.augment.p.fill_(self.scheduled(self.config.augment_p, self.config.augment_last))

    def graph_key(self, player: str) -> Hashable | None:
        """Whether there are penalties."""
        return player == "D" and self.due

    def on_step_end(self, player: str, stats: Mapping[str, Tensor]) -> None:
        """p adapts, where it has no schedule."""
        if self.config.augment_last is None:
            super().on_step_end(player, stats)

    def scheduled(self, first: float, last: float) -> float:
        """From `first` to `last` over the burn-in, as half a cosine (section 4 and appendix of the paper)."""
        done = min(1.0, self.nimg / self.config.burn_in)
        return last + (first - last) * (1 + math.cos(math.pi * done)) / 2

    def rate(self, steps: int) -> float:
        """The learning rate's factor."""
        return self.scheduled(1.0, self.config.lr_last)

    def momenta(self) -> tuple[float, float]:
        """Adam's betas: β2 grows."""
        return self.config.betas[0], self.scheduled(self.config.betas[1], self.config.beta2_last)

    def half_life(self) -> float | None:
        """That of the average grows."""
        first = self.config.ema_first
        return None if first is None else self.scheduled(first, self.config.ema)

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """E[softplus(D(G(z)) - D(x))] + γ/2 (R1 + R2)."""
        due, exact = self.due, self.config.penalty == "exact"
        judge = functools.partial(self.discriminate, y=self.condition(batch))
        images = [
            side.detach().requires_grad_(due and exact) for side in (batch.images, self.generate(batch, grad=False))
        ]
        critics = [losses.repeatable(judge) if due and not exact else judge for _ in images]
        real, fake = (critic(side) for critic, side in zip(critics, images, strict=True))
        adversarial = losses.relativistic_d(real, fake)
        stats = {"real": real, "fake": fake, "adversarial": adversarial}
        if not due:
            return adversarial, stats
        r1, r2 = (
            losses.squared_gradient(scores, side) if exact else losses.r1_by_difference(critic, side, scores)
            for critic, scores, side in zip(critics, (real, fake), images, strict=True)
        )
        return adversarial + self.weight * (r1 + r2), stats | {"r1": r1, "r2": r2}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """E[softplus(D(x) - D(G(z)))]."""
        y = self.condition(batch)
        fake = self.discriminate(self.generate(batch), y)
        with torch.no_grad():
            real = self.discriminate(batch.images, y)
        return losses.relativistic_g(real, fake), {"fake": fake}

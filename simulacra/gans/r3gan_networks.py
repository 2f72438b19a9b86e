"""R3GAN's networks: residual blocks with grouped convolutions and without norms, the same in G and D."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra import gan
from simulacra.gans.dcgan import base
from simulacra.layers import Conv2d, GroupedConv2d, Patches, PictureOrder, downsample, upsample
from simulacra.layers.renamed import RenamedTensors

if TYPE_CHECKING:
    from simulacra.gans.r3gan import Settings

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the variance through a leaky ReLU (He et al. 2015)


def convolution(
    inner: int, outer: int, kernel: int, *, groups: int = 1, gain: float = 1.0, bias: bool = False
) -> nn.Module:
    """A convolution that keeps height and width, with weights N(0, gain² / fan in)."""
    layer: nn.Conv2d = Conv2d(inner, outer, kernel, padding=kernel // 2, bias=bias)
    if groups > 1:
        layer = GroupedConv2d(inner, outer, kernel, padding=kernel // 2, groups=groups, bias=bias)
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(inner // groups * kernel * kernel))
    if bias:
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def linear(inner: int, outer: int, *, gain: float = 1.0, bias: bool = False) -> nn.Linear:
    """A fully connected layer with weights N(0, gain² / fan in) and biases N(0, gain²)."""
    layer = nn.Linear(inner, outer, bias=bias)
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(inner))
    if bias:
        nn.init.normal_(layer.bias, 0.0, gain)
    return layer


class BiasLeakyReLU(nn.Module):
    """A bias per channel, and leaky ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        return F.leaky_relu(x + self.bias[:, None, None], SLOPE)


class Block(nn.Module):
    """x + 1x1(φ(3x3(φ(1x1(x))))), φ a bias and leaky ReLU: wider inside, with a grouped 3x3 convolution, without norms.

    Fixup (Zhang et al. 2019) keeps the variance over `depth` blocks: the last convolution starts at 0, and the other
    two are scaled by depth^(-1/4).
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
    """Channels at each side, from the full side (half of it with `patch=2`) to the base."""
    _, _, n = base(config.shape)
    return [min(config.features << i, config.features_max) for i in range(config.patch - 1, n + 1)]


def stages(config: Settings, channels: list[int]) -> list[nn.Sequential]:
    """The blocks at each side."""
    depth = config.blocks * len(channels)
    return [nn.Sequential(*(Block(config, width, depth) for _ in range(config.blocks))) for width in channels]


class Generator(RenamedTensors, PictureOrder, gan.Generator):
    """A learned base whose channels z scales -> blocks and doublings -> a picture."""

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
        # Before each doubling: the result is the same as after it, at a quarter of the cost.
        self.narrow = nn.ModuleList(convolution(a, b, 1) if a != b else nn.Identity() for a, b in pairs)
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

    def layers_from_picture(self) -> list[nn.Module]:
        """The last layer, then blocks and doublings by turns."""
        return [self.last, *_by_turns(self.stages[::-1], self.narrow[::-1])]


class Discriminator(RenamedTensors, PictureOrder):
    """A picture -> blocks and halvings -> a learned weighted sum over positions -> a score."""

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
        gain, bias = (
            1 / math.sqrt(config.z),
            config.attributes,
        )  # without a bias the score would be 0 if all attributes are
        self.label_embedding = linear(config.labels, config.z, gain=gain, bias=bias) if config.labels else None

    def forward(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W], y [N, labels] or None -> scores [N]."""
        x: Tensor = self.stages[0](self.first(images))
        for widen, stage in zip(self.widen, self.stages[1:], strict=True):
            x = stage(widen(downsample(x)))
        x = self.last(self.dropout((x * self.basis).sum((2, 3))))
        if self.label_embedding is None:
            return x[:, 0]
        scores: Tensor = (x * self.label_embedding(y)).sum(1)  # projection discriminator: Miyato & Koyama 2018
        return scores

    def layers_from_picture(self) -> list[nn.Module]:
        """The first layer, then blocks and halvings by turns."""
        return [self.first, *_by_turns(self.stages, self.widen)]


def _by_turns(stages: nn.ModuleList, between: nn.ModuleList) -> list[nn.Module]:
    return [layer for pair in zip(stages, between, strict=False) for layer in pair] + [stages[-1]]

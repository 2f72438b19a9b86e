"""StyleGAN2's networks: a modulated skip generator and a residual discriminator."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra.gans.dcgan import base
from simulacra.layers import (
    EqualisedConv2d,
    EqualisedLinear,
    ModulatedConv2d,
    ModulatedPixels,
    PictureOrder,
    blur,
    downsample,
    minibatch_stddev,
    pixel_norm,
    upsample,
)
from simulacra.layers.renamed import RenamedTensors
from simulacra.styled import StyledGenerator

if TYPE_CHECKING:
    from simulacra.gans.stylegan2 import Settings

SLOPE = 0.2
GAIN = math.sqrt(2)  # keeps the variance through a leaky ReLU


def widths(config: Settings) -> list[int]:
    """Channels at each side, from the base to the full side."""
    n = base(config.shape)[2]
    return [min(config.features << i, config.features_max) for i in reversed(range(n + 1))]


class MappingNetwork(nn.Module):
    """z, y or both, normalised -> fully connected layers -> w."""

    def __init__(self, config: Settings, *, latent: bool) -> None:
        super().__init__()
        size, conditional = config.z, config.labels > 0
        # Without a bias, normalisation would map an attribute of 0.5 to the same values as one of 1.
        self.embedding = (
            EqualisedLinear(config.labels, size, bias=1.0, biased=config.attributes) if conditional else None
        )
        sizes = [size * (latent + conditional), *[size] * config.depth]
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
        self.register_buffer("constant", torch.randn(1, 1, *sides))  # noise outside of training
        self.constant: Tensor

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """x [N, C, H, W], w [N, z], noise [1 or N, 1, H', W'] -> [N, C', H', W']."""
        if noise is None:
            noise = self.constant
            if self.training:
                noise = torch.randn(len(w), *noise.shape[1:], device=noise.device, dtype=noise.dtype)
        x = self.convolution(x, self.style(w), noise * self.strength)
        return F.leaky_relu_(x.add_(self.bias[:, None, None]), SLOPE)


class ToRGB(nn.Module):
    """Features -> a picture, by a 1x1 convolution that w modulates."""

    def __init__(self, config: Settings, inner: int) -> None:
        super().__init__()
        self.style = EqualisedLinear(config.z, inner, bias=1.0)
        self.convolution = ModulatedPixels(inner, config.shape[0])

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [N, C, H, W], w [N, z] -> [N, channels, H, W]."""
        picture: Tensor = self.convolution(x, self.style(w))
        return picture


class Generator(PictureOrder, StyledGenerator):
    """z -> w; a learned constant -> two layers per side; the sum of the pictures of all sides."""

    renamed_tensors: ClassVar[Mapping[str, str]] = {**StyledGenerator.renamed_tensors, "colours": "to_rgb"}

    def __init__(self, config: Settings) -> None:
        height, width, n = base(config.shape)
        super().__init__(config, num_ws=2 * n + 2, w=config.z)  # the last one only for ToRGB
        channels = widths(config)
        self.mapping_network = MappingNetwork(config, latent=True)
        self.constant = nn.Parameter(torch.randn(height, width, channels[0]))
        layers = [Layer(config, channels[0], channels[0], (height, width), up=False)]
        for i, (inner, outer) in enumerate(itertools.pairwise(channels), 1):
            sides = (height << i, width << i)
            layers += [Layer(config, inner, outer, sides, up=True), Layer(config, outer, outer, sides, up=False)]
        self.layers = nn.ModuleList(layers)
        self.to_rgb = nn.ModuleList(ToRGB(config, width) for width in channels)
        self.bound = nn.Tanh() if config.output == "tanh" else nn.Identity()

    def mapping(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """z [N, z], y [N, labels] -> w [N, z]."""
        w: Tensor = self.mapping_network(z, y)
        return w

    def stored_noise(self) -> list[Tensor]:
        """The noise of each layer outside of training [1, 1, H, W]."""
        return [layer.constant for layer in self.layers]  # type: ignore[misc]

    def synthesis(self, w: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """w [N, z], or [N, L, z] with one per layer -> pictures [N, C, H, W]."""
        ws = self.broadcast_ws(w).unbind(1)
        x = self.constant.permute(2, 0, 1).expand(w.shape[0], -1, -1, -1)
        picture: Tensor | None = None
        for i, layer in enumerate(self.layers):
            x = layer(x, ws[i], noise and noise[i])
            if i % 2 == 0:
                rgb = self.to_rgb[i // 2](x, ws[i + 1])
                picture = rgb if picture is None else upsample(picture) + rgb
        images: Tensor = self.bound(picture)
        return images

    def layers_from_picture(self) -> list[nn.Module]:
        """`to_rgb` and both layers of each side but the base's, from the full side."""
        sides = zip(self.to_rgb[:0:-1], self.layers[:0:-2], self.layers[-2:0:-2], strict=True)
        return [layer for side in sides for layer in side]


class Block(nn.Module):
    """Half the side: (two convolutions + a skip connection) / √2."""

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


class Discriminator(RenamedTensors, PictureOrder):
    """A picture -> residual blocks, each halving it -> the standard deviation within groups -> a logit."""

    renamed_tensors: ClassVar[Mapping[str, str]] = {"told": "label_mapping"}

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
        self.label_mapping = MappingNetwork(config, latent=False) if config.labels else None
        self.out = EqualisedLinear(top, config.z if config.labels else 1)

    def forward(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W], y [N, labels] or None -> logits [N]."""
        x = self.blocks(F.leaky_relu_(self.first(images), SLOPE))
        x = F.leaky_relu_(self.last(minibatch_stddev(x, self.group)), SLOPE)
        x = F.leaky_relu(self.dense(x.permute(0, 2, 3, 1).flatten(1)), SLOPE)
        x = self.out(self.dropout(x))
        if self.label_mapping is not None:
            x = (
                x * self.label_mapping(None, y) / math.sqrt(x.shape[1])
            )  # projection discriminator: Miyato & Koyama 2018
        logits: Tensor = x.sum(1)
        return logits

    def layers_from_picture(self) -> list[nn.Module]:
        """The first layer, then the blocks."""
        return [self.first, *self.blocks]

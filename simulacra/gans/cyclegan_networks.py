"""CycleGAN's networks: the paper's residual generator, a U-Net generator and the PatchGAN discriminator."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra.gans.dcgan import initialise
from simulacra.layers import Conv2d, ConvTranspose2d, InstanceNorm2d
from simulacra.translator import Translator

if TYPE_CHECKING:
    from simulacra.gans.cyclegan import Settings

SLOPE = 0.2
CHANGE_SCALE = 0.1  # factor on the last layer's initial weights with `change`
LARGE = 256  # px of the shorter side from which G has 9 residual blocks instead of 6
SMALLEST = 8  # px of a side, which the halvings reduce to 2


def with_norm(config: Settings, layer: nn.Module, channels: int) -> list[nn.Module]:
    """A convolution to `channels`, and its norm unless `norm=none`."""
    return [layer, InstanceNorm2d(channels)] if config.norm == "instance" else [layer]


def convolutions(network: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    """A network's convolutions in order."""
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]


def he_initialise(network: nn.Module, slope: float) -> None:
    """He's initialisation (2015), which keeps the variance through rectifiers without norms; biases 0."""
    for layer in convolutions(network):
        fan_in = layer.in_channels * math.prod(layer.kernel_size)
        if isinstance(layer, nn.ConvTranspose2d):
            fan_in //= math.prod(layer.stride)
        nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / (1 + slope**2) / fan_in))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class Residual(nn.Module):
    """x + two 3x3 convolutions, with or without norms."""

    def __init__(self, config: Settings, channels: int) -> None:
        super().__init__()
        bias = config.norm == "none"
        first, last = (Conv2d(channels, channels, 3, bias=bias) for _ in range(2))
        layers: list[nn.Module] = [nn.ReflectionPad2d(1), *with_norm(config, first, channels), nn.ReLU()]
        layers += [nn.ReflectionPad2d(1), *with_norm(config, last, channels)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        y: Tensor = x + self.layers(x)
        return y


class Change(nn.Module):
    """x + network(x), clamped to [-1, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        total: Tensor = x.float() + self.network(x).float()
        clamped = total.clamp(-1, 1)
        if not self.training:
            return clamped
        return total + (clamped - total).detach()  # pass the gradient through the clamp, or white could never darken


class UNet(nn.Module):
    """Halve a picture down to 2 or 3 px, at most five times, and double it as often, with skip connections.

    The authors' alternative generator, from pix2pix (Isola et al. 2017, section 6.1.1). Its last layer draws four pixels
    at once and leaves a pattern in flat colours. `fine` removes it, by two more convolutions of the result and the input
    at the full side.
    """

    def __init__(self, config: Settings, halvings: int) -> None:
        super().__init__()
        channels, no_norm = config.shape[0], config.norm == "none"
        last = config.fine or channels
        widths = [channels, *(config.features * min(1 << i, 8) for i in range(halvings))]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, (inner, outer) in enumerate(itertools.pairwise(widths)):
            bare = no_norm or i in (0, halvings - 1)  # a norm over a few pixels would remove everything
            halve = Conv2d(inner, outer, 4, 2, 1, bias=bare)
            self.down.append(
                nn.Sequential(*([halve] if bare else with_norm(config, halve, outer)), nn.LeakyReLU(SLOPE))
            )
        for i in range(halvings, 0, -1):
            inner = widths[i] * (1 if i == halvings else 2)
            double = ConvTranspose2d(inner, widths[i - 1] if i > 1 else last, 4, 2, 1, bias=no_norm or i == 1)
            self.up.append(nn.Sequential(*with_norm(config, double, widths[i - 1]), nn.ReLU()) if i > 1 else double)
        self.fine: nn.Sequential | None = None
        if config.fine:
            first = Conv2d(last + channels, last, 3, 1, 1)
            self.fine = nn.Sequential(first, nn.ReLU(), Conv2d(last, channels, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        images, skips = x, list[Tensor]()
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        for i, layer in enumerate(self.up):
            x = layer(torch.cat([x, skips[-1 - i]], 1) if i else x)
        return x if self.fine is None else self.fine(torch.cat([F.relu(x), images], 1))


def unet_halvings(config: Settings) -> int:
    """Number of halvings in a U-Net."""
    return min(5, int(math.log2(min(config.shape[1:]))) - 1)


def residual_layers(config: Settings) -> list[nn.Module]:
    """The layers of the paper's generator: 7x7, two halvings, residual blocks, two doublings, 7x7."""
    channels, width, bias = config.shape[0], config.features, config.norm == "none"
    blocks = config.blocks or (9 if min(config.shape[1:]) >= LARGE else 6)
    layers: list[nn.Module] = [nn.ReflectionPad2d(3)]
    layers += [*with_norm(config, Conv2d(channels, width, 7, bias=bias), width), nn.ReLU()]
    for inner in (width, 2 * width):
        layers += [*with_norm(config, Conv2d(inner, 2 * inner, 3, 2, 1, bias=bias), 2 * inner), nn.ReLU()]
    layers += [Residual(config, 4 * width) for _ in range(blocks)]
    for inner in (4 * width, 2 * width):
        double = ConvTranspose2d(inner, inner // 2, 3, 2, 1, output_padding=1, bias=bias)
        layers += [*with_norm(config, double, inner // 2), nn.ReLU()]
    layers += [nn.ReflectionPad2d(3), Conv2d(width, channels, 7)]
    return layers


def translation_network(config: Settings) -> nn.Module:
    """The network of one direction."""
    unet = config.network == "unet"
    network = nn.Sequential(*([UNet(config, unet_halvings(config))] if unet else residual_layers(config)))
    if config.norm == "none":
        he_initialise(network, SLOPE if unet else 0.0)
        for block in network:
            if isinstance(block, Residual):
                nn.init.zeros_(
                    convolutions(block)[-1].weight
                )  # fixup (Zhang et al. 2019): each block starts as the identity
    else:
        initialise(network)
    if config.change:
        with torch.no_grad():
            convolutions(network)[-1].weight.mul_(CHANGE_SCALE)
        return Change(network)
    return nn.Sequential(*network, nn.Tanh() if config.output == "tanh" else nn.Identity())


class Generator(Translator):
    """The translators G_b and G_a."""

    multiple, least = 4, SMALLEST

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        if config.network == "unet":
            self.multiple = self.least = 1 << unet_halvings(config)
            self.whole = True
        self.into["b"], self.into["a"] = translation_network(config), translation_network(config)


class PatchDiscriminator(nn.Module):
    """A picture -> a score per patch."""

    def __init__(self, config: Settings) -> None:
        super().__init__()
        halvings = min(config.halvings, int(math.log2(min(config.shape[1:]))) - 2)
        layers: list[nn.Module] = [Conv2d(config.shape[0], config.features, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        inner = config.features
        for i in range(halvings):
            outer = config.features * min(2 << i, 8)
            halve = Conv2d(inner, outer, 4, 2 if i < halvings - 1 else 1, 1, bias=config.norm == "none")
            layers += [*with_norm(config, halve, outer), nn.LeakyReLU(SLOPE)]
            inner = outer
        self.layers = nn.Sequential(*layers, nn.Dropout(config.dropout), Conv2d(inner, 1, 4, 1, 1))
        if config.norm == "none":
            he_initialise(self, SLOPE)
        else:
            initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures [N, C, H, W] -> scores [N, patches]."""
        scores: Tensor = self.layers(images).flatten(1)
        return scores

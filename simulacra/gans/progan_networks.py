"""ProGAN's growing networks, which StyleGAN shares."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra import gan
from simulacra.gans.dcgan import base
from simulacra.layers import GROUP, EqualisedConv2d, EqualisedLinear, PictureOrder, minibatch_stddev, pixel_norm
from simulacra.layers.renamed import RenamedTensors

if TYPE_CHECKING:
    from simulacra.gans.progan import Growing

STAGE = 600_000  # images of a fade, and between two fades, in the paper
GAIN = 2**0.5  # keeps the variance through a rectifier


def widths(config: Growing) -> list[int]:
    """Channels at each level, from the base up."""
    levels = base(config.shape)[2]
    return [min(config.features << (levels - level), config.features_max) for level in range(levels + 1)]


def repeat_pixels(images: Tensor, times: int) -> Tensor:
    """[N, C, H, W] -> [N, C, times·H, times·W], with repeated pixels."""
    return F.interpolate(images, scale_factor=times, mode="nearest") if times > 1 else images


def box_average(images: Tensor, times: int = 2) -> Tensor:
    """[N, C, H, W] -> [N, C, H / times, W / times], means over boxes."""
    return F.avg_pool2d(images, times) if times > 1 else images


class Growth(RenamedTensors):
    """The level of growth, a function of the images shown; a buffer, so that the EMA and model files have it too."""

    renamed_tensors: ClassVar[Mapping[str, str]] = {"shown": "nimg_buffer"}
    nimg_buffer: Tensor

    def __init__(self, config: Growing) -> None:
        super().__init__()
        self.levels = base(config.shape)[2]
        self.fade = STAGE if config.fade is None else config.fade
        self.stable = STAGE if config.stable is None else config.stable
        self.register_buffer("nimg_buffer", torch.zeros((), dtype=torch.int64))
        self.nimg = 0  # a copy on the host

    def update(self, nimg: int) -> None:
        """Grow to the level of `nimg` images."""
        self.nimg = nimg
        self.nimg_buffer.fill_(nimg)

    def train(self, mode: bool = True) -> Growth:
        """As in torch; also copies the number of images to the host, as a state dict may have set it."""
        self.nimg = int(self.nimg_buffer)
        return super().train(mode)

    def stage(self) -> tuple[int, float]:
        """(level, α): the side is the base's times 2^level, and its last doubling has weight α."""
        if not self.training and not torch.compiler.is_compiling():  # the EMA may have set the buffer
            self.nimg = int(self.nimg_buffer)
        if self.nimg < self.stable:
            return 0, 1.0
        cycle, past = self.fade + self.stable, self.nimg - self.stable
        level = 1 + past // cycle if cycle else self.levels
        if level > self.levels:
            return self.levels, 1.0
        within = past - (level - 1) * cycle
        return level, within / self.fade if within < self.fade else 1.0

    @property
    def scale(self) -> int:
        """The full side divided by the current one."""
        return 1 << (self.levels - self.stage()[0])

    def max_microbatch(self, config: Growing) -> int:
        """Largest number of pictures of the current side with at most `config.pixels` pixels; at least D's group."""
        _, height, width = config.shape
        return max(GROUP, config.pixels * self.scale**2 // (height * width))

    def to_image(self, to_rgb: Callable[[int, Tensor], Tensor], x: Tensor, before: Tensor) -> Tensor:
        """Pictures of the full side from features x of this level and `before` of the last one, blended in a fade.

        to_rgb: a picture from a level and its features.
        """
        level, alpha = self.stage()
        images = to_rgb(level, x)
        if alpha < 1:
            coarse = repeat_pixels(to_rgb(level - 1, before), 2)  # its dtype may differ under autocast
            images = coarse.lerp(images.to(coarse), alpha)
        return repeat_pixels(images, self.scale)

    def fade_reals(self, images: Tensor) -> Tensor:
        """Blend reals between the two sides of a fade, as fakes are (appendix A)."""
        alpha, coarse = self.stage()[1], 2 * self.scale
        return images if alpha == 1 else repeat_pixels(box_average(images, coarse), coarse).lerp(images, alpha)


def leaky(x: Tensor) -> Tensor:
    """LeakyReLU 0.2."""
    return F.leaky_relu(x, 0.2)


class Doubling(nn.Module):
    """[N, inner, H, W] -> [N, outer, 2H, 2W]."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.first = EqualisedConv2d(inner, outer, 3, gain=GAIN)
        self.second = EqualisedConv2d(outer, outer, 3, gain=GAIN)

    def forward(self, x: Tensor) -> Tensor:
        """Repeat pixels, then two convolutions."""
        x = pixel_norm(leaky(self.first(repeat_pixels(x, 2))))
        return pixel_norm(leaky(self.second(x)))


class Halving(nn.Module):
    """[N, inner, H, W] -> [N, outer, H/2, W/2]."""

    def __init__(self, inner: int, outer: int, halve: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first = EqualisedConv2d(inner, inner, 3, gain=GAIN)
        self.second = EqualisedConv2d(inner, outer, 3, gain=GAIN)
        self.halve = halve

    def forward(self, x: Tensor) -> Tensor:
        """Two convolutions, then `halve`."""
        return self.halve(leaky(self.second(leaky(self.first(x)))))


class Generator(PictureOrder, gan.Generator):
    """z -> b x b -> a doubling per level -> a picture, with pixels repeated to the full side."""

    def __init__(self, config: Growing) -> None:
        super().__init__(config)
        self.growth = Growth(config)
        height, width, _ = base(config.shape)
        channels = widths(config)
        self.grid = (height, width, channels[0])
        self.first = EqualisedLinear(config.z, height * width * channels[0], gain=GAIN)
        self.second = EqualisedConv2d(channels[0], channels[0], 3, gain=GAIN)
        self.blocks = nn.ModuleList(Doubling(*pair) for pair in itertools.pairwise(channels))
        self.to_rgb = nn.ModuleList(EqualisedConv2d(inner, config.shape[0], 1) for inner in channels)
        self.out = nn.Tanh() if config.output == "tanh" else nn.Identity()

    def mapping(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """z [N, z] -> w [N, z], of length √z."""
        return pixel_norm(z)

    def synthesis(self, w: Tensor) -> Tensor:
        """w [N, z] -> pictures [N, C, H, W]."""
        x = self.first(w).unflatten(1, self.grid).permute(0, 3, 1, 2)  # channels last
        x = before = pixel_norm(leaky(self.second(pixel_norm(leaky(x)))))
        for block in self.blocks[: self.growth.stage()[0]]:
            before, x = x, block(x)
        return self.growth.to_image(lambda level, features: self.out(self.to_rgb[level](features)), x, before)

    def layers_from_picture(self) -> list[nn.Module]:
        """`to_rgb` and the doubling of each level, from the highest."""
        return [layer for pair in zip(self.to_rgb[:0:-1], self.blocks[::-1], strict=True) for layer in pair]


class Discriminator(PictureOrder):
    """A picture, averaged to the current side -> halved to b x b -> a score: G's architecture reversed.

    stage: returns the level and α. halve: halves the side of features.
    """

    def __init__(
        self, config: Growing, stage: Callable[[], tuple[int, float]], halve: Callable[[Tensor], Tensor] = box_average
    ) -> None:  # fmt: skip
        super().__init__()
        self.stage = stage
        height, width, self.levels = base(config.shape)
        channels = widths(config)
        self.from_rgb = nn.ModuleList(EqualisedConv2d(config.shape[0], inner, 1, gain=GAIN) for inner in channels)
        self.blocks = nn.ModuleList(Halving(inner, outer, halve) for outer, inner in itertools.pairwise(channels))
        self.first = EqualisedConv2d(channels[0] + 1, channels[0], 3, gain=GAIN)
        self.second = EqualisedLinear(channels[0] * height * width, channels[0], gain=GAIN)
        self.dropout = nn.Dropout(config.dropout)
        self.last = EqualisedLinear(channels[0], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures [N, C, H, W] of the full side -> scores [N]."""
        level, alpha = self.stage()
        images = box_average(images, 1 << (self.levels - level))
        x: Tensor = leaky(self.from_rgb[level](images))
        for i in reversed(range(level)):
            x = self.blocks[i](x)
            if i == level - 1 and alpha < 1:
                x = leaky(self.from_rgb[i](box_average(images))).lerp(x, alpha)
        x = leaky(self.first(minibatch_stddev(x))).flatten(1)
        scores: Tensor = self.last(self.dropout(leaky(self.second(x))))
        return scores.squeeze(1)

    def layers_from_picture(self) -> list[nn.Module]:
        """`from_rgb` and the halving of each level, from the highest."""
        return [layer for pair in zip(self.from_rgb[:0:-1], self.blocks[::-1], strict=True) for layer in pair]

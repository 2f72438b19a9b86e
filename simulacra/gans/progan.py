"""Progressive Growing of GANs for Improved Quality, Stability, and Variation. Karras, Aila, Laine, Lehtinen. 2018.

    D:  E[D(G(z))] - E[D(x)] + λ E[(‖∇x̂ D(x̂)‖₂ - 1)²] + ε E[D(x)²],  x̂ = εx + (1 - ε)G(z),  ε uniform in [0, 1]
    G: -E[D(G(z))]

Both networks begin at 4x4 (or at `dcgan.base`) and double, again and again: the new layers fade in while α rises
from 0 to 1, α·new + (1 - α)·old repeat_pixels, and then settle. All pictures that the two exchange are of the full
side: those of a level are repeat_pixels by repeating pixels, and D averages them back.

The paper uses smaller batches at larger sides, for the memory of its GPUs. Here larger sides use more microbatches, and
the batch stays the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra import gan, losses
from simulacra.config import require, setting, updated
from simulacra.gan import Batch, Preset
from simulacra.gans.dcgan import base
from simulacra.layers import GROUP, EqualisedConv2d, EqualisedLinear, minibatch_stddev, pixel_norm

STAGE = 600_000  # images of a fade, and between two fades, in the paper
SHORT_STAGE = 5_000  # the same where the run's length is in minutes, which are then few
GAIN = 2**0.5  # the gain of layers that a rectifier follows


@dataclass(frozen=True, kw_only=True)
class Growing(gan.Settings):
    """Settings of networks that grow, shared by every GAN that borrows them."""

    z: int = 512
    features: int = setting(16, "Channels at the full side, doubled at each halving (the paper: 16384 / side).")
    features_max: int = setting(512, "Upper limit of the channels.")
    fade: int | None = setting(None, "Images while a new side fades in; none to fit the run's length.")
    stable: int | None = setting(None, "Images at a side before the next one; none to fit the run's length.")
    pixels: int = setting(1 << 20, "Pixels that are computed at once, for the memory.")
    lr: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.99)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 1", "features", "features_max", "pixels")
        require(self, "at least 0", "fade", "stable")


@dataclass(frozen=True, kw_only=True)
class Settings(Growing):
    """The paper's settings, but for the widths."""

    batch: int = 16
    ema: float = 11_085.0  # the paper's decay of 0.999 per step, at this batch
    gp: float = setting(10.0, "Weight λ of the gradient penalty.")
    drift: float = setting(1e-3, "Weight ε of D's squared scores of real pictures.")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 0", "gp", "drift")


def with_pace(config: Any, total: int | None) -> Any:
    """`config` with `fade` and `stable` filled in so that the networks are grown after half of `total` images.

    At most the paper's 600,000 each; 5,000 where minutes decide and the number of images is unknown.
    """
    stages = 2 * base(config.shape)[2]  # those before the last
    stage = SHORT_STAGE if total is None else min(STAGE, total // 2 // stages)
    unset = {name: stage for name in ("fade", "stable") if getattr(config, name) is None}
    return updated(config, unset, of="growth")


def widths(config: Growing) -> list[int]:
    """The channels at each level, the base first."""
    levels = base(config.shape)[2]
    return [min(config.features << (levels - level), config.features_max) for level in range(levels + 1)]


def repeat_pixels(images: Tensor, times: int) -> Tensor:
    """[N, C, H, W] -> [N, C, times·H, times·W], pixels repeated."""
    return F.interpolate(images, scale_factor=times, mode="nearest") if times > 1 else images


def box_average(images: Tensor, times: int = 2) -> Tensor:
    """[N, C, H, W] -> [N, C, H / times, W / times], means of boxes."""
    return F.avg_pool2d(images, times) if times > 1 else images


class Growth(nn.Module):
    """The level of growth. It follows from the images shown, a buffer that the average and a model file have, too."""

    shown: Tensor

    def __init__(self, config: Growing) -> None:
        super().__init__()
        self.levels = base(config.shape)[2]
        self.fade = STAGE if config.fade is None else config.fade
        self.stable = STAGE if config.stable is None else config.stable
        self.register_buffer("shown", torch.zeros((), dtype=torch.int64))
        self.nimg = 0  # the same, without reading back from the device

    def update(self, nimg: int) -> None:
        """Grow to the level of so many images."""
        self.nimg = nimg
        self.shown.fill_(nimg)

    def train(self, mode: bool = True) -> Growth:
        """As in torch; also reads the clock that a state dict may have set."""
        self.nimg = int(self.shown)
        return super().train(mode)

    def stage(self) -> tuple[int, float]:
        """(level, α): the side is the base's times 2^level, and its last doubling has faded in by α."""
        if not self.training and not torch.compiler.is_compiling():  # the EMA sets the average's buffer
            self.nimg = int(self.shown)
        if self.nimg < self.stable:
            return 0, 1.0
        cycle, past = self.fade + self.stable, self.nimg - self.stable
        level = 1 + past // cycle if cycle else self.levels
        if level > self.levels:
            return self.levels, 1.0
        within = past - (level - 1) * cycle
        return level, within / self.fade if within < self.fade else 1.0

    @property
    def times(self) -> int:
        """The full side divided by the current one."""
        return 1 << (self.levels - self.stage()[0])

    def max_microbatch(self, config: Growing) -> int:
        """Pictures of the current side that together have at most `config.pixels`; at least the group that D compares."""
        _, height, width = config.shape
        return max(GROUP, config.pixels * self.times**2 // (height * width))

    def picture(self, colours: Callable[[int, Tensor], Tensor], x: Tensor, before: Tensor) -> Tensor:
        """Features of this level, and those that its last doubling began from -> pictures of the full side.

        colours: makes a picture of a level and its features.
        """
        level, alpha = self.stage()
        images = colours(level, x)
        if alpha < 1:
            coarse = repeat_pixels(colours(level - 1, before), 2)  # under autocast perhaps of another precision
            images = coarse.lerp(images.to(coarse), alpha)
        return repeat_pixels(images, self.times)

    def faded(self, images: Tensor) -> Tensor:
        """Reals as far between the two sides of a fade as the fakes are (appendix A)."""
        alpha, coarse = self.stage()[1], 2 * self.times
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
        """Enlarged, then two convolutions."""
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
        """Two convolutions, then halved."""
        return self.halve(leaky(self.second(leaky(self.first(x)))))


class Generator(gan.Generator):
    """z -> b x b -> doubled as often as it has grown -> a picture, repeat_pixels to the full side."""

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
        return self.growth.picture(lambda at, features: self.out(self.to_rgb[at](features)), x, before)


class Discriminator(nn.Module):
    """A picture, averaged to the current side -> halved to b x b -> a score. It mirrors G.

    stage: returns the level and α. halve: how features are halved.
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


@gan.register
class ProGAN(gan.GAN):
    """Growing from 4x4 up, with WGAN-GP's loss."""

    name, title, year = "progan", "Progressive Growing of GANs", 2018
    authors = "Karras et al."
    paper = "arXiv:1710.10196"
    suits = "Pictures of 128 px and more in long runs, with networks that grow."
    formulas = ("E[D(G(z))] - E[D(x)] + λ E[(‖∇D(x̂)‖ - 1)²] + ε E[D(x)²]", "-E[D(G(z))]")
    critic, targeted = True, False
    Config = Settings
    haste = {"lr": 5e-3, "betas": (0.5, 0.9), "gp": 1, "features": 8}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "paper128": Preset({"features": 128, "fade": STAGE, "stable": STAGE}, "the paper's widths and phases", 128),
        "tiny": Preset({"z": 8, "features": 4, "batch": 8, "fade": 16, "stable": 0}, "for tests"),
    }
    config: Settings
    G: Generator

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.G = self.generator(config)
        self.D = Discriminator(config, self.G.growth.stage)

    @classmethod
    def generator(cls, config: Any) -> Generator:
        """The untrained G alone."""
        return Generator(config)

    @classmethod
    def resolve(cls, config: Any, total: int | None) -> Any:
        """The pace of growth from the run's length."""
        return with_pace(config, total)

    def on_step_start(self, nimg: int, steps: Mapping[str, int]) -> None:
        """Grow."""
        self.G.growth.update(nimg)

    def max_microbatch(self) -> int:
        """Pictures of the current side that together have at most `pixels`."""
        return self.G.growth.max_microbatch(self.config)

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """E[D(G(z))] - E[D(x)] + λ E[(‖∇x̂ D(x̂)‖₂ - 1)²] + ε E[D(x)²]."""
        growth = self.G.growth
        batch = batch._replace(images=growth.faded(batch.images))
        fakes = self.generate(batch, grad=False)
        real, fake = self.discriminate_pair(batch, fakes)
        adversarial = losses.wasserstein_d(real, fake)
        # A gradient by a pixel of the level is `times` as long as that by the pixels it was repeat_pixels to.
        penalty = losses.gradient_penalty(lambda x: growth.times * self.discriminate(x), batch.images, fakes)
        loss = adversarial + self.config.gp * penalty + self.config.drift * real.square().mean()
        level = fake.new_tensor(growth.stage()[0])
        return loss, {"real": real, "fake": fake, "adversarial": adversarial, "penalty": penalty, "level": level}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[D(G(z))]."""
        fake = self.discriminate(self.generate(batch))
        return losses.wasserstein_g(fake), {"fake": fake}

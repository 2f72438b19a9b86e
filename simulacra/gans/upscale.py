"""Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network. Ledig and others. 2017.

    D:  E[softplus(D(G(x), x) - D(y, x))] + γ/2 (R1 + R2)
    G:  E[|G(x) - y|] + λ E[softplus(D(y, x) - D(G(x), x))]

y is a real picture, x its reduction by `layers.filters.reduce`, as `prepare` makes it: the pairs are exact. G computes
the difference to bicubic enlargement in residual blocks at the small side and ends in a pixel shuffle (Shi and others,
2016); it is fully convolutional, so that it enlarges pictures of any size. D scores patches of the picture and the
enlarged x side by side, and is relativistic on pairs of the same content (as in ESRGAN, Wang and others, 2018): what G
invents must fit the small picture. For the first images G learns from the distance alone, and D waits.

Differences from the paper: no batch norm, no pretrained features. G's difference has no mean over some pixels, so that
colours stay. A generator's pictures are no perfect reductions: x is blurred and gets noise, each by a random amount, and
y stays as it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra import gan, losses
from simulacra.config import require, setting
from simulacra.errors import SimulacraError
from simulacra.gan import Batch, Preset
from simulacra.layers import Conv2d
from simulacra.layers.filters import enlarge, reduce
from simulacra.upscaler import FACTOR, Upscaler

STEADY = 8  # px over which G's difference to bicubic enlargement has no mean
SMALLEST = 8  # px of the shorter side of an original
ADVERSARIAL = {"weight": "more than 0"}


@dataclass(frozen=True, kw_only=True)
class Settings(gan.Settings):
    """For a few minutes of one thread."""

    of_the_networks: ClassVar[frozenset[str]] = gan.Settings.of_the_networks | {"features", "blocks"}

    features: int = setting(32, "Channels of G and of D.")
    blocks: int = setting(4, "Residual blocks of G.")
    weight: float = setting(0.01, "Weight λ of D's scores beside the distance to the original; 0 for none.")
    alone: float = setting(30_000.0, "Images for which G learns from the distance alone.", when=ADVERSARIAL)
    gamma: float = setting(0.1, "Weight γ of R1 and R2.", when=ADVERSARIAL)
    lazy: int = setting(
        8, "Interval between steps of D with R1 and R2; their weight is multiplied by it.", when=ADVERSARIAL
    )
    crop: int = setting(32, "Side of the small pictures trained on, in pixels; larger ones are cropped at random.")
    noise: float = setting(0.06, "Most noise on a small picture, as a deviation; pictures are in [-1, 1].")
    blur: float = setting(0.5, "Most share of a blurred picture (1 2 1) mixed into a small one.")
    batch: int = 16
    epochs: float = 50.0
    lr: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.99)
    ema: float = 3000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 1", "features", "blocks", "lazy", "crop")
        require(self, "at least 0", "weight", "alone", "gamma", "noise")
        require(self, "at least 0 and less than 1", "blur")
        height, width = self.shape[1:]
        if min(height, width) < SMALLEST:
            raise SimulacraError("gan.picture_too_small", height=height, width=width, side=SMALLEST)
        if height % FACTOR or width % FACTOR:
            raise SimulacraError("gan.odd_original", height=height, width=width)


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = Conv2d(width, width, 3, 1, 1), Conv2d(width, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, width, H, W] -> the same shape."""
        y: Tensor = x + self.second(F.leaky_relu(self.first(x), 0.2))
        return y


class Generator(Upscaler):
    """Bicubic enlargement, and a learned difference that starts at 0."""

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        channels, width = config.shape[0], config.features
        self.body = nn.Sequential(Conv2d(channels, width, 3, 1, 1), *(Block(width) for _ in range(config.blocks)))
        self.last = Conv2d(width, channels * FACTOR**2, 3, 1, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, 2H, 2W], not clamped."""
        difference = F.pixel_shuffle(self.last(F.leaky_relu(self.body(images), 0.2)), FACTOR)
        return enlarge(images) + without_mean(difference.float())


def without_mean(difference: Tensor) -> Tensor:
    """[N, C, H, W] less its mean over squares of `STEADY` px, interpolated between them: a colour cannot shift."""
    mean = F.avg_pool2d(difference, STEADY, ceil_mode=True, count_include_pad=False)
    return difference - F.interpolate(mean, size=difference.shape[2:], mode="bilinear")


class Discriminator(nn.Module):
    """Scores of patches of a picture beside the enlarged small one."""

    def __init__(self, config: Settings) -> None:
        super().__init__()
        channels, width = 2 * config.shape[0], config.features
        self.layers = nn.Sequential(
            Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2),
            Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2),
            Conv2d(2 * width, 2 * width, 3, 1, 1), nn.LeakyReLU(0.2),
            nn.Dropout(config.dropout), Conv2d(2 * width, 1, 3, 1, 1),
        )  # fmt: skip

    def forward(self, images: Tensor, small: Tensor) -> Tensor:
        """Pictures [N, C, 2H, 2W] and small ones [N, C, H, W] -> [N, patches]."""
        scores: Tensor = self.layers(torch.cat([images, enlarge(small)], 1))
        return scores.flatten(1).float()


@gan.register
class UpscaleGAN(gan.GAN):
    """An upscaler of pictures, trained on originals and their reductions."""

    name, title, year = "upscale", "Upscaling by 2, after SRGAN", 2017
    authors = "Ledig and others"
    paper = "arXiv:1609.04802"
    suits = "Originals larger than a generator's pictures; simulacra upscale trains it for a run."
    formulas = (
        "E[softplus(D(G(x), x) - D(y, x))] + γ/2 (R1 + R2), x: y reduced",
        "E[|G(x) - y|] + λ E[softplus(D(y, x) - D(G(x), x))]",
    )
    critic, targeted, task = True, False, "upscale"
    unused = {  # noqa: RUF012
        **{"z": "gan.no_latent", "prior": "gan.no_latent", "output": "gan.adds_to_bicubic"},
        **{"separate": "gan.own_batches", "augment": "gan.same_content"},
    }
    Config = Settings
    presets = {  # noqa: RUF012
        "tiny": Preset({"features": 4, "blocks": 1, "batch": 4, "alone": 0.0, "crop": 6, "lazy": 2}, "for tests")
    }
    config: Settings
    G: Generator
    D: Discriminator

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.G, self.D = self.generator(config), Discriminator(config)
        self.alone, self.due = not config.weight, True  # whether G learns alone, and the next step of D has penalties

    @classmethod
    def generator(cls, config: Any) -> Generator:
        """The untrained G alone."""
        return Generator(config)

    def on_step_start(self, nimg: int, steps: Mapping[str, int]) -> None:
        """Decide whether D learns yet, and whether its next step has the penalties."""
        self.alone = not self.config.weight or nimg < self.config.alone
        self.due = steps["D"] % self.config.lazy == 0

    def graph_key(self, player: str) -> Hashable | None:
        """Not capturable: the places of the crops are drawn on the CPU."""
        return None

    # --- pictures --------------------------------------------------------------------------------------------

    def pairs(self, originals: Tensor) -> tuple[Tensor, Tensor]:
        """Small pictures [N, C, h, w] and the originals [N, C, 2h, 2w] that they were reduced from, cropped alike."""
        sides = [min(self.config.crop * FACTOR, side) for side in originals.shape[2:]]
        free = [(side - own) // FACTOR + 1 for side, own in zip(originals.shape[2:], sides, strict=True)]
        top, left = (FACTOR * int(torch.randint(places, ())) for places in free)
        large = originals[:, :, top : top + sides[0], left : left + sides[1]]
        return reduce(large), large

    def degrade(self, small: Tensor) -> Tensor:
        """Small pictures blurred and with noise, each by a random amount, mostly little."""
        blur, noise = torch.rand(2, len(small), 1, 1, 1, device=small.device).square()
        padded = F.pad(small, (1, 1, 1, 1), mode="replicate")
        blurred = F.avg_pool2d(F.avg_pool2d(padded, 2, 1), 2, 1)  # 1 2 1 in both directions
        mixed = small + self.config.blur * blur * (blurred - small)
        degraded: Tensor = mixed + self.config.noise * noise * torch.randn_like(small)
        return degraded

    def generate(self, batch: Batch, *, grad: bool = True) -> Tensor:
        """The pictures of a batch, reduced and enlarged again."""
        with torch.set_grad_enabled(grad and torch.is_grad_enabled()):
            return self.G.upscale(reduce(batch.images))

    def discriminate_pair(self, batch: Batch, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Mean scores [N], [N] of originals and of their enlarged reductions; zeros while D waits."""
        if self.alone:
            return (zeros := batch.images.new_zeros(len(fake))), zeros
        small = reduce(batch.images)
        return self.D(batch.images, small).mean(1), self.D(fake, small).mean(1)

    # --- the losses ------------------------------------------------------------------------------------------

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """D's loss; 0 while G learns alone."""
        if self.alone:
            zeros = batch.images.new_zeros(len(batch.images))
            return batch.images.new_zeros((), requires_grad=True), {"real": zeros, "fake": zeros}  # no gradient for D
        small, real = self.pairs(batch.images)
        with torch.no_grad():
            fake = self.G(self.degrade(small))
        pictures = torch.cat([real, fake]).detach().requires_grad_(self.due)
        scores = self.D(pictures, torch.cat([small, small]))
        reals, fakes = scores.chunk(2)
        adversarial = losses.relativistic_d(reals, fakes)
        stats = {"real": reals.mean(1), "fake": fakes.mean(1), "adversarial": adversarial}
        if not self.due:
            return adversarial, stats
        r1, r2 = (part.mean() for part in losses.squared_gradients(scores.mean(1), pictures).chunk(2))
        return adversarial + self.config.gamma * self.config.lazy / 2 * (r1 + r2), stats | {"r1": r1, "r2": r2}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The distance to the originals, and the adversarial loss."""
        small, real = self.pairs(batch.images)
        fake = self.G(self.degrade(small))
        distance = F.l1_loss(fake, real)
        if self.alone:
            return distance, {"fake": distance.new_zeros(len(fake)), "distance": distance}
        with torch.no_grad():
            reals = self.D(real, small)
        fakes = self.D(fake, small)
        loss = distance + self.config.weight * losses.relativistic_g(reals, fakes)
        return loss, {"fake": fakes.mean(1), "distance": distance}

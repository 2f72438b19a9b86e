"""A Style-Based Generator Architecture for Generative Adversarial Networks. Karras, Laine, Aila. 2019.

    D: -E[log D(x)] - E[log(1 - D(G(z)))] + γ/2 E[‖∇x D(x)‖²]
    G: -E[log D(G(z))]

With γ = 0.0002 H W / batch by default, which is StyleGAN2-ADA's rule (arXiv:2006.06676): the paper's 10 is for 1024 px.

A mapping network maps z to w, and w sets the mean and standard deviation of each layer's maps (AdaIN). G starts from a
learned constant; noise adds stochastic detail. The networks grow as in ProGAN, with its code. R1 is by the pixels of the
full side at every level, as in the authors' code: by those of the level it would be up to (full side / 4)² times stronger.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from simulacra import gan, losses
from simulacra.config import require, setting
from simulacra.gan import Batch, Preset
from simulacra.gans.dcgan import base
from simulacra.gans.progan import GROWN, Growing, with_pace
from simulacra.gans.progan_networks import GAIN, STAGE, Discriminator, Growth, leaky, widths
from simulacra.layers import EqualisedConv2d, EqualisedLinear, PictureOrder, downsample, pixel_norm, upsample
from simulacra.styled import StyledGenerator


@dataclass(frozen=True, kw_only=True)
class Settings(Growing):
    """The paper's settings except the widths."""

    of_the_networks: ClassVar[frozenset[str]] = Growing.of_the_networks | {"w", "depth", "mapping_rate"}
    in_older_runs: ClassVar[Mapping[str, Any]] = {"r1_pixels": "level"}

    w: int = setting(512, "Numbers in w.")
    depth: int = setting(8, "Layers of the mapping network.")
    mapping_rate: float = setting(0.01, "Factor on the learning rate of the mapping network.")
    mixing: float = setting(0.9, "Share of fakes with style mixing: a second w takes over at a random layer.")
    gamma: float | None = setting(None, "Weight γ of R1; none for 0.0002 H W / batch.")
    r1_pixels: Literal["full", "level"] = setting(
        "full",
        "Pixels that R1 is by: of the full side, or of the level, which is stronger while growing.",
        when={"gamma": "more than 0"},
    )
    r1_every: int = setting(
        1, "Interval between steps of D with R1; its weight is multiplied by it.", when={"gamma": "more than 0"}
    )
    batch: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 1", "w", "depth", "r1_every")
        require(self, "more than 0", "mapping_rate")
        require(self, "at least 0", "mixing", "gamma")


class AdaIN(nn.Module):
    """Adaptive instance normalisation: w sets the standard deviation and mean of each map (equation 1)."""

    def __init__(self, w: int, channels: int) -> None:
        super().__init__()
        self.style = EqualisedLinear(w, 2 * channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [N, C, H, W], w [N, w] -> [N, C, H, W]."""
        scale, shift = self.style(w).float()[:, :, None, None].chunk(2, 1)
        centred = x.float() - x.float().mean((2, 3), keepdim=True)  # bf16's eight bits are too few for the statistics
        norm = (centred.square().mean((2, 3), keepdim=True) + 1e-8).rsqrt()
        return torch.addcmul(shift, centred, (scale + 1) * norm).to(x.dtype)


class Layer(nn.Module):
    """A convolution (none after the constant), then noise, leaky ReLU and AdaIN."""

    def __init__(self, config: Settings, inner: int | None, outer: int, sides: tuple[int, int], *, up: bool) -> None:
        super().__init__()
        self.up = up
        self.convolution = None if inner is None else EqualisedConv2d(inner, outer, 3, gain=GAIN)
        self.strength = nn.Parameter(torch.zeros(outer, 1, 1))
        self.adain = AdaIN(config.w, outer)
        self.register_buffer("noise", torch.randn(1, 1, *sides))  # used outside of training
        self.noise: Tensor

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """x [N, C, H, W], w [N, w], noise [1 or N, 1, H', W'] -> [N, C', H', W']."""
        if self.convolution is not None:
            x = self.convolution(upsample(x) if self.up else x)
        if noise is None:
            noise = torch.randn_like(self.noise.expand(len(x), -1, -1, -1)) if self.training else self.noise
        x = torch.addcmul(x, noise.to(x.dtype), self.strength.to(x.dtype))
        return self.adain(leaky(x), w)  # type: ignore[no-any-return]


class Generator(PictureOrder, StyledGenerator):
    """z -> w; a learned constant -> two layers per level -> a picture, with pixels repeated to the full side."""

    def __init__(self, config: Settings) -> None:
        height, width, levels = base(config.shape)
        super().__init__(config, num_ws=2 * levels + 2, w=config.w)
        self.growth = Growth(config)
        channels = widths(config)
        sizes = itertools.pairwise([config.z, *[config.w] * config.depth])
        self.mapping_network = nn.ModuleList(
            EqualisedLinear(*size, gain=GAIN, rate=config.mapping_rate) for size in sizes
        )
        # Not ones as in the paper: the first normalisation would map them to 0.
        self.constant = nn.Parameter(torch.randn(height, width, channels[0]))
        layers = []
        for level, outer in enumerate(channels):
            sides = (height << level, width << level)
            layers.append(Layer(config, channels[level - 1] if level else None, outer, sides, up=True))
            layers.append(Layer(config, outer, outer, sides, up=False))
        self.layers = nn.ModuleList(layers)
        self.to_rgb = nn.ModuleList(EqualisedConv2d(inner, config.shape[0], 1) for inner in channels)
        self.out = nn.Tanh() if config.output == "tanh" else nn.Identity()

    def mapping(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """z [N, z] -> w [N, w]."""
        w = pixel_norm(z)
        for layer in self.mapping_network:
            w = leaky(layer(w))
        return w

    def stored_noise(self) -> list[Tensor]:
        """The noise of each layer outside of training [1, 1, H, W]."""
        return [layer.noise for layer in self.layers]  # type: ignore[misc]

    def synthesis(self, w: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """w [N, w], or [N, L, w] with one per layer -> pictures [N, C, H, W]."""
        level, _ = self.growth.stage()
        x = before = self.constant.permute(2, 0, 1).expand(w.shape[0], -1, -1, -1)  # len(w) would fix N in an export
        for i, (layer, style) in enumerate(
            zip(self.layers[: 2 * level + 2], self.broadcast_ws(w).unbind(1), strict=False)
        ):
            before = x if i == 2 * level else before
            x = layer(x, style, noise and noise[i])
        return self.growth.to_image(lambda level, features: self.out(self.to_rgb[level](features)), x, before)

    def layers_from_picture(self) -> list[nn.Module]:
        """`to_rgb` and both layers of each level, from the highest."""
        pairs = zip(self.to_rgb[:0:-1], self.layers[:1:-2], self.layers[-2:0:-2], strict=True)
        return [layer for level in pairs for layer in level]


@gan.register
class StyleGAN(gan.GAN):
    """A mapping network, a style for every layer, and progressive growing."""

    name, title, year = "stylegan", "StyleGAN", 2019
    authors = "Karras, Laine, Aila"
    paper = "arXiv:1812.04948"
    suits = "To learn how styles control a picture; for pictures to keep, use stylegan2."
    formulas = ("-E[log D(x)] - E[log(1 - D(G(z)))] + γ/2 E[‖∇D(x)‖²]", "-E[log D(G(z))]")
    grows = True
    Config = Settings
    haste = {"lr": 5e-3, "betas": (0.5, 0.99), "gamma": 1, "r1_every": 4, "mixing": 0.5}  # noqa: RUF012
    fine_tuning = GROWN
    presets = {  # noqa: RUF012
        "paper128": Preset(
            {"features": 128, "fade": STAGE, "stable": STAGE, "gamma": 10.0}, "the paper's widths, phases and γ", 128
        ),
        "tiny": Preset(
            {"z": 8, "w": 8, "depth": 2, "features": 4, "batch": 8, "fade": 16, "stable": 0},
            "for tests",
        ),
    }
    config: Settings
    G: Generator

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.G = self.generator(config)
        self.D = Discriminator(config, self.G.growth.stage, downsample)
        _, height, width = config.shape
        self.gamma = 2e-4 * height * width / config.batch if config.gamma is None else config.gamma
        self.due = True  # whether the next step of D has the penalty

    @classmethod
    def generator(cls, config: Any) -> Generator:
        """The untrained G alone."""
        return Generator(config)

    @classmethod
    def resolve(cls, config: Any, total: int | None) -> Any:
        """Set the pace of growth from the run's length."""
        return with_pace(config, total)

    def on_step_start(self, nimg: int, steps: Mapping[str, int]) -> None:
        """Grow to the level of `nimg` images, and set whether the penalty is due."""
        self.G.growth.update(nimg)
        self.due = steps["D"] % self.config.r1_every == 0

    def graph_key(self, player: str) -> Hashable | None:
        """The level between two fades, and whether the step has the penalty."""
        level, alpha = self.G.growth.stage()
        return (level, player == "D" and self.due) if alpha == 1 else None

    def max_microbatch(self) -> int:
        """Largest number of pictures of the current side with at most `pixels` pixels in total."""
        return self.G.growth.max_microbatch(self.config)

    def draw_ws(self, n: int) -> Tensor:
        """Draw n random w per layer [n, L, w], with style mixing."""
        return self.G.mixed_ws(n, share=self.config.mixing, layers=2 * self.G.growth.stage()[0] + 2)

    def generate(self, batch: Batch, *, grad: bool = True) -> Tensor:
        """New fakes, one per picture of the batch, with style mixing."""
        with torch.set_grad_enabled(grad and torch.is_grad_enabled()):
            return self.G.synthesis(self.draw_ws(len(batch.images))).float()

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[log D(x)] - E[log(1 - D(G(z)))] + γ/2 E[‖∇x D(x)‖²]."""
        growth = self.G.growth
        batch = batch._replace(images=growth.fade_reals(batch.images))
        real, fake = self.discriminate_pair(batch, self.generate(batch, grad=False))
        adversarial = losses.minimax_d(real, fake, *self.targets(real))
        level = fake.new_full((), growth.stage()[0])
        stats = {"real": real, "fake": fake, "adversarial": adversarial, "level": level}
        if not self.gamma or not self.due:
            return adversarial, stats
        # The gradient by pixels of the level is `scale` times as long as that by the repeated pixels.
        scale = growth.scale if self.config.r1_pixels == "level" else 1
        r1 = losses.r1(lambda x: scale * self.discriminate(x), batch.images)
        return adversarial + self.gamma / 2 * self.config.r1_every * r1, stats | {"r1": r1}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[log D(G(z))]."""
        w = self.draw_ws(len(batch.images))
        self.G.update_w_avg(w[:, 0])
        fake = self.discriminate(self.G.synthesis(w).float())
        return losses.non_saturating_g(fake), {"fake": fake}

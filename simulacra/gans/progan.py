"""Progressive Growing of GANs for Improved Quality, Stability, and Variation. Karras, Aila, Laine, Lehtinen. 2018.

    D:  E[D(G(z))] - E[D(x)] + λ E[(‖∇x̂ D(x̂)‖₂ - 1)²] + ε E[D(x)²],  x̂ = εx + (1 - ε)G(z),  ε uniform in [0, 1]
    G: -E[D(G(z))]

Both networks start at 4x4 (or at `dcgan.base`) and double their side at each level. New layers fade in while α rises
from 0 to 1, α·new + (1 - α)·repeat_pixels(old), and then train at α = 1. All pictures between G and D have the full side:
G repeats the pixels of its level, and D averages them back.

The paper uses smaller batches at larger sides, for the memory of its GPUs. Here the batch is constant, and larger sides
use more microbatches.

The gradient norm is by the pixels of the current level: D is 1-Lipschitz on the pictures of that side. The authors' code
takes it by the repeated pixels, where it is shorter by the factor full side / current side, so that while growing their D
may be steeper by this factor. At the full side both are the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from simulacra import gan, losses
from simulacra.config import require, setting, updated
from simulacra.gan import Batch, Preset
from simulacra.gans.dcgan import base
from simulacra.gans.progan_networks import STAGE, Discriminator, Generator

SHORT_STAGE = 5_000  # the same for a run whose length is in minutes, as these are short

GROWN = {"fade": 0, "stable": 0}  # pretrained networks have grown already


@dataclass(frozen=True, kw_only=True)
class Growing(gan.Settings):
    """Settings of growing networks, shared by ProGAN and StyleGAN."""

    of_the_networks: ClassVar[frozenset[str]] = gan.Settings.of_the_networks | {"features", "features_max"}

    z: int = 512
    features: int = setting(16, "Channels at the full side, doubled at each halving (the paper: 16384 / side).")
    features_max: int = setting(512, "Upper limit of the channels.")
    fade: int | None = setting(None, "Images of a fade to a new side; none to fit the run's length.")
    stable: int | None = setting(None, "Images between two fades; none to fit the run's length.")
    pixels: int = setting(1 << 20, "Largest number of pixels in a microbatch, to limit memory.")
    lr: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.99)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 1", "features", "features_max", "pixels")
        require(self, "at least 0", "fade", "stable")


@dataclass(frozen=True, kw_only=True)
class Settings(Growing):
    """The paper's settings except the widths."""

    batch: int = 16
    ema: float = 11_085.0  # the paper's decay of 0.999 per step, at this batch
    gp: float = setting(10.0, "Weight λ of the gradient penalty.")
    drift: float = setting(1e-3, "Weight ε of D's squared scores of real pictures.")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 0", "gp", "drift")


def with_pace(config: Any, total: int | None) -> Any:
    """`config` with unset `fade` and `stable` filled in, for networks of full size after half of `total` images.

    Both are at most the paper's 600,000, and 5,000 if the run's length is in minutes (total None).
    """
    stages = 2 * base(config.shape)[2]  # all before the last
    stage = SHORT_STAGE if total is None else min(STAGE, total // 2 // stages)
    unset = {name: stage for name in ("fade", "stable") if getattr(config, name) is None}
    return updated(config, unset, of="growth")


@gan.register
class ProGAN(gan.GAN):
    """Progressive growing from 4x4, with WGAN-GP's loss."""

    name, title, year = "progan", "Progressive Growing of GANs", 2018
    authors = "Karras et al."
    paper = "arXiv:1710.10196"
    suits = "Pictures of 128 px and more in long runs, with networks that grow."
    formulas = ("E[D(G(z))] - E[D(x)] + λ E[(‖∇D(x̂)‖ - 1)²] + ε E[D(x)²]", "-E[D(G(z))]")
    critic, targeted, grows = True, False, True
    Config = Settings
    haste = {"lr": 5e-3, "betas": (0.5, 0.9), "gp": 1, "features": 8}  # noqa: RUF012
    fine_tuning = GROWN
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
        """Set the pace of growth from the run's length."""
        return with_pace(config, total)

    def on_step_start(self, nimg: int, steps: Mapping[str, int]) -> None:
        """Grow to the level of `nimg` images."""
        self.G.growth.update(nimg)

    def graph_key(self, player: str) -> Hashable | None:
        """The level between two fades. In a fade α is a number, which a graph cannot change."""
        level, alpha = self.G.growth.stage()
        return (level,) if alpha == 1 else None

    def max_microbatch(self) -> int:
        """Largest number of pictures of the current side with at most `pixels` pixels in total."""
        return self.G.growth.max_microbatch(self.config)

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """E[D(G(z))] - E[D(x)] + λ E[(‖∇x̂ D(x̂)‖₂ - 1)²] + ε E[D(x)²]."""
        growth = self.G.growth
        batch = batch._replace(images=growth.fade_reals(batch.images))
        fakes = self.generate(batch, grad=False)
        real, fake = self.discriminate_pair(batch, fakes)
        adversarial = losses.wasserstein_d(real, fake)
        # The gradient norm by pixels of the level is `scale` times that by the repeated pixels.
        penalty = losses.gradient_penalty(lambda x: growth.scale * self.discriminate(x), batch.images, fakes)
        loss = adversarial + self.config.gp * penalty + self.config.drift * real.square().mean()
        level = fake.new_full((), growth.stage()[0])
        return loss, {"real": real, "fake": fake, "adversarial": adversarial, "penalty": penalty, "level": level}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[D(G(z))]."""
        fake = self.discriminate(self.generate(batch))
        return losses.wasserstein_g(fake), {"fake": fake}

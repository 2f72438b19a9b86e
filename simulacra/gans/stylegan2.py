"""Analyzing and Improving the Image Quality of StyleGAN. Karras, Laine, Aittala, Hellsten, Lehtinen, Aila. 2020.

    D: -E[log D(x)] - E[log(1 - D(G(z)))] + γ/2 E[‖∇x D(x)‖²]
    G: -E[log D(G(z))] + λ E[(‖J_wᵀ y‖₂ - a)²],  J_w = ∂g(w)/∂w, y normal pictures, a the running mean of ‖J_wᵀ y‖₂

G maps z to w, and w scales the weights of each layer: g(w). The penalties are lazy: computed every k-th step, with weight k.
They are added to the loss of that step. The paper gives them steps of their own, k + 1 in place of k, and lowers rates and
betas in return; here there are k, and nothing to correct.
With `augment=ada` this is StyleGAN2-ADA (Karras et al. 2020, arXiv:2006.06676), from which γ, the mapping network of two
layers and conditioning are taken in any case.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from simulacra import gan, losses
from simulacra.config import require, setting
from simulacra.gan import Batch, Preset
from simulacra.gans.stylegan2_networks import Discriminator, Generator

PATH = {"path": "more than 0"}


@dataclass(frozen=True, kw_only=True)
class Settings(gan.Settings):
    """Sizes for a laptop, otherwise the papers' settings; presets have the papers' sizes."""

    of_the_networks: ClassVar[frozenset[str]] = gan.Settings.of_the_networks | {
        *("features", "features_max", "depth", "mapping_rate", "group"),
    }
    in_older_runs: ClassVar[Mapping[str, Any]] = {"corrected": True}

    z: int = setting(128, "Numbers in z and in w.")
    features: int = setting(32, "Channels at the full side, doubled at each halving.")
    features_max: int = setting(512, "Upper limit of the channels.")
    depth: int = setting(2, "Layers of the mapping network.")
    mapping_rate: float = setting(0.01, "Factor on the learning rate of the mapping network.")
    mixing: float = setting(0.9, "Share of fakes with style mixing: a second w takes over at a random layer.")
    group: int = setting(4, "Pictures in a group of D's minibatch standard deviation.")
    gamma: float | None = setting(None, "Weight γ of R1; none for 0.0002 H W / batch.")
    r1_every: int = setting(
        16, "Interval between steps of D with R1; its weight is multiplied by it.", when={"gamma": "more than 0"}
    )
    path: float = setting(2.0, "Weight λ of the path length penalty; 0 for none.")
    path_every: int = setting(4, "Interval between steps of G with the path length penalty.", when=PATH)
    path_decay: float = setting(0.01, "Rate of the moving average of path lengths.", when=PATH)
    path_share: float = setting(0.5, "Share of the batch for the path length penalty.", when=PATH)
    corrected: bool = setting(
        False,
        "Lower rates and betas as if lazy penalties took steps of their own, as in the paper.",
        when=({"gamma": "more than 0"}, PATH),
    )
    batch: int = 32
    lr: float = 2.5e-3
    betas: tuple[float, float] = (0.0, 0.99)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 1", "features", "features_max", "depth", "group", "r1_every", "path_every")
        require(self, "more than 0", "mapping_rate", "path_decay", "path_share")
        require(self, "at least 0", "mixing", "gamma", "path")


@gan.register
class StyleGAN2(gan.GAN):
    """Modulated convolutions, skip and residual connections, lazy penalties."""

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
        self.due = {"D": True, "G": True}  # whether the next step has a penalty
        self.register_buffer("length", torch.zeros(()))  # a
        self.length: Tensor

    @classmethod
    def generator(cls, config: Any) -> Generator:
        """The untrained G alone."""
        return Generator(config)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Where `corrected`, learning rates times c and betas to the power of c = k / (k + 1) (appendix B)."""
        optimizers, config = super().optimizers(), self.config
        if not config.corrected:
            return optimizers
        for player, every, weight in (("D", config.r1_every, self.gamma), ("G", config.path_every, config.path)):
            share = every / (every + 1) if weight else 1.0
            for settings in optimizers[player].param_groups:
                settings["lr"] *= share
                settings |= {"betas": tuple(beta**share for beta in settings["betas"])} if "betas" in settings else {}
        return optimizers

    def on_step_start(self, nimg: int, steps: Mapping[str, int]) -> None:
        """Set whether the next step has a penalty."""
        every = {"D": self.config.r1_every, "G": self.config.path_every}
        self.due = {player: steps[player] % every[player] == 0 for player in every}

    def graph_key(self, player: str) -> Hashable | None:
        """Whether the step has a penalty."""
        return self.due[player]

    def on_step_end(self, player: str, stats: Mapping[str, Tensor]) -> None:
        """Update the moving average of path lengths."""
        super().on_step_end(player, stats)
        if "length" in stats:
            self.length.lerp_(stats["length"].to(self.length), self.config.path_decay)

    def draw_ws(self, n: int, y: Tensor | None) -> Tensor:
        """Draw n random w per layer for labels y [n, L, z], with style mixing."""
        return self.G.mixed_ws(n, y, share=self.config.mixing)

    def generate(self, batch: Batch, *, grad: bool = True) -> Tensor:
        """New fakes, one per picture of the batch, with style mixing."""
        with torch.set_grad_enabled(grad and torch.is_grad_enabled()):
            return self.G.synthesis(self.draw_ws(len(batch.images), self.condition(batch))).float()

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[log D(x)] - E[log(1 - D(G(z)))], plus γ/2 E[‖∇x D(x)‖²] when due."""
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
        """-E[log D(G(z))], plus λ E[(‖J_wᵀ y‖₂ - a)²] when due."""
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

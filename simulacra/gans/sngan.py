"""Spectral Normalization for Generative Adversarial Networks. Miyato, Kataoka, Koyama, Yoshida. 2018.

    D:  E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))],  each weight of D divided by its largest singular value
    G: -E[D(G(z))]

Power iteration estimates the singular values, with one iteration after each step of D and none in between. The networks
are residual, or optionally DCGAN's (`network=conv`, `mlp`). With `conditional=true` G has conditional norms, and D is a
projection discriminator with logit f(φ(x)) + <V y, φ(x)> (Miyato & Koyama 2018, arXiv:1802.05637).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from simulacra import gan, losses
from simulacra.config import setting
from simulacra.errors import SimulacraError
from simulacra.gan import Batch, Preset
from simulacra.gans import dcgan
from simulacra.layers import ConditionalNorm, Conv2d, DoublingConv2d, HalvingConv2d, LabelProjection, PictureOrder
from simulacra.layers.renamed import RenamedTensors


@dataclass(frozen=True, kw_only=True)
class Settings(dcgan.Networks):
    """The paper's settings."""

    network: Literal["residual", "conv", "dense", "mlp"] = setting("residual")  # type: ignore[assignment]
    z: int = 128
    batch: int = 64
    betas: tuple[float, float] = (0.0, 0.9)
    balance: str = "fixed:5"
    norm_g: dcgan.Norm = setting("batch", when={"network": ("residual", "conv")})
    norm_d: dcgan.Norm = "none"
    separate: bool = False


class Up(RenamedTensors):
    """G's residual block: norm, ReLU, doubling, convolution, norm, ReLU, convolution; 1x1 shortcut, doubled."""

    renamed_tensors: ClassVar[Mapping[str, str]] = {"beside": "shortcut"}

    def __init__(self, config: Settings, inner: int, outer: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(dcgan.norm(config.norm_g, channels, config.labels) for channels in (inner, outer))
        self.first, self.second = DoublingConv2d(inner, outer), Conv2d(outer, outer, 3, padding=1)
        self.shortcut = Conv2d(inner, outer, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """x [N, C, H, W], y [N, labels] -> [N, C', 2H, 2W]."""
        inner = self.first(F.relu(_normed(self.norms[0], x, y)))
        outer: Tensor = self.second(F.relu(_normed(self.norms[1], inner, y)))
        return outer + F.interpolate(self.shortcut(x), scale_factor=2)


class Generator(PictureOrder, gan.Generator):
    """z -> b x b -> residual blocks, each with a doubling -> a picture."""

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        height, width, n = dcgan.base(config.shape)
        channels = [min(config.features << i, config.features_max) for i in reversed(range(n))]
        self.grid = (height, width, channels[0])
        self.first = nn.Linear(config.z, math.prod(self.grid))
        self.blocks = nn.ModuleList(Up(config, *pair) for pair in itertools.pairwise([channels[0], *channels]))
        self.norm = dcgan.norm(config.norm_g, channels[-1], config.labels)
        self.last = Conv2d(channels[-1], config.shape[0], 3, padding=1)
        self.out = nn.Tanh() if config.output == "tanh" else nn.Identity()
        initialise(self)

    def synthesis(self, w: Tensor) -> Tensor:
        """w [N, z] or [N, z + labels] -> pictures [N, C, H, W]."""
        z, y = w[:, : self.z_dim], w[:, self.z_dim :]
        x: Tensor = self.first(z).unflatten(1, self.grid).permute(0, 3, 1, 2)  # channels last
        for block in self.blocks:
            x = block(x, y)
        images: Tensor = self.out(self.last(F.relu(_normed(self.norm, x, y))))
        return images

    def layers_from_picture(self) -> list[nn.Module]:
        """The blocks."""
        return [*self.blocks][::-1]


class Down(RenamedTensors):
    """D's residual block: ReLU, convolution, ReLU, convolution, halving; 1x1 shortcut of the halved picture."""

    renamed_tensors: ClassVar[Mapping[str, str]] = {"beside": "shortcut"}

    def __init__(self, inner: int, outer: int, *, first: bool = False, halves: bool = True) -> None:
        """first: the input is a picture, and no ReLU comes before."""
        super().__init__()
        self.is_first, self.halves = first, halves
        self.first = Conv2d(inner, outer, 3, padding=1)
        self.second = HalvingConv2d(outer, outer) if halves else Conv2d(outer, outer, 3, padding=1)
        self.shortcut = Conv2d(inner, outer, 1) if halves or inner != outer else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H/2, W/2], or [N, C', H, W] without halving."""
        inner: Tensor = self.second(F.relu(self.first(x if self.is_first else F.relu(x))))
        shortcut: Tensor = self.shortcut(F.avg_pool2d(x, 2) if self.halves else x)
        return inner + shortcut


class Discriminator(PictureOrder):
    """A picture -> residual blocks, all but the last with a halving -> a sum over positions -> a logit."""

    def __init__(self, config: Settings) -> None:
        super().__init__()
        _, _, n = dcgan.base(config.shape)
        channels = [config.shape[0], *(min(config.features << i, config.features_max) for i in range(n))]
        pairs = itertools.pairwise(channels)
        blocks = [Down(inner, outer, first=i == 0) for i, (inner, outer) in enumerate(pairs)]
        self.blocks = nn.Sequential(*blocks, Down(channels[-1], channels[-1], halves=False), nn.ReLU())
        self.dropout = nn.Dropout(config.dropout)
        self.projection = LabelProjection(config.labels, channels[-1]) if config.labels else None
        self.last = nn.Linear(channels[-1], 1)
        initialise(self)

    def forward(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W], y [N, labels] or None -> logits [N]."""
        features = self.dropout(self.blocks(images).sum((2, 3)))
        logits: Tensor = self.last(features).squeeze(1)
        return logits if self.projection is None else logits + self.projection(features, y)

    def layers_from_picture(self) -> list[nn.Module]:
        """The blocks, all but the last with a halving."""
        return [*self.blocks]


def initialise(network: nn.Module) -> None:
    """Glorot's initialisation, with gain √2 in the blocks' main paths, as in the authors' code; biases 0."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            main = "blocks." in name and not name.endswith("shortcut") and isinstance(module, nn.Conv2d)
            nn.init.xavier_uniform_(module.weight, math.sqrt(2) if main else 1.0)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def normalise(network: nn.Module) -> None:
    """Divide every weight by its estimated largest singular value; `update_singular_values` updates the estimates."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            spectral_norm(module)
            _estimate(module).n_power_iterations = 0  # torch would iterate at every use of the weight


@torch.no_grad()
def update_singular_values(network: nn.Module) -> None:
    """One power iteration for every weight."""
    for module in network.modules():
        if parametrize.is_parametrized(module, "weight"):
            _estimate(module).n_power_iterations = 1
            _ = module.weight
            _estimate(module).n_power_iterations = 0


@gan.register
class SNGAN(gan.GAN):
    """A discriminator whose Lipschitz constant is bounded, by spectral normalisation of its weights."""

    name, title, year = "sngan", "Spectrally normalised GAN", 2018
    authors = "Miyato et al."
    paper = "arXiv:1802.05957"
    suits = "Small and medium pictures, with a fast and stable D."
    formulas = ("E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))], weights divided by their norm", "-E[D(G(z))]")
    takes_labels, targeted = True, False
    Config = Settings
    haste = {"balance": "fixed:1"}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "conv": Preset({"network": "conv"}, "DCGAN's networks, faster"),
        "tiny": Preset({"z": 8, "features": 8, "batch": 8, "balance": "fixed:2"}, "for tests"),
    }
    config: Settings

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        if config.norm_d != "none":
            raise SimulacraError("gan.norm_d_with_spectral_norm", value=config.norm_d)
        self.G = self.generator(config)
        self.D = Discriminator(config) if config.network == "residual" else dcgan.build_discriminator(config)
        normalise(self.D)

    @classmethod
    def generator(cls, config: Any) -> gan.Generator:
        """The untrained G alone."""
        return Generator(config) if config.network == "residual" else dcgan.build_generator(config)

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]."""
        with parametrize.cached():  # normalise each weight once
            real, fake = self.discriminate_pair(batch, self.generate(batch, grad=False))
        return losses.hinge_d(real, fake), {"real": real, "fake": fake}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[D(G(z))]."""
        with parametrize.cached():
            fake = self.discriminate(self.generate(batch), self.condition(batch))
        return losses.hinge_g(fake), {"fake": fake}

    def constrain(self) -> None:
        """Update the estimates after a step of D."""
        update_singular_values(self.D)


def _normed(norm: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    normed: Tensor = norm(x, y) if isinstance(norm, ConditionalNorm) else norm(x)
    return normed


def _estimate(module: nn.Module) -> Any:
    return module.parametrizations.weight[0]  # type: ignore[union-attr,index]

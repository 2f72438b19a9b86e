"""Unsupervised Representation Learning with Deep Convolutional GANs. Radford, Metz, Chintala. 2015.

    D:  -E[log D(x)] - E[log(1 - D(G(z)))]
    G:  -E[log D(G(z))]

Pictures have sides of b·2ⁿ px: the first layer of G outputs b x b, and each further one doubles it. Architectures: the
paper's, and a dense one for 32 px (`network=dense`) from a textbook, which trained it on the frogs of CIFAR-10.

With `conditional=true` G has conditional norms, and D is a projection discriminator with logit f(φ(x)) + <V y, φ(x)>
(Miyato & Koyama 2018, arXiv:1802.05637).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from simulacra import gan, losses
from simulacra.config import require, setting
from simulacra.errors import SimulacraError
from simulacra.gan import Batch, Preset
from simulacra.gans import mlp
from simulacra.gans.dcgan_dense import DenseDiscriminator, DenseGenerator
from simulacra.layers import (
    ConditionalNorm,
    Conv2d,
    ConvTranspose2d,
    DoublingConv2d,
    HalvingConv2d,
    InstanceNorm2d,
    LabelProjection,
    PictureOrder,
    interpolate,
)

Norm = Literal["batch", "instance", "layer", "none"]
CONV = {"network": "conv"}


@dataclass(frozen=True, kw_only=True)
class Networks(gan.Settings):
    """Settings of the networks, which other GANs share."""

    of_the_networks: ClassVar[frozenset[str]] = gan.Settings.of_the_networks | {
        *("network", "features", "features_max", "kernel", "upsample", "downsample"),
        *("activation", "slope", "norm_g", "norm_d", "modulation", "hidden", "bias", "dropout_g"),
    }

    network: Literal["conv", "dense", "mlp"] = setting("conv", "Architecture of G and D.")
    features: int = setting(
        64, "Channels at half the picture's side, doubled at each halving.", when={"network": ("conv", "residual")}
    )
    features_max: int = setting(512, "Upper limit of the channels.", when={"network": ("conv", "residual")})
    kernel: int = setting(
        4,
        "Side of the kernels; odd ones cause checkerboard artefacts.",
        when=({"network": "conv", "upsample": "transposed"}, {"network": "conv", "downsample": "strided"}),
    )
    upsample: Literal["transposed", "nearest"] = setting("transposed", "How G doubles the side.", when=CONV)
    start: Literal["normal", "bilinear"] = setting(
        "normal",
        "G's doublings at the start: random weights, or random mixtures interpolated, with less of a grid in pictures.",
        when={"network": "conv", "upsample": "transposed"},
    )
    downsample: Literal["strided", "pool", "max"] = setting("strided", "How D halves the side.", when=CONV)
    activation: Literal["relu", "leaky"] = setting("relu", "Activation in G; D has leaky ReLU.", when=CONV)
    slope: float = setting(0.2, "Slope of leaky ReLU below 0.", when=CONV)
    norm_g: Norm = setting("batch", "Normalisation in G.", when=CONV)
    norm_d: Norm = setting("batch", "Normalisation in D.", when=CONV)
    modulation: bool = setting(False, "The norms in G also depend on z.", when=CONV)
    bias: bool = setting(
        False,
        "G's doublings have biases before norms, too; batch and instance norm cancel them.",
        when={"network": "conv", "norm_g": ("batch", "instance", "layer")},
    )
    dropout_g: float = setting(0.0, "Dropout in G's hidden layers, in training alone.", when=CONV)
    hidden: tuple[int, ...] = setting((256, 256), "Widths of the hidden layers of G and D.", when={"network": "mlp"})

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 1", "features", "features_max", "hidden")
        require(self, "at least 0 and less than 1", "dropout_g")


@dataclass(frozen=True, kw_only=True)
class Settings(Networks):
    """The paper's settings."""

    batch: int = 128
    epochs: float = 50


def base(shape: gan.Shape) -> tuple[int, int, int]:
    """(height, width, n) of the base, so that a picture is height·2ⁿ x width·2ⁿ and the base's shorter side is 4 to 7.

    Raises `SimulacraError` for sides without such a base.
    """
    _, height, width = shape
    n = 0
    while min(height, width) % 2 == 0 and min(height, width) // 2 >= 4 and height % 2 == width % 2 == 0:
        height, width, n = height // 2, width // 2, n + 1
    if n == 0 or not 4 <= min(height, width) <= 7:
        raise SimulacraError("gan.sides_do_not_double", height=shape[1], width=shape[2])
    return height, width, n


def norm(kind: Norm, channels: int, labels: int = 0, latent: int = 0) -> nn.Module:
    """The norm `kind` for `channels`; a conditional one if there are labels, or `latent` numbers of z."""
    conditional = labels + latent > 0
    layer: nn.Module = nn.Identity()
    if kind == "batch":
        layer = nn.BatchNorm2d(channels, affine=not conditional)
    elif kind == "instance":
        layer = InstanceNorm2d(channels, affine=not conditional)
    elif kind == "layer":
        layer = nn.GroupNorm(1, channels, affine=not conditional)
    return ConditionalNorm(layer, channels, labels, latent) if conditional else layer


def initialise(network: nn.Module) -> None:
    """Weights N(0, 0.02), gains N(1, 0.02), biases 0 (section 4 of the paper and its authors' code)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]


class Generator(PictureOrder, gan.Generator):
    """z -> b x b -> n doublings -> a picture."""

    def __init__(self, config: Networks) -> None:
        super().__init__(config)
        height, width, n = base(config.shape)
        channels = [min(config.features << i, config.features_max) for i in reversed(range(n))]
        plain = config.norm_g == "none"
        # A transposed convolution of a 1x1 input is a matrix product, and much faster as one.
        self.first = nn.Linear(config.z, height * width * channels[0], bias=plain)
        self.grid = (height, width, channels[0])
        self.latent = config.z if config.modulation else 0  # numbers of z that the norms depend on
        layers: list[nn.Module] = [
            norm(config.norm_g, channels[0], config.labels, self.latent),
            *_activation(config),
        ]
        for inner, outer in itertools.pairwise(channels):
            layers += _double(config, inner, outer, plain or config.bias)
            layers += [norm(config.norm_g, outer, config.labels, self.latent), *_activation(config)]
        layers += _double(config, channels[-1], config.shape[0], True)
        self.layers = nn.Sequential(*layers, nn.Tanh() if config.output == "tanh" else nn.Identity())
        initialise(self)
        if config.start == "bilinear":
            for layer in self.layers:
                if isinstance(layer, ConvTranspose2d):
                    interpolate(layer, 0.02)

    def synthesis(self, w: Tensor) -> Tensor:
        """w [N, z] or [N, z + labels] -> pictures [N, C, H, W]."""
        z, y = w[:, : self.z_dim], w[:, self.z_dim - self.latent :]
        x: Tensor = self.first(z).unflatten(1, self.grid).permute(0, 3, 1, 2)  # channels last
        for layer in self.layers:
            x = layer(x, y) if isinstance(layer, ConditionalNorm) else layer(x)
        return x

    def layers_from_picture(self) -> list[nn.Module]:
        """All but the first."""
        return [*self.layers][::-1]


class Discriminator(PictureOrder):
    """A picture -> n halvings -> a logit. The first layer has no norm."""

    def __init__(self, config: Networks) -> None:
        super().__init__()
        height, width, n = base(config.shape)
        channels = [config.shape[0], *(min(config.features << i, config.features_max) for i in range(n))]
        layers: list[nn.Module] = []
        for i, (inner, outer) in enumerate(itertools.pairwise(channels)):
            normed = i > 0 and config.norm_d != "none"
            layers += _halve(config, inner, outer, not normed)
            layers += [norm(config.norm_d, outer)] if normed else []
            layers.append(nn.LeakyReLU(config.slope))
            if config.dropout:
                layers.append(nn.Dropout(config.dropout))
        self.projection = LabelProjection(config.labels, channels[-1]) if config.labels else None
        self.layers = nn.Sequential(*layers, Conv2d(channels[-1], 1, (height, width)))
        initialise(self)

    def forward(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W], y [N, labels] or None -> logits [N]."""
        features = self.layers[:-1](images)
        logits: Tensor = self.layers[-1:](features).flatten()
        return logits if self.projection is None else logits + self.projection(features, y)

    def layers_from_picture(self) -> list[nn.Module]:
        """All layers."""
        return [*self.layers]


def build_generator(config: Networks) -> gan.Generator:
    """The generator that `config.network` names."""
    if config.kernel < 2:
        raise SimulacraError("config.kernel_too_small", value=config.kernel)
    if config.network == "mlp":
        return mlp.Generator(config, config.hidden)
    if config.network == "dense":
        if config.shape[1:] != (32, 32):
            raise SimulacraError("gan.dense_is_for_32", height=config.shape[1], width=config.shape[2])
        return DenseGenerator(config)
    return Generator(config)


def build_discriminator(config: Networks) -> nn.Module:
    """The discriminator that `config.network` names."""
    if config.network == "mlp":
        return mlp.Discriminator(config, config.hidden)
    return DenseDiscriminator(config) if config.network == "dense" else Discriminator(config)


@gan.register
class DCGAN(gan.GAN):
    """Convolutions, batch norm and the non-saturating loss."""

    name, title, year = "dcgan", "Deep Convolutional GAN", 2015
    authors = "Radford, Metz, Chintala"
    paper = "arXiv:1511.06434"
    suits = "Small pictures of about 64 px and short runs, with the simplest networks."
    takes_labels = True
    formulas = ("-E[log D(x)] - E[log(1 - D(G(z)))]", "-E[log D(G(z))]")
    Config = Settings
    haste = {"norm_d": "none"}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "celeba64": Preset({"epochs": 5}, "the paper's settings at 64 px", 64),
        "instance64": Preset({"norm_d": "instance", "batch": 32}, "instance norm in D", 64),
        "faces80": Preset(
            {"z": 128, "batch": 20, "epochs": 1000, "balance": "adaptive"}, "80 px, small batches, adaptive balance", 80
        ),
        "frogs32": Preset(
            {
                **{"network": "dense", "z": 32, "dropout": 0.4, "optimizer": "rmsprop", "alpha": 0.9, "lr": 4e-4},
                **{"lr_d": 8e-4, "clip": 1.0, "lr_decay": 1e-8, "label_noise": 0.05, "separate": False},
                **{"batch": 20, "epochs": 40},
            },
            "the dense 32 px networks, one class of a labelled set; 10,000 steps of each network on 5,000 pictures",
            32,
        ),
        "tiny": Preset({"z": 8, "features": 8, "batch": 8}, "for tests"),
    }
    config: Settings

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.G = self.generator(config)
        self.D = build_discriminator(config)

    @classmethod
    def generator(cls, config: Any) -> gan.Generator:
        """The untrained G alone."""
        return build_generator(config)

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[log D(x)] - E[log(1 - D(G(z)))]."""
        real, fake = self.discriminate_pair(batch, self.generate(batch, grad=False))
        return losses.minimax_d(real, fake, *self.targets(real)), {"real": real, "fake": fake}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-E[log D(G(z))]."""
        fake = self.discriminate(self.generate(batch), self.condition(batch))
        return losses.non_saturating_g(fake), {"fake": fake}


def _activation(config: Networks) -> list[nn.Module]:
    activation = nn.ReLU() if config.activation == "relu" else nn.LeakyReLU(config.slope)
    return [activation, nn.Dropout(config.dropout_g)] if config.dropout_g else [activation]


def _double(config: Networks, inner: int, outer: int, bias: bool) -> list[nn.Module]:
    if config.upsample == "nearest":
        return [nn.Identity(), DoublingConv2d(inner, outer, bias=bias)]  # stored weights count the layers
    padding = (config.kernel - 1) // 2
    return [ConvTranspose2d(inner, outer, config.kernel, 2, padding, config.kernel % 2, bias=bias)]


def _halve(config: Networks, inner: int, outer: int, bias: bool) -> list[nn.Module]:
    if config.downsample == "max":
        return [Conv2d(inner, outer, 3, padding=1, bias=bias), nn.MaxPool2d(2)]
    if config.downsample == "pool":
        return [HalvingConv2d(inner, outer, bias=bias), nn.Identity()]
    return [Conv2d(inner, outer, config.kernel, 2, (config.kernel - 1) // 2, bias=bias)]

"""The two contracts of the house, `GAN` and `Generator`, with `Batch`, the common settings and the registry.

One convention of tensors everywhere: pictures are float32 [N, C, H, W] in [-1, 1]; D returns logits or
scores [N]; class labels are int64 [N], attributes float32 [N, A].
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from simulacra.config import require, updated
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.losses import targets

Shape = tuple[int, int, int]


class Batch(NamedTuple):
    """What one play is dealt."""

    images: Tensor  # [N, C, H, W] float32 in [-1, 1]
    labels: Tensor | None = None  # [N] int64, or [N, A] float32 for attributes
    others: Tensor | None = None  # pictures of the second domain, unpaired


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings that every game has; a game's own settings add to them and sets its source's defaults."""

    shape: Shape = (3, 64, 64)  # channels, height, width: from the data set
    z: int = 100
    prior: Literal["normal", "uniform"] = "normal"
    output: Literal["tanh", "linear"] = "tanh"
    dropout: float = 0.0  # in D
    label_noise: float = 0.0  # D's targets move towards each other by up to this much, uniformly
    smoothing: float = 0.0  # one-sided: D's target for reals is 1 - smoothing
    separate: bool = True  # reals and fakes go through D as separate batches
    mirror: bool = False  # half of the reals are shown mirrored
    batch: int = 64
    epochs: float = 100.0  # the run's length where the command names none
    balance: str = "fixed:1"  # fixed:K (K plays of D to one of G) or adaptive
    optimizer: Literal["adam", "rmsprop"] = "adam"
    lr: float = 2e-4
    lr_d: float | None = None  # D's own rate
    betas: tuple[float, float] = (0.5, 0.999)
    alpha: float = 0.99  # rmsprop's memory of squared gradients
    lr_decay: float = 0.0  # rate / (1 + lr_decay * plays)
    clip: float = 0.0  # gradients are clipped to +-clip by value; 0 is off
    ema: float = 10_000.0  # half-life of the average of G's weights, in images; 0 is off

    def __post_init__(self) -> None:
        require(self, "at least 1", "z", "batch")
        require(self, "more than 0", "lr", "lr_d", "epochs")
        require(self, "at least 0", "lr_decay", "clip", "ema")
        require(self, "at least 0 and less than 1", "dropout", "label_noise", "smoothing", "alpha", "betas")


class Preset(NamedTuple):
    """A source's own settings under a name; `size` is the picture side it was made for."""

    settings: Mapping[str, Any]
    note: str = ""
    size: int | None = None


class Generator(nn.Module):
    """What is left when training ends: latent -> embed -> render."""

    domain: ClassVar[Literal["latent", "image"]] = "latent"

    def __init__(self, config: Settings, classes: Sequence[str] = ()) -> None:
        super().__init__()
        self.z_dim, self.prior = config.z, config.prior
        self.shape, self.classes = config.shape, tuple(classes)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def draw(self, n: int) -> Tensor:
        """`n` fresh latents [n, z] from the prior, on the generator's device."""
        if self.prior == "uniform":
            return torch.rand(n, self.z_dim, device=self.device) * 2 - 1
        return torch.randn(n, self.z_dim, device=self.device)

    def seeded(self, seeds: Sequence[int]) -> Tensor:
        """One latent per seed [N, z], the same alone and in a batch: a picture is named by a number."""
        rows = []
        for seed in seeds:
            source = torch.Generator().manual_seed(int(seed))
            if self.prior == "uniform":
                rows.append(torch.rand(self.z_dim, generator=source) * 2 - 1)
            else:
                rows.append(torch.randn(self.z_dim, generator=source))
        return torch.stack(rows).to(self.device)

    def embed(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Latent z -> w; the identity where there is no mapping network."""
        return z

    def centre(self) -> Tensor:
        """The w [z] that truncation pulls towards: w̄ + ψ (w - w̄)."""
        return torch.zeros(self.z_dim, device=self.device)

    def render(self, w: Tensor) -> Tensor:
        """w [N, z] -> pictures [N, C, H, W]."""
        raise TypeError(f"{type(self).__name__} must define render")

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Latents [N, z] -> pictures [N, C, H, W] float32 in [-1, 1]."""
        return self.render(self.embed(z, y)).float()

    @torch.no_grad()
    def pictures(
        self, seeds: Sequence[int], *, truncation: float = 1.0, min_latent: float = 0.0, batch: int = 64
    ) -> Iterator[Tensor]:
        """Batches of pictures [n, C, H, W] for `seeds`, in constant memory.

        truncation: ψ in w̄ + ψ (w - w̄); 1 leaves the picture as it is, 0 gives the mean picture.
        min_latent: every number of z is moved out to at least this size, keeping its sign: latents near zero
            are rare in training and tend to give deformed pictures.
        """
        if not min_latent >= 0:
            raise SimulacraError(f"min_latent is {min_latent}; it must not be negative.")
        self.eval()
        for start in range(0, len(seeds), batch):
            z = self.seeded(seeds[start : start + batch])
            if min_latent:
                z = torch.where(z < 0, -1.0, 1.0) * z.abs().clamp(min=min_latent)
            w = self.embed(z)
            if truncation != 1:
                w = self.centre() + truncation * (w - self.centre())
            yield self.render(w).float()

    def sample(self, seeds: Sequence[int], *, truncation: float = 1.0, min_latent: float = 0.0) -> list[Image.Image]:
        """One PIL picture per seed; see `pictures` for the options and for a stream in constant memory."""
        batches = self.pictures(seeds, truncation=truncation, min_latent=min_latent)
        return [to_image(picture) for batch in batches for picture in batch]


class GAN(nn.Module):
    """A game: build `self.G` and `self.D`, write the two losses.

    The trainer freezes the opponent while one side plays, so a loss need only differentiate for its player.
    A loss returns the scalar to descend and its readings: D's outputs [N] under `real` and `fake`, and any
    further scalar under its own name.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    authors: ClassVar[str]
    year: ClassVar[int]
    paper: ClassVar[str]
    formulas: ClassVar[tuple[str, str]]  # D's loss, G's loss
    critic: ClassVar[bool] = False  # D gives a score without a probability
    Config: ClassVar[type[Settings]] = Settings
    presets: ClassVar[Mapping[str, Preset]] = {}

    G: Generator
    D: nn.Module

    def __init__(self, config: Settings) -> None:
        super().__init__()
        self.config = config

    @classmethod
    def generator(cls, config: Any) -> Generator:
        """The generator alone, untrained: what `load` fills with weights."""
        raise TypeError(f"{cls.__name__} must define generator")

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """D's loss on a batch, with its readings."""
        raise TypeError(f"{type(self).__name__} must define d_loss")

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """G's loss for as many fakes as the batch has pictures, with its readings."""
        raise TypeError(f"{type(self).__name__} must define g_loss")

    def fakes(self, n: int) -> Tensor:
        """`n` fresh fakes without a graph: for D's loss."""
        with torch.no_grad():
            images: Tensor = self.G(self.G.draw(n))
        return images

    def judge(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """D's outputs [N], [N] for reals and fakes, in two batches or (`separate=false`) in one."""
        if self.config.separate:
            return self.D(real).float(), self.D(fake).float()
        both = self.D(torch.cat([real, fake])).float()
        return both[: len(real)], both[len(real) :]

    def targets(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """D's targets for reals and fakes under this game's smoothing and label noise."""
        return targets(logits, smoothing=self.config.smoothing, noise=self.config.label_noise)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One optimizer a player, under "D" and "G"."""
        config = self.config
        rates = {"D": config.lr if config.lr_d is None else config.lr_d, "G": config.lr}
        made: dict[str, torch.optim.Optimizer] = {}
        for player, network in (("D", self.D), ("G", self.G)):
            if config.optimizer == "adam":
                made[player] = torch.optim.Adam(network.parameters(), rates[player], config.betas, fused=True)
            else:
                made[player] = torch.optim.RMSprop(network.parameters(), rates[player], self.config.alpha, foreach=True)
        return made

    def rate(self, plays: int) -> float:
        """The learning rate's factor after so many plays of one side."""
        return 1 / (1 + self.config.lr_decay * plays)

    def at(self, nimg: int, step: int) -> None:
        """Set everything that depends on time: growth, fades, weights of penalties, lazy steps."""

    def constrain(self) -> None:
        """Called after each step of D: weight clipping."""


def to_image(picture: Tensor) -> Image.Image:
    """One picture [C, H, W] in [-1, 1] as a PIL image: grey, RGB or RGBA."""
    array = (picture.clamp(-1, 1) * 127.5 + 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


_GANS: dict[str, type[GAN]] = {}


def register(gan: type[GAN]) -> type[GAN]:
    """Class decorator: the game is known by its `name`."""
    _GANS[gan.name] = gan
    return gan


def gans() -> dict[str, type[GAN]]:
    """Every game by name, oldest first. A new file under `gans/` is found by being there."""
    package = importlib.import_module("simulacra.gans")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"simulacra.gans.{module.name}")
    return dict(sorted(_GANS.items(), key=lambda item: (item[1].year, item[0])))


def find(name: str) -> type[GAN]:
    """The game called `name`. Raises `SimulacraError` for an unknown one."""
    known = gans()
    if name not in known:
        hint = did_you_mean(name, known) or f" There are: {', '.join(known)}."
        raise SimulacraError(f"There is no GAN called {name!r}.{hint}")
    return known[name]


def configured(spec: str, shape: Shape, settings: Mapping[str, Any]) -> tuple[type[GAN], Settings]:
    """`"dcgan"` or `"dcgan:celeba64"` -> the game and its settings for pictures of `shape` (C, H, W).

    `settings` override the preset. Raises `SimulacraError` for an unknown game, preset or setting, and for a
    preset made for another size.
    """
    name, _, preset_name = spec.partition(":")
    gan = find(name)
    config = updated(gan.Config(), {"shape": shape}, of=name)
    if preset_name:
        if preset_name not in gan.presets:
            raise SimulacraError(f"{name} has no preset {preset_name!r}. It has: {', '.join(gan.presets) or 'none'}.")
        preset = gan.presets[preset_name]
        if preset.size and shape[1:] != (preset.size, preset.size):
            raise SimulacraError(
                f"{spec} is made for {preset.size}x{preset.size} pictures and these are {shape[2]}x{shape[1]}: "
                f"prepare them with --size {preset.size}, or use --gan {name}."
            )
        config = updated(config, preset.settings, of=spec)
    if "shape" in settings:
        raise SimulacraError("The shape of the pictures comes from the data set; prepare it with another --size.")
    config = updated(config, settings, of=name)
    if gan.critic and (config.smoothing or config.label_noise):
        raise SimulacraError(f"{name}'s D is a critic without labels: smoothing and label_noise do not apply to it.")
    return gan, config

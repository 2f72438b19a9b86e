"""The rows of `quality.py`: a GAN with settings for a few minutes on one core, a recipe of its source, or another toolkit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from peers import SETTINGS as PEERS

from simulacra.config import parse_words
from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError
from simulacra.registry import configured, find, gans
from simulacra.settings import DEFAULTS
from simulacra.training.auto import GAN, HASTE, LAPTOP, PENALTY

# Networks, learning rates and averages for small pictures and few minutes; a GAN without a line runs with its defaults.
SETTINGS: dict[str, dict[str, Any]] = {
    "dcgan":   {"features": 32, "batch": 32, "lr": 4e-4, "lr_d": 1e-4, "ema": 5000},
    "wgan":    {"features": 32, "batch": 32, "lr": 2e-4, "clamp": 0.03, "balance": "fixed:2", "ema": 5000},
    "wgan-gp": {"features": 32, "batch": 32, "lr": 4e-4, "norm_d": "layer", "balance": "fixed:2", "ema": 5000},
    "cgan":    {"lr": 4e-4, "betas": (0.5, 0.999), "ema": 2000},
    "sngan":   {"features": 32, "features_max": 128, "batch": 32, "lr": 4e-4, "balance": "fixed:2", "ema": 3000},
    "progan":  {"z": 64, "features": 16, "batch": 16, "lr": 2e-3, "fade": 2000, "stable": 2000, "ema": 3000},
    "stylegan":  {"z": 64, "w": 64, "depth": 4, "features": 16, "batch": 16, "lr": 2e-3, "r1_every": 4, "fade": 2000, "stable": 2000, "ema": 3000},
    "stylegan2": {"z": 64, "features": 16, "features_max": 128, "batch": 16, "lr": 5e-3, "path": 0, "ema": 3000},
    "r3gan":   LAPTOP | HASTE | {"gamma": (PENALTY, PENALTY / 5)},
}  # fmt: skip
# A preset is refused at another picture size: these are its settings alone.
RECIPES = {"dcgan-faces80": ("dcgan", "faces80"), "wgan-gp-faces80": ("wgan-gp", "faces80")}
RIVALS = ("auto", *RECIPES, *(name for name in PEERS if not name.endswith("-small")))
LABELS = "labels"  # after the name of a GAN and a plus: its conditional form; so are settings


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a name stands for."""

    name: str
    gan: str | None = None  # None is what simulacra chooses, or another toolkit
    settings: dict[str, Any] = field(default_factory=dict)
    precision: str | None = None

    @property
    def peer(self) -> bool:
        """Whether it is another toolkit."""
        return self.name in PEERS


def row(name: str) -> Row:
    """`dcgan`, `dcgan:frogs32`, `dcgan+labels`, `stylegan2+output=linear`, `auto`, `dcgan-faces80` or `lightweight-gan`."""
    if name == "auto" or name in PEERS:
        return Row(name=name)
    if name in RECIPES:
        gan, preset = RECIPES[name]
        return Row(name=name, gan=gan, settings=dict(find(gan).presets[preset].settings), precision="fp32")
    spec, *words = name.split("+")
    further: dict[str, Any] = parse_words(word for word in words if word != LABELS)
    if LABELS in words:
        further["conditional"] = True
    gan = f"{spec}:{DEFAULTS}" if spec == GAN else spec  # auto shall add nothing
    return Row(name=name, gan=gan, settings=SETTINGS.get(spec, {}) | further)


def obstacle(row: Row, data: Dataset) -> str:
    """Why a row cannot be trained on these pictures; empty where it can."""
    _, height, width = data.shape
    if row.peer and (data.path is None or height != width or height & (height - 1)):
        return "other toolkits take prepared folders of squares whose side is a power of two."
    if row.gan is None:
        return ""
    try:
        configured(
            row.gan, data.shape, row.settings, labels=len(data.classes or data.attributes), attributes=not data.classes
        )
    except SimulacraError as error:
        return str(error)
    return ""


def drawing_gans() -> list[str]:
    """The names of all GANs that draw from latents."""
    return [name for name, gan in gans().items() if gan.task == "draw"]

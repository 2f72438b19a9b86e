"""Learning, not only moving: four kinds of pictures by every game, and eight Gaussians by the first."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import CPU, KINDS, game, make_trainer, noise, packed, paired
from torch import Tensor

from simulacra.data.feed import Feed, to_tensor
from simulacra.gan import Batch
from simulacra.registry import gans
from simulacra.training.trainer import Trainer
from simulacra.translator import Translator

SIDE, HEIGHT = 8, 0.8
EVERY = 100  # steps between looks

# The published rates are for millions of steps, and the tiny nets for speed: this is haste, with enough to learn in.
HASTE: dict[str, dict[str, Any]] = {
    "mlp": {"batch": 128, "lr": 1e-3, "betas": (0.5, 0.999), "hidden": (256,), "ema": 2000},
    "dcgan": {"norm_d": "none"},
    "wgan": {"features": 16, "clamp": 0.05},
    "wgan-gp": {"lr": 3e-3, "betas": (0.5, 0.9), "gp": 1},
    "progan": {"lr": 5e-3, "betas": (0.5, 0.9), "gp": 1, "features": 8},
    "stylegan": {"lr": 5e-3, "betas": (0.5, 0.99), "gamma": 1, "r1_every": 4, "mixing": 0.5},
    "r3gan": {"batch": 16, "lr": 4e-3, "gamma": (0.1, 0.1), "lazy": 4},
    "sngan": {"balance": "fixed:1"},
    "stylegan2": {"batch": 16, "lr": 5e-3, "gamma": 0.1, "path": 0, "mixing": 0.5},
}


def halves() -> Tensor:
    """Four pictures as far apart as can be: the left, right, upper and lower half white. [4, 1, SIDE, SIDE]"""
    four = torch.full((4, 1, SIDE, SIDE), -HEIGHT)
    four[0, :, :, : SIDE // 2] = four[1, :, :, SIDE // 2 :] = HEIGHT
    four[2, :, : SIDE // 2] = four[3, :, SIDE // 2 :] = HEIGHT
    return four


def near_modes(points: Tensor, modes: Tensor, near: float) -> tuple[float, list[float]]:
    """The share of `points` [N, …] nearer than `near` to one of `modes` (mean absolute distance), and each mode's."""
    nearest = (points[:, None] - modes[None]).abs().flatten(2).mean(2).min(1)
    close = nearest.indices[nearest.values < near]
    return len(close) / len(points), (torch.bincount(close, minlength=len(modes)) / len(points)).tolist()


def learn(trainer: Trainer, modes: Tensor, near: float, steps: int) -> tuple[float, list[float]]:
    """Train until most fakes of the average are near a mode and every mode has its share, or for so many steps."""
    generator = trainer.ema.average
    latents = generator.seeded(range(512))
    y = generator.conditions(range(512))
    share, shares = near_modes(generator(latents, y), modes, near)
    assert share < 0.2, "it knows them before it was trained"
    for _ in range(0, steps, EVERY):
        for _ in range(EVERY):
            trainer.step()
        share, shares = near_modes(generator(latents, y), modes, near)
        if share > 0.65 and min(shares) > 0.4 / len(modes):
            break
    return share, shares


@pytest.mark.parametrize("name", [name for name, gan in gans().items() if gan.task == "draw"])
def test_every_game_learns_four_pictures(name: str, tmp_path: Path) -> None:
    """Near is nearer than halfway to the next of the four, so that no mixture of two counts."""
    four = halves()
    pictures = four.repeat_interleave(32, 0).numpy().transpose(0, 2, 3, 1)
    pictures = pictures + np.random.default_rng(0).normal(0, 0.05, pictures.shape)
    labels = np.arange(4).repeat(32) % KINDS  # for conditional GANs
    data = packed((pictures * 127.5 + 127.5).round().astype(np.uint8), labels)
    settings: dict[str, Any] = {"batch": 32, "lr": 2e-3, "ema": 1000} | HASTE.get(name, {})
    share, shares = learn(make_trainer(f"{name}:tiny", tmp_path, data, **settings), four, HEIGHT / 2, steps=2500)
    assert share > 0.65, f"{share:.0%} of the fakes are like one of the pictures"
    assert min(shares) > 0.1, f"some of the four are missing: {shares}"


@pytest.mark.parametrize(("loss", "match"), [("squares", 0.0), ("relativistic", 0.0), ("relativistic", 10.0)])
def test_cyclegan_finds_a_translation_without_pairs(loss: str, match: float, tmp_path: Path) -> None:
    """A red square somewhere becomes a blue one in its place, and the other way: on pictures not seen before."""
    red = np.full((256, 16, 16, 3), 40, dtype=np.uint8)
    for i, (top, left) in enumerate(np.random.default_rng(0).integers(0, 10, (256, 2))):
        red[i, top : top + 6, left : left + 6, 0] = 215
    blue = red[..., ::-1]
    settings: dict[str, Any] = {"features": 8, "batch": 8, "lr": 2e-3, "ema": 500, "loss": loss, "gamma": 1}
    settings |= {"match": match, "bank": 112}
    trainer = make_trainer("cyclegan:tiny", tmp_path, paired(red[:112], blue[112:224]), **settings)
    one, other = (to_tensor(side[224:], CPU) for side in (red, blue))
    untranslated, G = (one - other).abs().mean(), trainer.ema.average
    assert isinstance(G, Translator)
    wrong = torch.ones(2)
    for _ in range(0, 800, EVERY):
        for _ in range(EVERY):
            trainer.step()
        pairs = (G.translate(one, "b"), other), (G.translate(other, "a"), one)
        wrong = torch.stack([(image - true).abs().mean() for image, true in pairs])
        if wrong.max() < 0.35 * untranslated:
            break
    assert wrong.max() < 0.35 * untranslated


class Ring(Feed):
    """Eight Gaussians on a circle of radius 2, as pictures of one pixel with two channels."""

    angles = torch.arange(8) * math.pi / 4
    modes = 2 * torch.stack([angles.cos(), angles.sin()], 1)[:, :, None, None]

    def batch(self, start: int, count: int) -> Batch:
        source = torch.Generator().manual_seed(start)
        which = torch.randint(8, (count,), generator=source)
        return Batch(self.modes[which] + 0.05 * torch.randn(count, 2, 1, 1, generator=source))


def test_mlp_finds_all_eight_gaussians_of_a_ring(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"batch": 128, "lr": 1e-3, "betas": (0.5, 0.999), "hidden": (128, 128), "ema": 10_000}
    settings |= {"dropout": 0.1}
    gan = game("mlp:tiny", (2, 1, 1), output="linear", **settings)
    assert gan.config.loss == "nonsaturating"  # type: ignore[attr-defined]
    trainer = Trainer(gan, Ring(packed(noise(1)), CPU, seed=0), tmp_path, seed=3)
    share, shares = learn(trainer, Ring.modes, near=0.3, steps=5000)
    assert share > 0.65, f"{share:.0%} of the fakes are near one of the eight"
    assert min(shares) > 0.05, f"some of the eight are missing: {shares}"

"""Learning, not only moving: every GAN learns four pictures, CycleGAN a translation, MLP eight Gaussians."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import CPU, build, in_memory, make_trainer, noise, paired

from simulacra.data.feed import Feed, to_tensor
from simulacra.gan import Batch
from simulacra.plugins.checks import CHECKS, learn
from simulacra.registry import gans
from simulacra.training.trainer import Trainer
from simulacra.translator import Translator

EVERY = 25  # steps between looks


@pytest.mark.parametrize("name", [name for name, gan in gans().items() if gan.task == "draw"])
def test_every_gan_learns_four_pictures(name: str, tmp_path: Path) -> None:
    """Near is nearer than halfway to the next of the four, so that no mixture of two counts."""
    CHECKS["learning"](f"{name}:tiny", tmp_path)


@pytest.mark.parametrize(("loss", "match"), [("squares", 0.0), ("relativistic", 10.0)])
def test_cyclegan_finds_a_translation_without_pairs(loss: str, match: float, tmp_path: Path) -> None:
    """A red square somewhere becomes a blue one in its place, and the other way: on pictures not seen before."""
    red = np.full((256, 16, 16, 3), 40, dtype=np.uint8)
    for i, (top, left) in enumerate(np.random.default_rng(0).integers(0, 10, (256, 2))):
        red[i, top : top + 6, left : left + 6, 0] = 215
    blue = red[..., ::-1]
    settings: dict[str, Any] = {"features": 8, "batch": 8, "lr": 2e-3, "ema": 500, "loss": loss}
    settings |= {"match": match} | ({"bank": 112} if match else {}) | ({"gamma": 1} if loss == "relativistic" else {})
    trainer = make_trainer("cyclegan:tiny", tmp_path, paired(red[:112], blue[112:224]), **settings)
    one, other = (to_tensor(side[224:], CPU) for side in (red, blue))
    untranslated, G = (one - other).abs().mean(), trainer.ema.average
    assert isinstance(G, Translator)
    wrong = torch.ones(2)
    for _ in range(0, 800, EVERY):
        for _ in range(EVERY):
            trainer.step()
        pairs = (G.translate(one, "b"), other), (G.translate(other, "a"), one)
        wrong = torch.stack([(fake - true).abs().mean() for fake, true in pairs])
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
    gan = build("mlp:tiny", (2, 1, 1), output="linear", **settings)
    assert gan.config.loss == "nonsaturating"  # type: ignore[attr-defined]
    trainer = Trainer(gan, Ring(in_memory(noise(1)), CPU, seed=0), tmp_path, seed=3)
    share, shares = learn(trainer, Ring.modes, near=0.3, steps=5000)
    assert share > 0.65, f"{share:.0%} of the fakes are near one of the eight"
    assert min(shares) > 0.05, f"some of the eight are missing: {shares}"

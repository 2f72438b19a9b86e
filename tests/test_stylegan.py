"""Styles: AdaIN sets statistics, layers take their own w, noise is fixed afterwards, the mean w truncates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support import CLASSES, advance, build, make_trainer, refused
from torch import Tensor

from simulacra.config import to_json
from simulacra.gan import Batch
from simulacra.gans.progan_networks import box_average, repeat_pixels
from simulacra.gans.stylegan import AdaIN, StyleGAN
from simulacra.registry import configured
from simulacra.settings import from_stored
from simulacra.styled import W_AVG_RATE

GROWN = 10**6


def grown(**settings: Any) -> StyleGAN:
    gan = build("stylegan:tiny", **settings)
    assert isinstance(gan, StyleGAN)
    gan.on_step_start(GROWN, {"D": 0, "G": 0})
    torch.manual_seed(1)
    with torch.no_grad():
        gan.G.w_avg.normal_()
        for layer in gan.G.layers:
            layer.strength.normal_()  # type: ignore[operator]
    return gan


def batch(n: int = 8) -> Batch:
    return Batch(torch.rand(n, 3, 16, 16) * 2 - 1, torch.arange(n) % CLASSES)


def test_adain_gives_the_style_s_mean_and_deviation() -> None:
    torch.manual_seed(0)
    adain, x, w = AdaIN(8, 5), torch.randn(3, 5, 6, 7) * 4 + 2, torch.randn(3, 8)
    styled = adain(x, w)
    scale, shift = adain.style(w).chunk(2, 1)
    torch.testing.assert_close(styled.mean((2, 3)), shift, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(styled.std((2, 3), unbiased=False), (1 + scale).abs(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(adain(3 * x - 1, w), styled, rtol=1e-3, atol=1e-4)


def test_a_style_begins_near_a_plain_norm() -> None:
    adain = AdaIN(8, 5)
    styled = adain(torch.randn(2, 5, 6, 7), torch.zeros(2, 8))
    torch.testing.assert_close(styled.mean((2, 3)), torch.zeros(2, 5))
    torch.testing.assert_close(styled.std((2, 3), unbiased=False), torch.ones(2, 5))


@torch.no_grad()
def test_noise_is_random_in_training_and_fixed_afterwards() -> None:
    generator = grown().G
    w = generator.mapping(generator.seeded([1, 2]))
    generator.train()
    assert not torch.allclose(generator.synthesis(w), generator.synthesis(w), atol=1e-3)
    same = generator.synthesis(w[:1].repeat(2, 1))
    assert not torch.allclose(same[0], same[1], atol=1e-3), "each picture has its own"
    generator.eval()
    assert torch.equal(generator.synthesis(w), generator.synthesis(w))
    torch.testing.assert_close(generator.synthesis(w[1:]), generator.synthesis(w)[1:])
    for layer in generator.layers:
        layer.strength.zero_()  # type: ignore[operator]
    torch.testing.assert_close(generator.train().synthesis(w), generator.eval().synthesis(w))


@torch.no_grad()
def test_a_w_for_each_layer() -> None:
    generator = grown().G.eval()
    assert generator.num_ws == 6  # two at 4x4, 8x8 and 16x16
    w = generator.mapping(generator.seeded([1, 2]))
    torch.testing.assert_close(generator.synthesis(generator.broadcast_ws(w)), generator.synthesis(w))
    for i in range(6):
        other = generator.broadcast_ws(w).clone()
        other[:, i] = w.flip(0)
        assert not torch.allclose(generator.synthesis(other), generator.synthesis(w), atol=1e-3), (
            f"layer {i} has an effect"
        )


@torch.no_grad()
def test_coarse_styles_of_one_and_fine_styles_of_another() -> None:
    """What the first layers make is that of the first w, and no later style changes it."""
    generator = grown().G.eval()
    one, other = generator.mapping(generator.seeded([1, 2])).unsqueeze(1)
    outputs: list[Tensor] = []
    generator.layers[3].register_forward_hook(lambda layer, inputs, output: outputs.append(output))
    for ws in ([one] * 6, [one] * 4 + [other] * 2, [other] * 4 + [one] * 2):
        generator.synthesis(torch.stack(ws, 1))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2], atol=1e-3)


@torch.no_grad()
def test_fakes_mix_styles_at_random_layers() -> None:
    def crossovers(mixing: float, nimg: int) -> Tensor:
        gan = build("stylegan:tiny", mixing=mixing)
        assert isinstance(gan, StyleGAN)
        gan.on_step_start(nimg, {"D": 0, "G": 0})
        ws = gan.draw_ws(400)
        assert ws.shape == (400, 6, 8)
        same = (ws == ws[:, :1]).all(2)
        assert torch.equal(same, same.cummin(1).values), "one change at most"
        return same.sum(1)

    assert (crossovers(0.0, GROWN) == 6).all()
    layers = crossovers(1.0, GROWN)
    assert set(layers.tolist()) == {1, 2, 3, 4, 5}
    assert 0.85 < (crossovers(0.9, GROWN) < 6).float().mean() < 0.95
    assert set(crossovers(1.0, 0).tolist()) == {1, 2, 3}, "of the two doublings one is in use"


@torch.no_grad()
def test_truncation_by_layers() -> None:
    generator = grown().G.eval()
    w = generator.mapping(generator.seeded([1, 2, 3]))
    torch.testing.assert_close(generator.truncate(w, 0.3), generator.w_avg + 0.3 * (w - generator.w_avg))
    torch.testing.assert_close(generator.truncate(w, 1.0), w)
    torch.testing.assert_close(generator.truncate(w, 0.0), generator.w_avg.expand(3, -1))
    truncated = generator.truncate(w, 0.3, layers=(1, 4))
    assert truncated.shape == (3, 6, 8)
    for i in range(6):
        torch.testing.assert_close(truncated[:, i], generator.truncate(w, 0.3) if 1 <= i < 4 else w)
    torch.testing.assert_close(generator.truncate(generator.broadcast_ws(w), 0.3, layers=(1, 4)), truncated)
    whole = generator.synthesis(generator.truncate(w, 0.3))
    torch.testing.assert_close(generator.synthesis(generator.truncate(w, 0.3, layers=(0, 6))), whole)
    for layers in ((0, 7), (3, 3), (-1, 2)):
        with refused("generator.no_such_layers", count=6):
            generator.truncate(w, 0.3, layers=layers)


def test_the_mean_w_follows_g_s_steps_alone(tmp_path: Path) -> None:
    trainer = make_trainer("stylegan:tiny", tmp_path, mixing=0.0)
    gan = trainer.gan
    assert isinstance(gan, StyleGAN)
    advance(trainer, 1)
    assert not gan.G.w_avg.any()
    means: list[Tensor] = []
    follow = gan.G.update_w_avg
    gan.G.update_w_avg = lambda w: (means.append(w.detach().mean(0)), follow(w))[1]  # type: ignore[method-assign, func-returns-value]
    advance(trainer, 3)
    assert len(means) == 2
    torch.testing.assert_close(gan.G.w_avg, (1 - W_AVG_RATE) * W_AVG_RATE * means[0] + W_AVG_RATE * means[1])


def test_the_loss_is_its_formula_and_the_penalty_may_be_lazy() -> None:
    gan, reals = grown(gamma=4.0, r1_every=3), batch()
    for turn in range(6):
        gan.on_step_start(GROWN, {"D": turn, "G": 0})
        loss, stats = gan.d_loss(reals)
        real, fake = stats["real"], stats["fake"]
        adversarial = torch.nn.functional.softplus(-real).mean() + torch.nn.functional.softplus(fake).mean()
        torch.testing.assert_close(stats["adversarial"], adversarial)
        due = turn % 3 == 0
        assert ("r1" in stats) == due
        torch.testing.assert_close(loss, adversarial + (4 / 2 * 3 * stats["r1"] if due else 0))
    _, stats = grown(gamma=0.0).d_loss(reals)
    assert "r1" not in stats


def test_a_lazy_penalty_counts_d_s_steps_whatever_g_s_are_shown(tmp_path: Path) -> None:
    """With an adaptive balance steps of G use up pictures, too."""
    trainer = make_trainer("stylegan:tiny", tmp_path, r1_every=2)
    trainer.balance.uses_images = lambda player: True  # type: ignore[method-assign]
    counted = []
    for _ in range(12):
        advance(trainer, 1)
        counted.append(trainer.meter.counts.get("r1", 0))
    assert trainer.nimg == 12 * 8
    assert counted == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]


def test_r1_is_by_the_pixels_of_the_full_side_while_growing() -> None:
    """At a quarter of the side it is a sixteenth of that by the pixels of the level, which older runs have."""
    reals = batch()
    for pixels, factor in (("full", 1 / 16), ("level", 1.0)):
        gan = build("stylegan:tiny", stable=100, r1_pixels=pixels)
        gan.on_step_start(0, {"D": 0, "G": 0})
        small = box_average(reals.images, 4).requires_grad_()
        (slope,) = torch.autograd.grad(gan.D(repeat_pixels(small, 4)).sum(), small)
        _, stats = gan.d_loss(reals)
        torch.testing.assert_close(stats["r1"], factor * slope.square().flatten(1).sum(1).mean())


def test_gamma_follows_size_and_batch() -> None:
    for settings, gamma in (({"batch": 4}, 2e-4 * 16 * 16 / 4), ({"gamma": 7.0}, 7.0)):
        gan = build("stylegan:tiny", **settings)
        assert isinstance(gan, StyleGAN) and gan.gamma == pytest.approx(gamma)
    assert configured("stylegan:paper128", (3, 128, 128), {})[1].gamma == 10  # type: ignore[attr-defined]


def test_a_run_from_before_the_setting_keeps_the_pixels_of_the_level() -> None:
    stored = to_json(configured("stylegan:tiny", (3, 16, 16), {"gamma": 10.0})[1])
    del stored["r1_pixels"]
    config = from_stored(StyleGAN.Config, stored, of="it")
    assert (config.r1_pixels, config.gamma) == ("level", 10.0)

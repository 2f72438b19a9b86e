"""R3GAN's parts: blocks that start as nothing, schedules, lazy penalties, and their finite differences."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from support import advance, build, make_trainer, refused
from torch import Tensor, nn

from simulacra import losses
from simulacra.gan import Batch
from simulacra.gans.r3gan import R3GAN, Settings
from simulacra.gans.r3gan_networks import Block, Discriminator, Generator, channels_of
from simulacra.registry import configured

SMALL = Settings(shape=(3, 16, 16), z=4, features=8, features_max=16, blocks=2, group=4)


def test_a_block_starts_as_the_identity() -> None:
    block, x = Block(SMALL, 8, depth=4), torch.randn(2, 8, 5, 7)
    assert torch.equal(block(x), x)
    nn.init.normal_(block.layers[-1].weight)  # type: ignore[arg-type]
    assert not torch.allclose(block(x), x)


@pytest.mark.parametrize("group", [0, 4, 8])
def test_variance_is_kept_inside_a_block(group: int) -> None:
    torch.manual_seed(0)
    config = Settings(shape=(3, 16, 16), group=group)
    block, x = Block(config, 64, depth=1), torch.randn(8, 64, 16, 16)
    assert float(block.layers[:3](x).detach().std()) == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("patch", [1, 2])
def test_networks_mirror_each_other(patch: int) -> None:
    config = Settings(shape=(3, 32, 48), z=4, features=8, features_max=32, blocks=1, group=4, patch=patch)  # type: ignore[arg-type]
    generator, critic = Generator(config), Discriminator(config)
    sides: list[tuple[int, ...]] = []
    unbounded: list[Tensor] = []
    for stage in generator.stages:
        stage.register_forward_hook(lambda module, inputs, output: sides.append(tuple(output.shape[1:])))
    generator.last.register_forward_hook(lambda module, inputs, output: unbounded.append(output))
    pictures = generator(generator.draw(2))
    assert pictures.shape == (2, 3, 32, 48) and torch.equal(pictures, generator.bound(unbounded[0]))
    widest = [(32, 4, 6), (32, 8, 12), (16, 16, 24), (8, 32, 48)]
    assert sides == widest[: 5 - patch]
    assert len(critic.stages) == len(generator.stages)
    assert critic(pictures).shape == (2,)


def test_schedules_are_half_cosines(tmp_path: Path) -> None:
    trainer = make_trainer("r3gan:tiny", tmp_path, burn_in=80, lr=1e-3, lr_last=0.5, beta2_last=0.99, gamma=[1.0, 0.2])
    gan = trainer.gan
    assert isinstance(gan, R3GAN)
    for nimg, share in ((0, 0), (20, (1 - math.sqrt(0.5)) / 2), (40, 0.5), (80, 1), (1000, 1)):
        gan.on_step_start(nimg, {"D": 0, "G": 0})
        assert gan.scheduled(*gan.config.gamma) == pytest.approx(1 - 0.8 * share)
        assert gan.rate(0) == pytest.approx(1 - 0.5 * share)
        assert gan.momenta() == pytest.approx((0.0, 0.9 + 0.09 * share))
    advance(trainer, 40)  # 8 pictures to each step of D
    for optimizer in trainer.optimizers.values():
        assert optimizer.param_groups[0]["lr"] == pytest.approx(5e-4)
        assert optimizer.param_groups[0]["betas"] == pytest.approx((0.0, 0.99))


def test_the_average_and_augmentation_have_schedules_too(tmp_path: Path) -> None:
    """Half a cosine from the start of the average's half-life to its end, and of p, which then does not adapt."""
    words: dict[str, Any] = {
        "burn_in": 80,
        "ema": 400.0,
        "ema_first": 0.0,
        "augment": "ada",
        "augment_p": 0.1,
        "augment_last": 0.5,
    }
    trainer = make_trainer("r3gan:tiny", tmp_path, **words)
    half_lives: list[float | None] = []
    update = trainer.ema.update
    trainer.ema.update = lambda nimg, half_life=None: (half_lives.append(half_life), update(nimg, half_life))[1]  # type: ignore[method-assign,func-returns-value]
    probabilities = []
    for _ in range(24):
        trainer.step()
        probabilities.append(float(trainer.gan.augment.p))  # type: ignore[arg-type]
    nimgs = [8 * step for step in range(12)]  # before each step of D; G's comes after it
    shares = [(1 - math.cos(math.pi * min(1.0, nimg / 80))) / 2 for nimg in [*nimgs, 96]]
    assert probabilities[::2] == pytest.approx([0.1 + 0.4 * share for share in shares[:-1]])
    assert half_lives == pytest.approx([400 * share for share in shares[1:]])
    assert trainer.ema.decay(100, 1000, 100.0) == pytest.approx(0.5), "as it is called, without a ramp"


def test_without_a_schedule_p_adapts_and_the_average_is_as_elsewhere(tmp_path: Path) -> None:
    trainer = make_trainer("r3gan:tiny", tmp_path, augment="ada", augment_images=100.0)
    assert trainer.gan.half_life() is None
    for _ in range(4):
        trainer.gan.on_step_end("D", {"real": torch.ones(8), "fake": torch.zeros(8)})  # D is sure
    assert float(trainer.gan.augment.p) == pytest.approx(32 / 100)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [{"augment_last": 0.3}, {"augment_last": 0.9, "augment": "ada"}])
def test_a_schedule_of_p_needs_ada_and_a_p_that_does_not_leak(words: dict[str, Any]) -> None:
    with refused("config.augment_last"):
        Settings(**words)


def test_the_paper_s_presets_have_its_widths_and_schedules() -> None:
    for name, size, widths, p in (
        ("cifar32", 32, [768] * 4, 0.55),
        ("ffhq64", 64, [384, *[768] * 4], 0.3),
        ("ffhq256", 256, [96, 192, 384, *[768] * 4], 0.3),
    ):
        config: Any = configured(f"r3gan:{name}", (3, size, size), {})[1]
        assert channels_of(config) == widths
        assert (config.augment, config.augment_last, config.ema_first, config.burn_in) == ("ada", p, 0.0, 2e7)
        assert config.augment_kinds == ("blit", "geometric", "colour", "cutout") and config.augment_colour == 0.5


@pytest.mark.parametrize("lazy", [1, 3])
def test_penalties_are_lazy_and_weigh_as_much_more(lazy: int, tmp_path: Path) -> None:
    trainer = make_trainer("r3gan:tiny", tmp_path, lazy=lazy)
    counted = []
    for _ in range(14):
        trainer.step()
        counted.append(trainer.meter.counts.get("r1", 0))
    assert counted[-1] == math.ceil(7 / lazy)
    gan = build("r3gan:tiny", lazy=lazy, dropout=0.0)
    batch = Batch(torch.rand(6, 3, 16, 16) * 2 - 1)
    torch.manual_seed(1)
    loss, stats = gan.d_loss(batch)
    assert isinstance(gan, R3GAN)
    weight = gan.config.gamma[0] / 2 * lazy
    torch.testing.assert_close(loss, stats["adversarial"] + weight * (stats["r1"] + stats["r2"]))


def test_what_d_pays_is_r1_on_reals_and_on_fakes() -> None:
    gan = build("r3gan:tiny")
    batch = Batch(torch.rand(6, 3, 16, 16) * 2 - 1)
    torch.manual_seed(1)
    _, stats = gan.d_loss(batch)
    torch.manual_seed(1)
    fakes = gan.generate(batch, grad=False)
    torch.testing.assert_close(stats["r1"], losses.r1(gan.D, batch.images))
    torch.testing.assert_close(stats["r2"], losses.r1(gan.D, fakes))


class Smooth(nn.Module):
    """A small D whose derivatives are all there."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(4 * 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.layers(x)
        return scores[:, 0]


def test_finite_differences_agree_with_the_exact_penalty() -> None:
    """In the mean over directions: value, and the gradient that D learns from."""
    torch.manual_seed(0)
    critic, images = Smooth().double(), torch.rand(3, 2, 4, 4, dtype=torch.float64)
    exact = losses.r1(critic, images)
    wanted = torch.autograd.grad(exact, list(critic.parameters())[:3])
    many = images.repeat(20_000, 1, 1, 1)
    near = losses.squared_differences(critic(many), many, critic, step=1e-3).mean()
    torch.testing.assert_close(near, exact, rtol=0.02, atol=0)
    for one, other in zip(torch.autograd.grad(near, list(critic.parameters())[:3]), wanted, strict=True):
        assert torch.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.99


def test_no_second_derivative_is_needed_for_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = build("r3gan:tiny", penalty="difference")
    monkeypatch.setattr(losses, "squared_gradients", None)
    _, stats = gan.d_loss(Batch(torch.rand(6, 3, 16, 16) * 2 - 1))
    assert float(stats["r1"]) > 0


@pytest.mark.parametrize(
    "words", [{"augment": "diff"}, {"augment": "ada", "augment_p": 0.7}, {"dropout": 0.5}], ids=str
)
def test_differences_are_of_the_step_and_not_of_chance(words: dict[str, Any]) -> None:
    """D sees the two pictures augmented alike, and drops the same: or chance would be divided by the step."""
    gradients = {}
    for penalty in ("exact", "difference"):
        gan, sums = build("r3gan:tiny", penalty=penalty, **words), [0.0, 0.0]
        for seed in range(20):
            torch.manual_seed(seed)
            images = torch.rand(32, 3, 16, 16) * 2 - 1
            _, stats = gan.d_loss(Batch(images))
            sums = [total + stats[name].item() for total, name in zip(sums, ("r1", "r2"), strict=True)]
        gradients[penalty] = sums
    assert gradients["difference"] == pytest.approx(gradients["exact"], rel=0.25)


def test_each_side_has_its_own_chance_with_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    gan, batches = build("r3gan:tiny", penalty="difference", augment="diff"), list[Tensor]()
    monkeypatch.setattr(gan, "generate", lambda batch, grad=True: batch.images)
    gan.D.register_forward_hook(lambda module, inputs, output: batches.append(inputs[0]))
    torch.manual_seed(1)
    gan.d_loss(Batch(torch.rand(6, 3, 16, 16) * 2 - 1))
    (real, fake), (moved_real, moved_fake) = (both.chunk(2) for both in batches)
    assert not torch.allclose(real, fake, atol=0.1)
    for one, other in ((real, moved_real), (fake, moved_fake)):
        assert 0 < (one - other).abs().mean() < 0.05


def test_the_pairing_loss_looks_at_differences_only() -> None:
    real, fake = torch.randn(8), torch.randn(8)
    torch.testing.assert_close(losses.relativistic_d(real + 5, fake + 5), losses.relativistic_d(real, fake))
    torch.testing.assert_close(losses.relativistic_d(real, fake), losses.relativistic_g(fake, real))
    torch.testing.assert_close(losses.relativistic_d(real, fake), -torch.log(torch.sigmoid(real - fake)).mean())

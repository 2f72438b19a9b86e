"""Growing: a doubling begins as what was there, follows from the images shown, and survives a resume in its middle."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import CLASSES, advance, build, differences, make_trainer
from torch import Tensor
from torch.nn import functional as F

from simulacra.config import updated
from simulacra.gan import Batch
from simulacra.gans.progan import SHORT_STAGE, with_pace
from simulacra.gans.progan_networks import STAGE, Growth, box_average, repeat_pixels, widths
from simulacra.layers import EqualisedConv2d, EqualisedLinear, minibatch_stddev
from simulacra.losses import gradient_norms
from simulacra.registry import configured
from simulacra.storage import load, save_model
from simulacra.training.ema import EMA

FADE, STABLE = 16, 8  # with two doublings: 0, 8, 24, 32, 48
GROWING = ["progan", "stylegan"]
PACE: dict[str, Any] = {"fade": FADE, "stable": STABLE}
every_growing_gan = pytest.mark.parametrize("name", GROWING)


def at(gan: Any, nimg: int) -> Any:
    gan.on_step_start(nimg, {"D": 0, "G": 0})
    return gan


def pictures(n: int = 4) -> Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_a_fade_takes_two_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU, autocast doubles in float32 what the networks draw in bf16."""
    monkeypatch.setattr("simulacra.gans.progan_networks.repeat_pixels", lambda x, n: repeat_pixels(x.float(), n))
    growth = at(build("progan", **PACE), 12).G.growth
    level, alpha = growth.stage()
    assert level == 1 and 0 < alpha < 1
    x, before = torch.ones(1, 3, 8, 8, dtype=torch.bfloat16), torch.zeros(1, 3, 4, 4, dtype=torch.bfloat16)
    mixture = growth.to_image(lambda level, features: features, x, before)
    assert mixture.dtype == torch.float32 and mixture.unique().tolist() == pytest.approx([alpha])


@torch.no_grad()
def fakes(gan: Any) -> Tensor:
    """Fixed pictures, whatever the mode was."""
    gan.G.eval()
    images = gan.G.synthesis(gan.G.mapping(gan.G.seeded(range(4))))
    gan.G.train()
    return images  # type: ignore[no-any-return]


# --- the clock ----------------------------------------------------------------------------------------------------


def test_the_stages() -> None:
    config = configured("progan:tiny", (3, 16, 16), PACE)[1]
    growth = Growth(config)  # type: ignore[arg-type]
    stages = {}
    for nimg in (0, 7, 8, 12, 20, 24, 31, 32, 40, 48, 10**9):
        growth.update(nimg)
        stages[nimg] = growth.stage()
    expected = {0: (0, 1), 7: (0, 1), 8: (1, 0), 12: (1, 0.25), 20: (1, 0.75), 24: (1, 1), 31: (1, 1)}
    assert stages == expected | {32: (2, 0), 40: (2, 0.5), 48: (2, 1), 10**9: (2, 1)}
    for fade, stable, first in ((0, 0, (2, 1)), (0, 8, (0, 1)), (8, 0, (1, 0))):
        growth = Growth(updated(config, {"fade": fade, "stable": stable}, of=""))  # type: ignore[arg-type]
        assert growth.stage() == first


@given(fade=st.integers(0, 9), stable=st.integers(0, 9))
def test_growth_never_goes_back(fade: int, stable: int) -> None:
    config = configured("progan:tiny", (3, 32, 32), {"fade": fade, "stable": stable})[1]
    growth, before = Growth(config), -1.0  # type: ignore[arg-type]
    for nimg in range(0, 3 * (fade + stable) + 2):
        growth.update(nimg)
        level, alpha = growth.stage()
        assert 0 <= level <= 3 and 0 <= alpha <= 1
        assert level - 1 + alpha >= before
        before = level - 1 + alpha
    assert growth.stage() == (3, 1.0)


def test_the_pace_follows_from_the_run_s_length() -> None:
    config: Any = configured("progan", (3, 32, 32), {})[1]
    assert (config.fade, config.stable) == (None, None)
    for total, length in ((1_200_000, 100_000), (60, 5), (10**9, STAGE), (None, SHORT_STAGE)):
        paced = with_pace(config, total)
        assert (paced.fade, paced.stable) == (length, length)
    assert with_pace(updated(config, {"fade": 7}, of=""), 1200) == updated(config, {"fade": 7, "stable": 100}, of="")
    paced = with_pace(config, 1200)
    growth = Growth(paced)
    growth.update(600)
    assert growth.stage() == (3, 1.0), "grown after half of the run"
    growth.update(599)
    assert growth.stage()[1] < 1


def test_the_average_has_the_paper_s_decay() -> None:
    config = configured("progan", (3, 16, 16), {})[1]
    ema = EMA(build("progan:tiny").G, config.ema)
    assert ema.decay(config.batch, 10**9) == pytest.approx(0.999, abs=1e-6)


def test_widths() -> None:
    config: Any = configured("progan:paper128", (3, 128, 128), {})[1]
    assert widths(config) == [512, 512, 512, 512, 256, 128]  # table 2 of the paper


# --- a doubling -----------------------------------------------------------------------------------------------------


@every_growing_gan
@pytest.mark.parametrize("begins", [STABLE, 2 * STABLE + FADE])
def test_a_doubling_begins_as_what_was_there(name: str, begins: int) -> None:
    """G's pictures and D's outputs just before it are those at α = 0, and neither is those at its end."""
    gan: Any = build(f"{name}:tiny", **PACE)
    before, scores = fakes(at(gan, begins - 1)), gan.D(pictures())
    growth = gan.G.growth
    level = growth.stage()[0]
    at(gan, begins)
    assert growth.stage() == (level + 1, 0.0)
    torch.testing.assert_close(fakes(gan), before)
    torch.testing.assert_close(gan.D(pictures()), scores)
    half, full = fakes(at(gan, begins + FADE // 2)), fakes(at(gan, begins + FADE))
    torch.testing.assert_close(half, (before + full) / 2)
    assert not torch.allclose(full, before, atol=1e-2)
    assert not torch.allclose(gan.D(pictures()), scores, atol=1e-3)


@every_growing_gan
def test_pictures_are_those_of_the_level_enlarged(name: str) -> None:
    gan: Any = build(f"{name}:tiny", **PACE)
    for nimg, times in ((0, 4), (STABLE + FADE, 2)):
        images = fakes(at(gan, nimg))
        assert images.shape == (4, 3, 16, 16)
        torch.testing.assert_close(images, repeat_pixels(box_average(images, times), times))
        assert box_average(images, times).flatten(2).std(2).min() > 0
        averaged = repeat_pixels(box_average(pictures(), times), times)
        torch.testing.assert_close(gan.D(pictures()), gan.D(averaged))  # D sees means of boxes
    images = fakes(at(gan, 10**6))
    assert not torch.allclose(images, repeat_pixels(box_average(images), 2), atol=1e-3)


@every_growing_gan
def test_what_is_grown_over_has_no_effect(name: str) -> None:
    gan = at(build(f"{name}:tiny", **PACE), 10**6)
    before, scores = fakes(gan), gan.D(pictures())
    with torch.no_grad():
        for layers in (gan.G.to_rgb, gan.D.from_rgb):
            for old in layers[:-1]:
                old.weight.fill_(9)
    assert torch.equal(fakes(gan), before) and torch.equal(gan.D(pictures()), scores)


@every_growing_gan
def test_reals_fade_as_fakes_do(name: str) -> None:
    gan = at(build(f"{name}:tiny", **PACE), STABLE + FADE // 4)
    growth, images = gan.G.growth, pictures()
    level = box_average(images, 2)  # 8x8, and 4x4 before
    expected = 0.25 * level + 0.75 * repeat_pixels(box_average(images, 4), 2)
    torch.testing.assert_close(box_average(growth.fade_reals(images), 2), expected)
    assert torch.equal(at(gan, 10**6).G.growth.fade_reals(images), images)


def test_the_penalty_is_that_of_the_level_s_pixels() -> None:
    """D averages repeat_pixels pictures: its gradient by them is shorter than by the pixels that it sees."""
    gan = at(build("progan:tiny", **PACE), 0)
    small, times = box_average(pictures(), 4), gan.G.growth.scale
    assert times == 4
    gan.D.levels = 0  # what is given is 4x4 already
    expected = gradient_norms(lambda x: gan.D(x), small)
    gan.D.levels = 2
    torch.testing.assert_close(gradient_norms(lambda x: times * gan.D(x), repeat_pixels(small, 4)), expected)


def test_progan_s_loss_is_its_formula() -> None:
    gan: Any = build("progan:tiny", gp=3.0, drift=0.5)
    loss, stats = gan.d_loss(Batch(pictures(), torch.arange(4) % CLASSES))
    expected = stats["fake"].mean() - stats["real"].mean()
    torch.testing.assert_close(stats["adversarial"], expected)
    torch.testing.assert_close(loss, expected + 3 * stats["penalty"] + 0.5 * stats["real"].square().mean())
    loss, stats = gan.g_loss(Batch(pictures(), None))
    torch.testing.assert_close(loss, -stats["fake"].mean())


# --- a run ----------------------------------------------------------------------------------------------------------


def stage(trainer: Any) -> tuple[int, float]:
    return trainer.gan.G.growth.stage()  # type: ignore[no-any-return]


@every_growing_gan
def test_a_resume_in_the_middle_of_a_fade_is_exact(name: str, tmp_path: Path) -> None:
    whole = advance(make_trainer(f"{name}:tiny", tmp_path, **PACE), 10)
    first = advance(make_trainer(f"{name}:tiny", tmp_path, **PACE), 4)
    assert (first.nimg, stage(first)) == (16, (1, 0.5))
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = make_trainer(f"{name}:tiny", tmp_path, **PACE)
    advance(second, 1)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(*(trainer.ema.average(trainer.ema.average.seeded([1])) for trainer in (first, second)))
    advance(second, 6)
    assert not differences(whole.state_dict(), second.state_dict())
    assert stage(whole)[0] == 2


@every_growing_gan
def test_larger_sides_take_more_microbatches(name: str, tmp_path: Path) -> None:
    trainer = make_trainer(f"{name}:tiny", tmp_path, pixels=128, **PACE)
    assert trainer.config.batch == 8
    parts, levels = list[int](), list[int]()
    for _ in range(12):
        advance(trainer, 1)
        parts.append(trainer.microbatch())
        levels.append(stage(trainer)[0])
    assert dict(zip(levels, parts, strict=True)) == {0: 8, 1: 4, 2: 4}  # 4: D compares them
    for size, most in ((64, 256), (256, 16), (1024, 4)):
        gan: Any = at(build(f"{name}:tiny", (3, size, size)), 10**9)
        assert gan.max_microbatch() == most


@every_growing_gan
@pytest.mark.parametrize("pixels", [1, 1 << 20])
def test_a_resume_is_exact_whatever_the_parts(pixels: int, name: str, tmp_path: Path) -> None:
    trainer = advance(make_trainer(f"{name}:tiny", tmp_path, pixels=pixels, **PACE), 10)
    again = advance(make_trainer(f"{name}:tiny", tmp_path, pixels=pixels, **PACE), 4)
    torch.save(again.state_dict(), tmp_path / "state.pt")
    other = make_trainer(f"{name}:tiny", tmp_path, pixels=pixels, **PACE)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert not differences(trainer.state_dict(), advance(other, 6).state_dict())


@every_growing_gan
def test_the_average_and_its_file_know_how_far_they_have_grown(name: str, tmp_path: Path) -> None:
    trainer = advance(make_trainer(f"{name}:tiny", tmp_path / "run", **PACE), 4)
    average: Any = trainer.ema.average
    assert average.growth.stage() == (1, 0.5)
    save_model(average, tmp_path / "model", gan=name, config=trainer.config, about={})
    loaded: Any = load(tmp_path / "model")
    z = average.seeded(range(3))
    assert loaded.growth.nimg == 16, "already before it has drawn anything"
    assert torch.equal(loaded(z), average(z))
    advance(trainer, 6)
    assert average.growth.stage() == (2, 0.5)
    assert not torch.equal(loaded(z), average(z))


# --- layers ---------------------------------------------------------------------------------------------------------


def test_equalised_layers_keep_the_variance_and_learn_at_one_rate() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 256)
    for inner, rate in ((256, 1.0), (64, 0.01)):
        layer = EqualisedLinear(inner, 512, rate=rate)
        assert layer.weight.std().item() == pytest.approx(1 / rate, rel=0.02)
        assert layer(x[:, :inner]).std().item() == pytest.approx(1, rel=0.05)
    convolution = EqualisedConv2d(64, 128, 3, gain=math.sqrt(2))
    assert convolution.weight.std().item() == pytest.approx(1, rel=0.02)
    maps = torch.randn(8, 64, 12, 12)
    output = convolution(maps)[:, :, 1:-1, 1:-1]
    assert output.std().item() == pytest.approx(math.sqrt(2), rel=0.05)
    scaled = F.conv2d(maps, convolution.weight * math.sqrt(2) / math.sqrt(64 * 9), convolution.bias)
    torch.testing.assert_close(output, scaled, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("n", "group"), [(8, 4), (6, 3), (5, 1), (3, 3)])
def test_minibatch_stddev_is_its_definition(n: int, group: int) -> None:
    """The deviation over a group of each number, and the mean of all those, as a map; pictures i, i + n / group, …"""
    x = torch.randn(n, 3, 2, 5)
    output = minibatch_stddev(x)
    assert torch.equal(output[:, :3], x)
    for i in range(n):
        mates = x[i % (n // group) :: n // group]
        deviation = ((mates - mates.mean(0)).square().mean(0) + 1e-8).sqrt().mean()
        torch.testing.assert_close(output[i, 3], deviation.expand(2, 5))


@every_growing_gan
def test_d_looks_at_more_than_one_picture(name: str) -> None:
    gan, x = build(f"{name}:tiny"), pictures()
    assert not torch.allclose(gan.D(x)[0], gan.D(x[:1].repeat(4, 1, 1, 1))[0], atol=1e-4)


def test_latents_have_one_length() -> None:
    generator = build("progan:tiny").G
    w = generator.mapping(generator.seeded(range(5)))
    torch.testing.assert_close(w.square().mean(1), torch.ones(5))
    torch.testing.assert_close(generator.mapping(3 * generator.seeded(range(5))), w)

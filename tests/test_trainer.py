"""The loop in numbers: average, rates, clipping, clamping, micro-batches, the clock, and what stops it."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from support import advance, build, differences, in_memory, make_trainer, noise, on_disk, snapshot
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.storage import checkpoints
from simulacra.training import trainer as trainer_module
from simulacra.training.clock import Clock
from simulacra.training.ema import EMA, RAMP
from simulacra.training.journal import Meter, read_journal
from simulacra.training.options import train
from simulacra.training.trainer import Trainer

# --- the average ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half_life", [0.0, 3.0, 40.0, 1e9])
def test_the_average_is_its_closed_sum(half_life: float) -> None:
    """average_n = Σ_k (1 - β_k) Π_{j>k} β_j w_k + Π β_j w_0 with β = ½^(shown since the last / half-life)."""
    generator = build("dcgan:tiny").G
    ema = EMA(generator, half_life)
    weights, betas = [snapshot(generator)], []
    for n in range(1, 7):
        with torch.no_grad():
            for value in generator.parameters():
                value.add_(torch.randn_like(value))
        generator.train()(generator.seeded([n, n + 1]))  # moves the running statistics
        weights.append(snapshot(generator))
        betas.append(0.5 ** (80 / min(half_life, RAMP * n * 80)) if half_life else 0.0)
        ema.update(n * 80)
    for key, value in ema.average.state_dict().items():
        if not value.is_floating_point():
            assert torch.equal(value, weights[-1][key])
            continue
        total = weights[0][key].double() * math.prod(betas)
        for k, beta in enumerate(betas):
            total += (1 - beta) * math.prod(betas[k + 1 :]) * weights[k + 1][key].double()
        torch.testing.assert_close(value.double(), total, rtol=1e-5, atol=1e-5)
        assert not value.requires_grad
        if not half_life:
            assert torch.equal(value, weights[-1][key])


def test_half_of_the_average_is_gone_after_a_half_life() -> None:
    ema = EMA(build("mlp:tiny").G, 100.0)
    assert ema.decay(100, 10**6) == pytest.approx(0.5)
    assert ema.decay(10, 10**6) ** 10 == pytest.approx(0.5)
    assert ema.decay(8, 16) == pytest.approx(0.5 ** (8 / 0.8)), "an early average is not stale"


# --- the frozen opponent, rates, clipping, clamping -----------------------------------------------------------


def test_the_opponent_gets_no_gradients(tmp_path: Path) -> None:
    """They would change no number, as each step begins without; only take time and memory."""
    trainer = make_trainer("mlp:tiny", tmp_path)

    def gradients(player: str) -> list[Tensor]:
        return [parameter.grad.clone() for parameter in trainer.parameters[player] if parameter.grad is not None]

    advance(trainer, 1)
    before = gradients("D")
    assert before and not gradients("G")
    advance(trainer, 1)
    assert all(map(torch.equal, before, gradients("D")))


def test_rates_decay_as_the_formula_says(tmp_path: Path) -> None:
    trainer = make_trainer("mlp:tiny", tmp_path, lr=1e-3, lr_d=4e-3, lr_decay=0.5, balance="fixed:2")
    advance(trainer, 6)  # the last step of D was its 4th, that of G its 2nd
    assert trainer.optimizers["D"].param_groups[0]["lr"] == pytest.approx(4e-3 / (1 + 0.5 * 3))
    assert trainer.optimizers["G"].param_groups[0]["lr"] == pytest.approx(1e-3 / (1 + 0.5 * 1))
    same = make_trainer("mlp:tiny", tmp_path, lr=1e-3)
    advance(same, 4)
    assert all(o.param_groups[0]["lr"] == 1e-3 for o in same.optimizers.values())


@pytest.mark.parametrize("clip", [0.0, 1e-4])
def test_gradients_are_clipped_by_value(clip: float, tmp_path: Path) -> None:
    trainer = make_trainer("mlp:tiny", tmp_path, clip=clip)
    for player in ("D", "G"):
        trainer.step()
        largest = max(p.grad.abs().max().item() for p in trainer.networks[player].parameters() if p.grad is not None)
        assert largest == pytest.approx(clip) if clip else largest > 1e-3


@pytest.mark.parametrize("clamp", [0.01, 0.1])
def test_wgan_s_weights_stay_within_c(clamp: float, tmp_path: Path) -> None:
    trainer = make_trainer("wgan:tiny", tmp_path, clamp=clamp, lr=0.05)
    for _ in range(9):
        player = trainer.balance.next()
        trainer.step()
        if player == "D":
            sizes = torch.stack([p.abs().max() for p in trainer.gan.D.parameters()])
            assert sizes.max().item() == pytest.approx(clamp), "and they are driven there"
    assert max(p.abs().max().item() for p in trainer.gan.G.parameters()) > clamp


@pytest.mark.parametrize(("optimizer", "kind"), [("adam", torch.optim.Adam), ("rmsprop", torch.optim.RMSprop)])
def test_optimizers_are_what_the_settings_say(optimizer: str, kind: type) -> None:
    betas: dict[str, Any] = {"betas": (0.1, 0.7)} if optimizer == "adam" else {}
    optimizers = build("mlp:tiny", optimizer=optimizer, lr=0.3, lr_d=0.1, **betas).optimizers()
    assert all(isinstance(one, kind) for one in optimizers.values()) and set(optimizers) == set("DG")
    assert optimizers["D"].param_groups[0]["lr"] == 0.1
    assert optimizers["G"].param_groups[0]["lr"] == 0.3
    if optimizer == "adam":
        assert optimizers["D"].param_groups[0]["betas"] == (0.1, 0.7)


# --- micro-batches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("micro", [8, 4, 3])
def test_gradients_of_micro_batches_add_up(micro: int, tmp_path: Path) -> None:
    """The gradient of a batch is the mean of its parts', weighted by their size. G's step draws its own latents per
    part, so D's is compared, with the fakes taken out."""
    spec: dict[str, Any] = {"z": 4, "batch": 8, "hidden": (16,)}
    whole, parts = (make_trainer("mlp:tiny", tmp_path, micro=m, **spec) for m in (8, micro))
    for trainer in (whole, parts):
        trainer.gan.generate = lambda batch, grad=True: torch.zeros(len(batch.images), 3, 16, 16)  # type: ignore[method-assign,misc]
        trainer.step()
    for one, other in zip(whole.gan.D.parameters(), parts.gan.D.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-7)
    assert parts.nimg == 8
    stats = [t.meter.read() for t in (whole, parts)]
    assert stats[1]["D(x)"] == pytest.approx(stats[0]["D(x)"], rel=1e-4)
    assert stats[1]["d_loss"] == pytest.approx(stats[0]["d_loss"], rel=1e-4)


# --- the clock ----------------------------------------------------------------------------------------------------


def run_to(
    trainer: Trainer, total: int | None, tick: int = 24, save: int = 40, **options: Any
) -> tuple[bool, list[int]]:
    ticks: list[int] = []
    rare = {name: options.pop(name, None) for name in ("minutes", "tick_seconds", "measure")}
    clock = Clock(total=total, tick=tick, save=save, **rare)
    ended = trainer.fit(clock, on_tick=lambda line: ticks.append(line["nimg"]), **options)
    return ended, ticks


def test_the_clock_is_images_shown(tmp_path: Path) -> None:
    trainer = make_trainer("mlp:tiny", tmp_path, batch=8)
    saves: list[int] = []

    def saved(measure: bool) -> bool:
        saves.append(trainer.nimg)
        return False

    ended, ticks = run_to(trainer, 100, on_checkpoint=saved)
    assert ended
    assert trainer.nimg == 104, "the first multiple of the batch at or past the length"
    assert ticks == [24, 48, 72, 96, 104]
    assert saves == [40, 80, 104]
    assert [int(path.name) for path in checkpoints(tmp_path)] == saves
    assert run_to(trainer, 100) == (True, []), "a run at its end takes no more steps"
    assert trainer.nimg == 104


def test_measuring_comes_at_its_own_callsand_may_end_the_run(tmp_path: Path) -> None:
    trainer = make_trainer("mlp:tiny", tmp_path, batch=8)
    calls: list[tuple[int, bool]] = []

    def saved(measure: bool) -> bool:
        calls.append((trainer.nimg, measure))
        return trainer.nimg >= 64

    assert run_to(trainer, 100, measure=32, on_checkpoint=saved)[0]
    assert calls == [(32, True), (40, False), (64, True)]


def test_a_run_by_minutes_ends_by_them(tmp_path: Path) -> None:
    trainer = make_trainer("mlp:tiny", tmp_path, batch=8)
    trainer.seconds = 59.9
    ended, ticks = run_to(trainer, None, minutes=1.0)
    assert ended
    assert ticks[-1] == trainer.nimg, "after a step of either player"
    assert trainer.nimg > 0 and 60 <= trainer.seconds < 90


def test_minutes_are_counted_by_the_clock_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(step=4.0)
    monkeypatch.setattr(trainer_module, "seconds_now", lambda: next(ticks))
    trainer = make_trainer("mlp:tiny", tmp_path, batch=8)
    assert run_to(trainer, None, minutes=1.0)[0]
    assert sum(trainer.steps.values()) < 15 and trainer.seconds >= 60


def test_a_slow_run_ticks_by_seconds(tmp_path: Path) -> None:
    trainer = make_trainer("mlp:tiny", tmp_path, batch=8)
    assert run_to(trainer, 64, tick=48, tick_seconds=1e-9)[1] == [8, 16, 24, 32, 40, 48, 56, 64]
    assert run_to(trainer, 128, tick=48, tick_seconds=3600)[1] == [96, 128]


def test_a_stop_saves_what_was_trained(tmp_path: Path) -> None:
    trainer = make_trainer("mlp:tiny", tmp_path, batch=8)
    ended, _ = run_to(trainer, 1000, save=10_000, should_stop=lambda: trainer.nimg >= 56)
    assert not ended
    assert [int(path.name) for path in checkpoints(tmp_path)] == [56]


def test_a_checkpoint_comes_by_time_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "SAVE_SECONDS", 0)
    run_to(make_trainer("mlp:tiny", tmp_path, batch=8), 32, save=10_000)
    assert [int(path.name) for path in checkpoints(tmp_path)] == [8, 16, 24, 32]


def test_the_journal_s_means(tmp_path: Path) -> None:
    meter = Meter()
    sure = {"real": torch.tensor([100.0, 100.0]), "fake": torch.tensor([-100.0, 100.0])}
    meter.add_step("D", torch.tensor(1.0), sure, critic=False)
    meter.add_step("D", torch.tensor(2.0), sure | {"penalty": torch.tensor(3.0)}, critic=False)
    meter.add_step("G", torch.tensor(7.0), {"fake": sure["fake"]}, critic=False)
    expected = {"d_loss": 1.5, "g_loss": 7.0, "D(x)": 1.0, "D(G(z)) before": 0.5, "D(G(z)) after": 0.5}
    assert meter.read() == expected | {"acc_d": 0.75, "acc_g": 0.5, "penalty": 3.0}
    assert Meter().read() == {}


# --- what stops it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("player", ["D", "G"])
def test_a_loss_that_is_not_finite_stops_at_once(player: str, bad: float, tmp_path: Path) -> None:
    trainer = make_trainer("mlp:tiny", tmp_path, batch=8)
    honest, at = trainer.losses[player], {"D": 10, "G": 11}[player]

    def loss(batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        value, stats = honest(batch)
        return value * (bad if sum(trainer.steps.values()) == at else 1), stats

    trainer.losses[player] = loss
    with pytest.raises(SimulacraError) as stopped:
        run_to(trainer, 1000, save=16)
    (last,) = checkpoints(tmp_path)[-1:]
    assert f"at step {at} " in str(stopped.value)
    assert str(last) in str(stopped.value)
    assert sum(trainer.steps.values()) == at + 1
    assert int(last.name) == {"D": 32, "G": 48}[player]
    state = torch.load(last / "state.pt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in state["gan"].values())


def test_no_checkpoint_of_a_gradient_that_was_not_finite(tmp_path: Path) -> None:
    """The loss of that very step was finite: only the weights show it."""
    trainer = make_trainer("mlp:tiny", tmp_path, batch=8)
    honest = trainer.losses["D"]

    def loss(batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        value, stats = honest(batch)
        if trainer.nimg == 32:
            corner = sum((p.sum() * 0 for p in trainer.gan.D.parameters()), torch.zeros(()))
            value = value + corner.abs().sqrt()  # the root's slope at 0 is infinite: 0 times it is NaN
        return value, stats

    trainer.losses["D"] = loss
    with pytest.raises(SimulacraError, match=r"NaN or infinite at step 8 .*000000032"):
        run_to(trainer, 1000, tick=8, save=8)
    assert [int(path.name) for path in checkpoints(tmp_path)] == [8, 16, 24, 32]


@pytest.mark.parametrize("every", [1, 5])
def test_losses_not_looked_at_yet_are_looked_at_before_a_save(every: int, tmp_path: Path) -> None:
    """On an accelerator losses are read a few steps late, but never after a checkpoint was written."""
    trainer = make_trainer("mlp:tiny", tmp_path, batch=8)
    trainer.loss_watch.every, add = 32, trainer.loss_watch.add
    trainer.loss_watch.add = lambda step, loss: add(step, loss * float("nan") if step == 3 else loss)  # type: ignore[method-assign]
    with pytest.raises(SimulacraError, match="at step 3 "):
        run_to(trainer, 1000, tick=10_000, save=8 * every)
    assert all(int(path.name) <= 16 for path in checkpoints(tmp_path))


def test_the_feed_and_the_seed_make_the_run_whatever_came_before(tmp_path: Path) -> None:
    data = on_disk(tmp_path / "data", noise(24))
    options: dict[str, Any] = {"gan": "mlp:tiny", "total": 96, "every": 32, "quiet": True, "device": "cpu"}
    options |= {"precision": "fp32", "settings": {"batch": 8}}
    runs = [train(data, run=tmp_path / name, seed=seed, **options) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    journals = [read_journal(run / "journal.jsonl") for run in runs]
    assert [line["nimg"] for line in journals[0]] == [32, 64, 96]
    assert not differences(journals[0], journals[1])
    assert differences(journals[0], journals[2])
    first, second = ([p.read_bytes() for p in sorted((run / "previews").iterdir())] for run in runs[:2])
    assert first == second and len(first) == 4
    assert in_memory(noise(24)).hash == in_memory(noise(24)).hash != in_memory(noise(24, seed=1)).hash

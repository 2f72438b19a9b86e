"""How fast a run is said to be, how long it is, and what follows: scores, schedules, and what to do at the end."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support import (
    CPU,
    Cli,
    differences,
    labelled,
    make_trainer,
    noise,
    on_disk,
    pair_on_disk,
    state,
)

from simulacra.data.dataset import Dataset, Pair
from simulacra.files import read_json
from simulacra.plugins.harness import in_memory
from simulacra.training import forecast as forecasts
from simulacra.training import trainer as trainers
from simulacra.training.auto import GAN
from simulacra.training.forecast import duration, forecast, images_per_second, longer, sentences
from simulacra.training.journal import read_journal
from simulacra.training.lengths import FIRST, GOOD, ImagesNeeded, images_needed, is_drawn
from simulacra.training.options import TrainOptions, train
from simulacra.training.plan import Plan, plan
from simulacra.training.readback import LossWatch
from simulacra.training.run import Run
from simulacra.training.run import make_trainer as trainer_of

QUICK: dict[str, Any] = {"features": 8, "features_max": 16, "batch": 8, "z": 4}


def drawings(n: int = 24, side: int = 32) -> NDArray[np.uint8]:
    """Pictures of squares on white."""
    images = np.full((n, side, side, 3), 255, np.uint8)
    for i in range(n):
        images[i, i % 8 : i % 8 + 6, 4:12] = (i * 9 % 256, 40, 90)
    return images


def cpu_forecast(data: Path, settings: dict[str, Any] | None = None, **options: Any) -> Plan:
    return forecast(data, TrainOptions(**options), settings or {}, lambda trial: trainer_of(trial, CPU)[0])


@pytest.fixture
def of_speed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretends that runs have a speed."""

    def pretend(speed: float) -> None:
        monkeypatch.setattr(forecasts, "images_per_second", lambda trial, total: speed)

    return pretend


# --- lengths ------------------------------------------------------------------------------------------------------


def test_larger_sides_larger_batches_and_photos_need_more_images() -> None:
    flat, busy = in_memory(drawings()), in_memory(noise(8, (3, 32, 32)))
    cut_out = np.zeros((8, 32, 32, 3), np.uint8)
    cut_out[:, 8:24, 8:24] = noise(8, (3, 16, 16))
    assert is_drawn(flat) and not is_drawn(busy) and not is_drawn(in_memory(cut_out))
    assert images_needed(flat, 16) == ImagesNeeded(FIRST, GOOD)
    assert images_needed(busy, 16) == ImagesNeeded(2 * FIRST, 2 * GOOD)
    assert images_needed(in_memory(drawings(side=64)), 16).good == 1.5 * GOOD == images_needed(flat, 16, side=64).good
    assert images_needed(flat, 64).good > 2 * GOOD and images_needed(flat, 4).good == GOOD


def test_the_choice_of_auto_is_as_long_as_its_learning_takes(tmp_path: Path) -> None:
    data = on_disk(tmp_path / "d", drawings())
    run = tmp_path / "run"
    assert plan(data, TrainOptions(run=run)).clock.total == GOOD
    assert plan(data, TrainOptions(run=run, gan=GAN)).clock.total == GOOD
    assert plan(data, TrainOptions(run=run, epochs=2)).clock.total == 48
    assert plan(data, TrainOptions(run=run), {"epochs": "3"}).clock.total == 72
    assert (
        plan(data, TrainOptions(run=run, gan="mlp")).clock.total
        == 24 * plan(data, TrainOptions(gan="mlp")).config.epochs
    )


# --- the speed ----------------------------------------------------------------------------------------------------


def kinds() -> dict[str, Dataset | Pair]:
    """Data sets of every kind, of several sizes."""
    classes = labelled(drawings(80, 16), 3)
    return {"few": in_memory(drawings(9)), "photos": in_memory(noise(30, (3, 64, 64))), "grey": in_memory(noise(30, (1, 16, 24))), "classes": classes}  # fmt: skip


@pytest.mark.parametrize("kind", ["few", "photos", "grey", "classes", "pair"])
def test_the_forecast_is_within_a_factor_of_two(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainers, "seconds_now", time.process_time)
    if kind == "pair":
        data = pair_on_disk(tmp_path / "d", noise(12), noise(12, seed=1))
        settings = {"features": 8, "fine": 4, "batch": 4, "pool": 8}
    else:
        chosen = kinds()[kind]
        assert isinstance(chosen, Dataset)
        data, settings = on_disk(tmp_path / "d", chosen.images, chosen.labels), QUICK
    resolved = cpu_forecast(data, settings, run=tmp_path / "run", minutes=1)
    assert resolved.speed and resolved.reasons
    run, _ = trainer_of(resolved, CPU)
    began = time.process_time()
    while time.process_time() - began < 0.7 or run.steps["D"] < 8:
        run.step()
    assert resolved.speed / 2 < run.nimg / (time.process_time() - began) < 2 * resolved.speed


@pytest.mark.parametrize("form", ["r3gan:tiny+labels", "stylegan2:tiny", "progan:tiny", "cyclegan:tiny-unet"])
def test_the_speed_of_gans_that_change_with_time(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasts, "ROUNDS", 2)
    assert 1 < images_per_second(make_trainer(form, tmp_path), 4000) < 1e6


def test_the_adaptive_balance_may_give_all_rounds_to_g(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasts, "ROUNDS", 2)
    trial = make_trainer("dcgan:tiny", tmp_path, balance="adaptive")
    monkeypatch.setattr(trial.balance, "next", lambda: "G")
    assert 1 < images_per_second(trial, 4000) < 1e6


def test_lazy_penalties_count_by_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    trial = make_trainer("r3gan:tiny", tmp_path, batch=8, lazy=4)
    monkeypatch.setattr(trainers, "seconds_now", lambda: now)

    def step() -> None:
        nonlocal now
        player = trial.balance.next()
        trial.gan.on_step_start(trial.nimg, trial.steps)
        now += 0.01 if player == "G" else 0.07 if trial.gan.due else 0.03
        trial.steps[player] += 1
        trial.nimg += 8 * (player == "D")
        trial.balance.update(player, {})

    monkeypatch.setattr(trial, "step", step)
    assert images_per_second(trial, 4000) == pytest.approx(8 / (0.01 + 0.07 / 4 + 0.03 * 3 / 4))


@pytest.mark.parametrize("spec", ["r3gan:tiny", "cgan:tiny"])
def test_a_run_is_the_same_with_and_without_a_forecast(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = on_disk(tmp_path / "d", drawings(24, 16), np.arange(24) % 3)
    options: dict[str, Any] = {"gan": spec, "total": 48, "quiet": True, "device": "cpu", "settings": {"batch": 8}}
    plain = train(data, run=tmp_path / "plain", **options)
    monkeypatch.setattr(forecasts, "FEW_STEPS", 0)
    assert cpu_forecast(data, {"batch": 8}, gan=spec, total=48, run=tmp_path / "other").speed
    assert not differences(state(plain), state(train(data, run=tmp_path / "forecast", **options)))


def test_a_run_that_diverges_at_once_has_no_forecast_and_says_why_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LossWatch, "add", lambda self, step, loss: step)
    resolved = cpu_forecast(on_disk(tmp_path / "d", drawings()), QUICK, run=tmp_path / "run", minutes=1)
    assert resolved.speed is None and resolved.clock.schedule is None and not sentences(resolved)


# --- schedules ----------------------------------------------------------------------------------------------------


def test_schedules_end_with_the_minutes_and_stay_in_every_session(tmp_path: Path) -> None:
    data, run = on_disk(tmp_path / "d", drawings(24, 16)), tmp_path / "run"
    train(data, run=run, minutes=0.005, quiet=True, settings=QUICK, device="cpu")
    stored = read_json(run / "config.json")
    length = stored["length"]["schedule"]
    assert length == stored["config"]["burn_in"] > 0 and length % 8 == 0
    for again in (plan(run), cpu_forecast(data, QUICK, run=run, minutes=0.05), plan(run, TrainOptions(total="2M"))):
        assert again.resumed and again.clock.schedule == length
        assert again.config.burn_in == length  # type: ignore[attr-defined]
    train(data, gan=GAN, run=run, minutes=0.01, quiet=True, settings=QUICK, device="cpu")
    assert read_json(run / "config.json")["length"]["schedule"] == length


def test_growth_is_laid_out_for_the_minutes(tmp_path: Path, of_speed: Any) -> None:
    data = on_disk(tmp_path / "d", drawings(24, 16))
    of_speed(1000.0)
    config = cpu_forecast(data, gan="progan", run=tmp_path / "run", minutes=10).config
    assert config.fade == config.stable == 570_000 // 2 // 4  # type: ignore[attr-defined]


def test_an_interrupted_run_with_a_forecast_ends_the_same(tmp_path: Path) -> None:
    data = on_disk(tmp_path / "d", drawings(24, 16))
    whole = train(data, run=tmp_path / "whole", total=96, quiet=True, settings=QUICK, device="cpu")
    begun = plan(data, TrainOptions(run=tmp_path / "parts", total=96, device="cpu"), QUICK)
    run = Run(begun, CPU)
    run.prepare_folder()
    assert not run.execute(lambda: run.trainer.nimg >= 40)
    train(tmp_path / "parts", quiet=True, device="cpu")
    assert not differences(state(whole), state(tmp_path / "parts"))


# --- scores while training ----------------------------------------------------------------------------------------


def test_scores_are_taken_where_they_cost_little(tmp_path: Path, of_speed: Any) -> None:
    data, run = on_disk(tmp_path / "d", drawings()), tmp_path / "run"
    of_speed(200.0)
    long = cpu_forecast(data, run=run, total="400k")
    assert long.clock.measure and 5 <= 400_000 / long.clock.measure <= 20 and long.clock.measure % 16 == 0
    hour = cpu_forecast(data, run=run, minutes=60)
    assert hour.clock.measure and hour.patience == 8 and long.patience < 400_000 / long.clock.measure
    assert cpu_forecast(data, run=run, total="400k", patience=30).patience == 30
    for never in ({"total": "100k"}, {"minutes": 5}, {"total": "400k", "measure_every": 0}):
        assert not cpu_forecast(data, run=run, **never).clock.measure
    assert cpu_forecast(data, run=run, measure_every="9k").clock.measure == 9000
    pair = pair_on_disk(tmp_path / "p", noise(12), noise(12, seed=1))
    assert cpu_forecast(pair, run=run, total="900k").clock.measure is None


@pytest.mark.parametrize(
    ("options", "compiled"),
    [
        ({"gan": "r3gan", "minutes": 20}, True),
        ({"gan": "r3gan", "minutes": 9}, False),
        ({"gan": "r3gan", "minutes": 20, "compile": False}, False),
        ({"gan": "r3gan", "minutes": 20, "micro": 4}, False),
        ({"gan": "progan", "minutes": 20}, False),
    ],
    ids=str,
)
def test_long_runs_compile_their_steps(
    options: dict[str, Any], compiled: bool, tmp_path: Path, of_speed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_speed(100.0)
    data = on_disk(tmp_path / "data", drawings())
    monkeypatch.setattr(shutil, "which", lambda name: name)
    assert cpu_forecast(data, run=tmp_path / "run", **options).compile == compiled
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert not cpu_forecast(data, run=tmp_path / "run", **options).compile


def test_a_short_run_that_is_made_long_is_scored_from_then_on(tmp_path: Path) -> None:
    data, run = on_disk(tmp_path / "d", drawings(24, 16)), tmp_path / "run"
    train(data, run=run, total=64, quiet=True, settings=QUICK, device="cpu")
    assert cpu_forecast(run, minutes=60).clock.measure
    assert cpu_forecast(run).clock.measure is None and cpu_forecast(run, minutes=1).clock.measure is None
    train(run, total=72, measure_every=0, quiet=True, device="cpu")
    assert cpu_forecast(run, minutes=60).clock.measure == 0, "never means never"


# --- sentences ----------------------------------------------------------------------------------------------------


def test_what_to_expect_is_said(tmp_path: Path, of_speed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    data, run = on_disk(tmp_path / "d", drawings()), tmp_path / "run"
    of_speed(210.0)
    said = [str(sentence) for sentence in sentences(cpu_forecast(data, run=run))]
    assert said == [
        "About 210 pictures a second here: first shapes in 75 seconds, good pictures in 17 minutes (200,000 pictures shown); "
        "it stops by itself when scores no longer improve. Ctrl-C at any time: it is saved, and the same command resumes."
    ]
    (given,) = sentences(cpu_forecast(data, run=run, minutes=5, patience=0))
    assert "59,856 pictures in 5 minutes. First shapes take 75 seconds here, good pictures 17 minutes." in str(given)
    (named,) = sentences(cpu_forecast(data, {"batch": 8}, run=run, gan="mlp", total=20_000))
    assert str(named) == "About 210 pictures a second here: 20,000 pictures in 2 minutes."
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    few = sentences(cpu_forecast(data, run=run, minutes=5, threads=1))[1]
    assert str(few) == "Uses 1 of 8 processor threads; --threads N chooses others."


def test_a_size_that_takes_too_long_is_said_with_one_that_does_not(
    tmp_path: Path, of_speed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    data = on_disk(tmp_path / "d", drawings(8, 128))
    of_speed(30.0)
    expected, advice = sentences(cpu_forecast(data, run=tmp_path / "run"))
    assert "good pictures in 4.4 hours" in str(expected)
    assert "128 px are many for this machine. 64 px would take 44 minutes" in str(advice) and "--size 64" in str(advice)
    of_speed(100.0)
    assert len(sentences(cpu_forecast(data, run=tmp_path / "run"))) == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 second"), (80, "80 seconds"), (100, "2 minutes"), (5300, "88 minutes"), (5400, "1.5 hours"), (1e5, "28 hours"), (2e5, "2.3 days"), (1e6, "12 days")],
)  # fmt: skip
def test_durations_are_in_one_unit(seconds: float, words: str) -> None:
    assert str(duration(seconds)) == words


def test_a_run_that_still_improves_says_how_to_go_on(
    run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    on_disk(Path("things"), drawings(24, 16))
    words = [f"{name}={value}" for name, value in QUICK.items()]
    status, out, err = run_cli("train", "things", "--total", "64", "--run", "run", *words)
    assert status == 0 and "Still improving: simulacra train run --minutes 1 trains on" in out, err
    before, line = plan("run"), read_journal(Path("run/journal.jsonl"))[-1]
    minutes = round(line["seconds"] / 60 + 0.005, 4)
    status, out, err = run_cli("train", "run", "--minutes", str(minutes))
    assert status == 0 and "Done" in out, err
    after = plan("run")
    assert after.clock.minutes == minutes and after.clock.total is None and after.config == before.config
    assert read_journal(Path("run/journal.jsonl"))[-1]["nimg"] > line["nimg"] == 64


def test_scores_say_whether_a_run_still_improves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = plan(on_disk(tmp_path / "d", drawings()), TrainOptions(run=tmp_path / "run", measure_every=16))
    monkeypatch.setattr(forecasts, "read_scores", lambda folder: [{}, {}, {}])
    for since, improves in ((0, True), (1, False)):
        monkeypatch.setattr(forecasts, "since_best", lambda folder, since=since: since)
        assert (longer(resolved, GOOD, 600) is not None) == improves
    monkeypatch.setattr(forecasts, "read_scores", lambda folder: [])
    assert longer(resolved, GOOD, 600) is None, "good by the images shown"
    advice = longer(resolved, GOOD - 1, 601)
    assert advice and advice.values["minutes"] == 21
    assert longer(replace(resolved, needed=None), 1, 600) is None, "nothing is known of other settings"


# --- the plan of auto ---------------------------------------------------------------------------------------------


def test_naming_the_gan_that_auto_picks_keeps_its_settings(tmp_path: Path) -> None:
    data, run = on_disk(tmp_path / "d", drawings()), tmp_path / "run"
    auto = plan(data, TrainOptions(run=run), {"lr": 5e-4})
    named = plan(data, TrainOptions(run=run, gan=GAN), {"lr": 5e-4})
    assert named.config == auto.config and named.config.lr == 5e-4
    assert named.reasons[0] != auto.reasons[0] and named.reasons[1:] == auto.reasons[1:]
    pure = plan(data, TrainOptions(run=run, gan=f"{GAN}:defaults"))
    assert pure.config == replace(pure.gan.Config(), shape=(3, 32, 32)) and not pure.reasons and pure.needed is None


def test_an_existing_run_is_resumed_by_the_name_of_its_gan(tmp_path: Path) -> None:
    data, run = on_disk(tmp_path / "d", drawings(24, 16)), tmp_path / "run"
    train(data, run=run, total=16, quiet=True, settings=QUICK, gan=f"{GAN}:defaults", device="cpu")
    assert plan(data, TrainOptions(run=run, gan=f"{GAN}:defaults", total=32)).resumed
    auto = tmp_path / "auto"
    train(data, run=auto, total=16, quiet=True, settings=QUICK, device="cpu")
    for gan in (None, GAN, "auto"):
        assert plan(data, TrainOptions(run=auto, gan=gan, total=32)).config.batch == 8


def test_a_dry_run_shows_first_what_auto_changed(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    on_disk(Path("things"), drawings())
    out = run_cli("train", "things", "--dry-run", "batch=8", "features=4")[1]
    lines = out.splitlines()
    resolved = plan("things", settings={"batch": 8, "features": 4})
    changed = next(i for i, line in enumerate(lines) if "lazy=4" in line)
    length = next(i for i, line in enumerate(lines) if line.startswith("length: 200,000"))
    own = next(i for i, line in enumerate(lines) if line.strip() == "batch=8")
    assert changed < length < own and "batch" not in lines[changed]
    assert "About" in lines[length + 1] and "minutes" in lines[length + 1] + " minutes"
    for group, reason in resolved.choice.groups if resolved.choice else ():
        if reason in resolved.reasons and any(
            getattr(resolved.config, name) != getattr(resolved.gan.Config(), name) for name in group
        ):
            assert any(f": {reason}" in line for line in lines)
    assert sum("lazy=4" in line for line in lines) == 1, "said once"

"""Observers: which calls they get, that they change nothing that is computed, and that a faulty one loses no run."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import differences, noise, on_disk, refused, state

import simulacra
from simulacra.errors import SimulacraError
from simulacra.training.curves import stills
from simulacra.training.journal import read_journal
from simulacra.training.observers import Observer, TensorBoard, WandB, named_observers
from simulacra.training.options import train
from simulacra.training.run import Run
from simulacra.training.run_records import JournalLine, RollbackRecord
from simulacra.training.trainer import Trainer

OPTIONS: dict[str, Any] = {"gan": "mlp:tiny", "every": 16, "save_every": 32, "total": 64, "quiet": True, "seed": 5}
OPTIONS |= {"device": "cpu", "precision": "fp32", "batch": 8}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return on_disk(tmp_path_factory.mktemp("data") / "tiny", noise(24))


class Recorder(Observer):
    """Notes every event; disturbs all sources of random numbers."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def note(self, *event: Any) -> None:
        self.events.append(event)
        torch.manual_seed(len(self.events)), torch.randn(7), np.random.seed(1), random.seed(1)

    def started(self, run: Run) -> None:
        self.note("started", run.plan.spec)

    def step(self, trainer: Trainer) -> None:
        self.note("step", trainer.nimg)

    def tick(self, line: JournalLine) -> None:
        self.note("tick", line["nimg"])

    def checkpoint(self, folder: Path, nimg: int) -> None:
        assert (folder / "state.pt").is_file()
        self.note("checkpoint", nimg)

    def rollback(self, record: RollbackRecord) -> None:
        self.note("rollback", record["from"], record["to"])

    def finished(self, ended: bool, error: BaseException | None = None) -> None:
        self.note("finished", ended, error)


def test_a_long_first_tick_has_early_previews_which_change_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = OPTIONS | {"every": 1024, "total": 1024, "save_every": 1024}
    run = train(data, run=tmp_path / "run", **options)
    assert [path.stem.lstrip("0") for path in stills(run)] == ["64", "128", "256", "512", "1024"]
    monkeypatch.setattr("simulacra.training.observers.EARLY_STEPS", 1000)
    plain = train(data, run=tmp_path / "plain", **options)
    assert [path.stem.lstrip("0") for path in stills(plain)] == ["1024"]
    assert not differences(state(plain), state(run))


def test_events_come_in_order_and_nothing_computed_changes(data: Path, tmp_path: Path) -> None:
    observer = Recorder()
    watched = train(data, run=tmp_path / "watched", observers=[observer], **OPTIONS)
    plain = train(data, run=tmp_path / "plain", **OPTIONS)
    assert not differences(state(plain), state(watched))
    assert not differences(read_journal(plain / "journal.jsonl"), read_journal(watched / "journal.jsonl"))
    previews = [[path.read_bytes() for path in sorted((run / "previews").iterdir())] for run in (plain, watched)]
    assert previews[0] == previews[1]
    rare = [event for event in observer.events if event[0] != "step"]
    assert rare == [
        ("started", "mlp:tiny"),
        ("tick", 16),
        ("tick", 32),
        ("checkpoint", 32),
        ("tick", 48),
        ("tick", 64),
        ("checkpoint", 64),
        ("finished", True, None),
    ]
    assert observer.events.count(("step", 8)) == 2, "a step of D, and one of G on the same clock"


def test_a_rollback_and_an_error_are_told(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, seed = Trainer.step, OPTIONS["seed"]

    def step(self: Trainer) -> None:
        if self.nimg >= 48 and (self.seed == seed or self.nimg >= 56):
            with torch.no_grad():
                next(self.gan.D.parameters()).fill_(float("nan"))
        honest(self)

    monkeypatch.setattr(Trainer, "step", step)
    observer = Recorder()
    with pytest.raises(SimulacraError) as caught:
        train(data, run=tmp_path / "run", rollback=1, observers=[observer], **OPTIONS)
    assert caught.value.code == "train.no_rollback_left"
    assert ("rollback", 48, 32) in observer.events
    assert observer.events[-1] == ("finished", False, caught.value)


class Broken(Observer):
    """Fails at its second tick."""

    ticks = 0

    def tick(self, line: JournalLine) -> None:
        self.ticks += 1
        if self.ticks == 2:
            raise ValueError("out of ink")


def test_one_that_fails_is_dropped_with_a_warning(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, observer = Broken(), Recorder()
    run = train(data, run=tmp_path / "run", observers=[broken, observer], **OPTIONS)
    error = capsys.readouterr().err
    assert error.count("Broken") == 1 and "out of ink" in error
    assert broken.ticks == 2 and observer.events[-1] == ("finished", True, None)
    assert [line["nimg"] for line in read_journal(run / "journal.jsonl")] == [16, 32, 48, 64]


class Impatient(Observer):
    def tick(self, line: JournalLine) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_in_an_observer_is_ctrl_c(data: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(data, run=tmp_path / "run", observers=[Impatient()], **OPTIONS)


# --- TensorBoard and Weights & Biases --------------------------------------------------------------------------------


def test_names_of_observers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named_observers(None) == named_observers("") == []
    with pytest.raises(SimulacraError) as caught:
        named_observers("tensorbord")
    assert caught.value.code == "train.unknown_observer" and "tensorboard" in str(caught.value)
    for name in ("torch.utils.tensorboard", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("tensorboard", "wandb"):
        with refused("train.observer_missing", extra=name):
            named_observers(name)


def test_tensorboard_has_the_journal_and_the_previews(data: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = train(data, run=tmp_path / "run", observe="tensorboard", **OPTIONS)
    train(run, total=96, quiet=True, observe="tensorboard")
    events = accumulator.EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    lines = read_journal(run / "journal.jsonl")
    assert [(event.step, event.value) for event in events.Scalars("d_loss")] == [
        (line["nimg"], pytest.approx(line["d_loss"])) for line in lines
    ]
    assert len(events.Images("previews")) > 1
    assert TensorBoard(tmp_path / "elsewhere").folder == tmp_path / "elsewhere"


def test_wandb_is_offline_unless_told_otherwise(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = train(data, run=tmp_path / "run", observe="wandb", **OPTIONS)
    (folder,) = (run / "wandb").glob("offline-run-*")
    assert list(folder.glob("*.wandb"))
    assert WandB("mine").options == {"project": "mine", "mode": "offline"}


# --- one class, two doors --------------------------------------------------------------------------------------------


def test_config_says_its_task(data: Path, tmp_path: Path) -> None:
    run = simulacra.train(data, run=tmp_path / "run", **OPTIONS)
    assert json.loads((run / "config.json").read_text())["task"] == "draw"

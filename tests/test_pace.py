"""The pace of a run: paused, stepped and slowed from outside, it ends as if nothing had been."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import noise, on_disk

import simulacra
from simulacra.errors import SimulacraError
from simulacra.training import pace
from simulacra.training.journal import read_journal
from simulacra.training.observers import Observer
from simulacra.training.trainer import Trainer

HOW: dict[str, Any] = {"gan": "mlp:tiny", "total": 320, "device": "cpu", "threads": 1, "precision": "fp32", "seed": 3}


class Pause(Observer):
    """Asks for a pause after the fifth step, which the sixth follows."""

    def __init__(self, run: Path) -> None:
        self.run, self.number = run, 0

    def step(self, trainer: Trainer) -> None:
        """Ask once."""
        if sum(trainer.steps.values()) == 5:
            self.number = pace.order(self.run, "paused")


def followed(run: Path, number: int) -> pace.Now:
    """The state of a run once it follows an order."""
    until = time.monotonic() + 30
    while (now := pace.now(run)) is None or now["number"] != number:
        assert time.monotonic() < until
        time.sleep(0.01)
    return now


def test_pauses_steps_and_slow_motion_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SLOW", 0.2)
    data = on_disk(tmp_path / "data", noise(40, (3, 16, 16)))
    simulacra.train(data, run=tmp_path / "plain", **HOW)
    run = tmp_path / "paced"
    moments: list[Any] = []
    asker = Pause(run)

    def studio() -> None:
        while not asker.number:
            time.sleep(0.01)
        moments.append(followed(run, asker.number))
        time.sleep(1)
        moments.append(pace.now(run))  # nothing has moved
        for steps in (1, 3, 0):
            moments.append(followed(run, pace.order(run, "paused", steps)))
        with Image.open(run / pace.FOLDER / pace.PICTURE) as picture:
            moments.append(picture.size)
        slow = pace.order(run, "slow")
        first = followed(run, slow)
        while (then := pace.now(run)) is not None and then["steps"] == first["steps"]:
            time.sleep(0.01)
        moments.append(then and sum(then["steps"].values()) - sum(first["steps"].values()))
        pace.order(run, "full")

    thread = threading.Thread(target=studio)
    thread.start()
    simulacra.train(data, run=run, observers=[asker], **HOW)
    thread.join()
    sums = [sum(moment["steps"].values()) for moment in moments[:5]]
    assert sums == [6, 6, 7, 10, 10] and moments[0] == moments[1]
    assert {"d_loss", "g_loss"} == moments[2]["losses"].keys() and moments[-1] == 1
    assert not (run / pace.FOLDER).exists()
    weights = [(folder / "checkpoints/000000320/G.safetensors").read_bytes() for folder in (tmp_path / "plain", run)]
    assert weights[0] == weights[1]
    seconds = [read_journal(folder / "journal.jsonl")[-1]["seconds"] for folder in (tmp_path / "plain", run)]
    assert seconds[1] < seconds[0] + 1  # a second and more of waiting is not of the training


def test_a_paused_run_can_be_stopped(tmp_path: Path) -> None:
    data = on_disk(tmp_path / "data", noise(40, (3, 16, 16)))
    run = tmp_path / "run"
    asker = Pause(run)

    def studio() -> None:
        while not asker.number:
            time.sleep(0.01)
        followed(run, asker.number)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=studio)
    thread.start()
    simulacra.train(data, run=run, observers=[asker], **HOW)
    thread.join()
    assert max(path.name for path in (run / "checkpoints").iterdir()) == "000000048"
    assert not (run / pace.FOLDER).exists()


@pytest.mark.parametrize(("name", "steps"), [("fast", 0), ("paused", -1), ("paused", 10**9)])
def test_other_paces_are_refused(tmp_path: Path, name: str, steps: int) -> None:
    with pytest.raises(SimulacraError, match="pace"):
        pace.order(tmp_path, name, steps)
    assert not list(tmp_path.iterdir())


def test_damaged_files_are_no_orders(tmp_path: Path) -> None:
    for content in ("", "[]", '{"number": "x"}'):
        (tmp_path / pace.FOLDER).mkdir(exist_ok=True)
        (tmp_path / pace.FOLDER / pace.NOW).write_text(content)
        assert pace.now(tmp_path) is None

"""The number of processor threads: the fastest one, stored with the run, and given back after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support import noise, on_disk

from simulacra.training import forecast, threads
from simulacra.training.observers import Observer
from simulacra.training.options import TrainOptions, train


@pytest.fixture(autouse=True)
def given_back() -> Iterator[None]:
    with threads.restored():
        yield


class Watch(Observer):
    """Notes how many threads torch uses while a run trains."""

    def __init__(self) -> None:
        self.seen = set[int]()

    def step(self, trainer: Any) -> None:
        self.seen.add(torch.get_num_threads())


@pytest.mark.parametrize(
    ("speeds", "chosen"),
    [
        ({1: 100, 2: 150, 4: 190}, 4),
        ({1: 100, 2: 105, 4: 109}, 1),  # not worth the other cores
        ({1: 100, 2: 150, 4: 20}, 2),  # the machine is busy
        ({1: 100, 2: 3, 4: 1}, 1),
    ],
)
def test_the_fastest_number_is_used(speeds: dict[int, float], chosen: int) -> None:
    torch.set_num_threads(4)
    assert threads.fastest(lambda: speeds[torch.get_num_threads()]) == speeds[chosen]
    assert torch.get_num_threads() == chosen


def test_a_run_that_diverges_at_once_changes_nothing() -> None:
    torch.set_num_threads(2)
    assert threads.fastest(lambda: None) is None
    assert torch.get_num_threads() == 2


def test_a_run_keeps_its_number_and_gives_torch_s_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = on_disk(tmp_path / "data", noise(40, (1, 8, 8)))
    monkeypatch.setattr(forecast, "FEW_STEPS", 1)
    monkeypatch.setattr(forecast, "_speed", lambda make, trial, total: 1000 / torch.get_num_threads())
    torch.set_num_threads(2)
    run = train(data, gan="mlp:tiny", run=tmp_path / "run", total=80, quiet=True)
    assert json.loads((run / "config.json").read_text())["threads"] == 1
    assert torch.get_num_threads() == 2
    watch = Watch()
    train(run, total=120, quiet=True, observers=[watch])
    assert (watch.seen, torch.get_num_threads()) == ({1}, 2)
    train(run, total=160, quiet=True, threads=2)
    assert json.loads((run / "config.json").read_text())["threads"] == 2, "unless another one is named"


def test_what_is_named_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = on_disk(tmp_path / "data", noise(40, (1, 8, 8)))
    monkeypatch.setattr(threads, "fastest", lambda speed: pytest.fail("timed"))
    planned = forecast.forecast(
        data, TrainOptions(gan="mlp:tiny", total=80, threads=1), {}, lambda trial: pytest.fail("timed")
    )
    assert planned.threads == 1

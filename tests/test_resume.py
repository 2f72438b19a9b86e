"""A run that is killed, again and again, ends like one that never was: bit for bit, with nothing left over.

The sessions are real processes and the kills are real SIGKILLs. A server that has torch imported forks them, so
that each is there in a moment.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from support import differences, noise, on_disk, state

from simulacra.plugins.processes import SERVER
from simulacra.storage import checkpoints, load
from simulacra.training import checkpoint
from simulacra.training.options import train

# Small batches and a checkpoint at every third step of D: kills meet them often.
RHYTHM: dict[str, Any] = {"total": 720, "every": 56, "save_every": 24, "precision": "fp32", "device": "cpu"}
RUNS: dict[str, dict[str, Any]] = {
    "mlp": {"gan": "mlp:tiny", "settings": {"batch": 8}} | RHYTHM,
    "dcgan": {"gan": "dcgan:tiny", "balance": "adaptive", "settings": {"mirror": True, "dropout": 0.2}} | RHYTHM,
    "wgan-gp": {"gan": "wgan-gp:tiny", "settings": {"ema": 100}} | RHYTHM,
}
SOAK = int(os.environ.get("SIMULACRA_SOAK", "0"))  # see `make soak`
KILLS, SEEDS = 5, range(max(1, SOAK // 10))  # of each of them, and of each seed


def session(data: Path, run: Path, options: dict[str, Any], die_at: int | None = None) -> None:
    """What one process does: train, or go on. die_at: the number of the file operation before which it is killed."""
    torch.set_num_threads(1)
    if die_at is not None:
        operations = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}
        left = [die_at]

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            if event in operations and (event != "open" or str(arguments[0]).startswith(str(run))):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
    train(data, run=run, quiet=True, **options)


def start(data: Path, run: Path, options: dict[str, Any], die_at: int | None = None) -> BaseProcess:
    process = SERVER.Process(target=session, args=(data, run, options, die_at))
    process.start()
    return process


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return on_disk(tmp_path_factory.mktemp("data") / "tiny", noise(24))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, float]]:
    """The folder of a run of `RUNS` that was never killed, and its seconds."""
    runs: dict[str, tuple[Path, float]] = {}

    def get(name: str) -> tuple[Path, float]:
        if name not in runs:
            first = SERVER.Process(target=time.sleep, args=(0,))  # starting the server takes longer than a run
            first.start()
            first.join()
            run, began = tmp_path_factory.mktemp("whole") / name, time.monotonic()
            process = start(data, run, RUNS[name])
            process.join()
            assert process.exitcode == 0
            runs[name] = run, time.monotonic() - began
        return runs[name]

    return get


def journal(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]


def assert_same_run(run: Path, whole: Path) -> None:
    assert not differences(state(whole), state(run))
    assert [path.name for path in checkpoints(run)] == [path.name for path in checkpoints(whole)]
    ticks = [line["nimg"] for line in journal(run)]
    assert ticks == sorted(set(ticks)), "each tick once"
    assert not differences(journal(whole), journal(run))
    files = {path.relative_to(run).as_posix() for path in run.rglob("*")} - {".lock"}
    assert files == {path.relative_to(whole).as_posix() for path in whole.rglob("*")} - {".lock"}


def assert_checkpoints_are_whole(run: Path) -> None:
    for path in checkpoints(run):
        load(path)
    for path in checkpoint.resumable(run):
        checkpoint.load(path, torch.device("cpu"))


def begun(run: Path) -> int:
    """Changes when a session has read the last checkpoint and is about to train."""
    path = run / "previews" / "real.png"
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", RUNS)
def test_killed_at_random_moments(
    name: str, seed: int, data: Path, whole: Callable[[str], tuple[Path, float]], tmp_path: Path
) -> None:
    reference, lasts = whole(name)
    chance = random.Random(f"{name}/{seed}")
    run, progress = tmp_path / name, []
    for kill in range(KILLS):
        before = begun(run)
        process = start(data, run, RUNS[name])
        while kill % 4 and begun(run) == before and process.is_alive():  # one in four dies while it starts
            time.sleep(0.002)
        time.sleep(chance.uniform(0.04, 0.2) * lasts)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it was over before it could be killed"
        assert_checkpoints_are_whole(run)
        progress.append(max((int(path.name) for path in checkpoints(run)), default=0))
    assert progress == sorted(progress), "no kill loses a checkpoint"
    assert 0 < progress[-1] < RHYTHM["total"], f"the kills came before or after the run: {progress}"
    process = start(data, run, RUNS[name])
    process.join()
    assert process.exitcode == 0
    assert_same_run(run, reference)


def test_killed_before_each_file_operation(data: Path, tmp_path: Path) -> None:
    """Life k dies before its k-th file operation, until one reaches the end: no gap between two of them is fatal.

    `make soak` takes every k, the tests every second one.
    """
    options = RUNS["mlp"] | {"total": 64, "every": 24}
    train(data, run=tmp_path / "whole", quiet=True, **options)
    run, lives = tmp_path / "run", 0
    while True:
        lives += 1 if SOAK else 2
        process = start(data, run, options, die_at=lives)
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        assert_checkpoints_are_whole(run)
        if process.exitcode == 0:
            break
    assert lives > 20
    assert_same_run(run, tmp_path / "whole")


def test_ctrl_c_saves_says_how_to_go_on_and_ends_with_130(
    data: Path, whole: Callable[[str], tuple[Path, float]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["train", str(data), "--gan", "mlp:tiny", "--run", str(run)]
    words += ["--total", "720", "--every", "56", "--save-every", "10000", "--precision", "fp32", "--device", "cpu"]
    words += ["--threads", "1", "batch=8"]
    slowed = "import time\nfrom simulacra.training.trainer import Trainer\nplay = Trainer.step\n"
    slowed += "Trainer.step = lambda self: (time.sleep(0.01), play(self))[1]\nfrom simulacra.cli import main\nmain()"
    process = subprocess.Popen(
        [sys.executable, "-c", slowed, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not ((run / "journal.jsonl").exists() and journal(run)) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert f"simulacra train {run}" in out + err
    (last,) = checkpoints(run)
    assert 56 <= int(last.name) < 720

    train(data, run=run, quiet=True, **RUNS["mlp"] | {"save_every": 10_000})
    reference, _ = whole("mlp")
    assert not differences(state(reference), state(run))
    assert not differences(journal(reference), journal(run))

"""A run that goes back: to its last healthy checkpoint, with another seed, so many times, and as if it were not killed."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support import differences, noise, on_disk, refused, state

from simulacra.errors import SimulacraError
from simulacra.files import read_json_lines, write_json
from simulacra.plugins.processes import SERVER, free_port, in_two_processes
from simulacra.storage import checkpoints
from simulacra.training import checkpoint, health, rollback
from simulacra.training.options import train
from simulacra.training.run import Run
from simulacra.training.run_records import RollbackRecord
from simulacra.training.trainer import Trainer, TrainingDiverged

OPTIONS: dict[str, Any] = {"gan": "mlp:tiny", "every": 16, "save_every": 32, "total": 192, "quiet": True}
OPTIONS |= {"device": "cpu", "precision": "fp32", "settings": {"batch": 8}, "seed": 5}
SEEDS = [rollback.seed_after(5, k) for k in range(4)]
SOAK = int(os.environ.get("SIMULACRA_SOAK", "0"))  # see `make soak`


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return on_disk(tmp_path_factory.mktemp("data") / "tiny", noise(24))


def breaking(seeds: list[int], at: int = 80) -> Callable[[Trainer], None]:
    """`Trainer.step` that meets with a NaN after `at` images, with these seeds alone."""
    honest = Trainer.step

    def step(self: Trainer) -> None:
        if self.nimg >= at and self.seed in seeds:
            with torch.no_grad():
                next(self.gan.D.parameters()).fill_(float("nan"))
        honest(self)

    return step


def test_a_nan_goes_back_and_on_with_another_seed(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    monkeypatch.setattr(Trainer, "step", breaking(SEEDS[:1]))
    with refused("train.diverged"):
        train(data, run=tmp_path / "without", **OPTIONS)
    assert train(data, run=run, rollback=2, **OPTIONS) == run
    (line,) = read_json_lines(run / "rollbacks.jsonl")
    assert (line["verdict"], line["from"], line["to"], line["seed"]) == ("diverged", 80, 64, SEEDS[1])
    assert "NaN or infinite at step" in line["seen"]
    assert [line["nimg"] for line in read_json_lines(run / "journal.jsonl")] == list(range(16, 193, 16))
    assert int(checkpoints(run)[-1].name) == 192
    configs = [json.loads((path / "config.json").read_text()) for path in checkpoints(run)]
    assert [config["rollbacks"] for config in configs] == [0, 0, 1, 1, 1, 1] and {
        config["seed"] for config in configs
    } == {5}
    train(tmp_path / "run", quiet=True, device="cpu")  # has reached its length: identity unchanged

    monkeypatch.undo()
    plain = train(data, run=tmp_path / "plain", **OPTIONS)
    assert differences(state(plain), state(run)), "another seed, another end"


def test_what_it_says(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Trainer, "step", breaking(SEEDS[:1]))
    train(data, run=tmp_path / "run", rollback=1, **(OPTIONS | {"quiet": False}))
    out = capsys.readouterr().out
    assert re.search(
        rf"NaN or infinite at step \d+ \(80 images\)\.\nThe run goes back to 64 images, .* with seed {SEEDS[1]}\.\n80 im",
        out,
    )


def test_it_goes_back_so_often_and_then_stops_in_health(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    monkeypatch.setattr(Trainer, "step", breaking(SEEDS[:3]))
    for _ in range(2):  # the same command again comes to the same
        with pytest.raises(SimulacraError, match=r"gone back 2 times already.*000000064.*larger --rollback"):
            train(data, run=run, rollback=2, **OPTIONS)
        assert [line["seed"] for line in read_json_lines(run / "rollbacks.jsonl")] == SEEDS[1:3]
        assert [int(path.name) for path in checkpoints(run)] == [32, 64]
        assert read_json_lines(run / "journal.jsonl")[-1]["nimg"] == 64
    train(data, run=run, rollback=3, **OPTIONS)
    assert [line["seed"] for line in read_json_lines(run / "rollbacks.jsonl")] == SEEDS[1:4]
    assert int(checkpoints(run)[-1].name) == 192


def test_without_a_healthy_checkpoint_it_begins_anew(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "step", breaking(SEEDS[:1], at=16))
    run = train(data, run=tmp_path / "run", rollback=1, **OPTIONS)
    assert [line["to"] for line in read_json_lines(run / "rollbacks.jsonl")] == [0]
    other = train(data, run=tmp_path / "other", **(OPTIONS | {"seed": SEEDS[1]}))
    left, right = state(run), state(other)
    assert not differences(left, right), "it is the run of that seed"


@pytest.mark.parametrize("name", ["collapsed", "stalled", "unbalanced", "overfitting"])
def test_a_serious_verdict_goes_back_before_its_first_sign(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"

    def assess(past: Any, line: dict[str, Any], *, critic: bool) -> dict[str, Any]:
        if line["nimg"] <= 100 or rollback.count(run):
            return {}
        return {"signs": [name]} | ({"health": {name: "It is sick."}} if line["nimg"] > 150 else {})

    monkeypatch.setattr(health, "assess", assess)
    train(data, run=run, rollback=1, **OPTIONS)
    lines = read_json_lines(run / "rollbacks.jsonl")
    if name in ("unbalanced", "overfitting"):
        assert not lines and read_json_lines(run / "journal.jsonl")[-1]["health"] == {name: "It is sick."}
    else:
        (line,) = lines
        assert (line["from"], line["to"], line["seen"], line["verdict"]) == (160, 96, "It is sick.", name)
        assert "health" not in read_json_lines(run / "journal.jsonl")[-1]
    assert int(checkpoints(run)[-1].name) == 192


def test_what_was_never_well_ends_as_it_is(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        health, "assess", lambda past, line, critic: {"health": {"stalled": "It is sick."}} if line["nimg"] > 90 else {}
    )
    monkeypatch.setattr(rollback, "healthy_checkpoint", lambda run, lines: 0)
    with pytest.raises(SimulacraError, match=r"It is sick\. The run has gone back once already\. It ends as it is"):
        train(data, run=tmp_path / "run", rollback=1, **OPTIONS)
    assert [int(path.name) for path in checkpoints(tmp_path / "run")] == [32, 64]


def test_what_came_after_is_forgotten(data: Path, tmp_path: Path) -> None:
    run = train(data, run=tmp_path / "run", **OPTIONS)
    scores: list[dict[str, Any]] = [{"nimg": nimg, "scores": {}} for nimg in (64, 128, 192)]
    (run / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in scores))
    write_json(run / "best.json", {"checkpoint": "000000128", "nimg": 128})
    rollback.forget(run, 100)
    assert [int(path.name) for path in checkpoints(run)] == [32, 64, 96]
    assert [line["nimg"] for line in read_json_lines(run / "scores.jsonl")] == [64]
    assert not (run / "best.json").exists()
    names = sorted(path.stem for path in (run / "previews").iterdir())
    assert names == [f"{nimg:09d}" for nimg in range(16, 97, 16)] + ["real"]
    write_json(run / "best.json", {"checkpoint": "000000064", "nimg": 64})
    rollback.forget(run, 100)
    assert (run / "best.json").exists()


def test_the_last_healthy_checkpoint_keeps_its_state(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While signs are there that are no verdict yet, checkpoints go on being written and thinned."""
    monkeypatch.setattr(
        health, "assess", lambda past, line, critic: {"signs": ["collapsed"]} if line["nimg"] > 70 else {}
    )
    run = train(data, run=tmp_path / "run", rollback=1, **OPTIONS)
    assert [int(path.name) for path in checkpoint.resumable(run)] == [64, 160, 192]
    assert rollback.healthy_checkpoint(run, read_json_lines(run / "journal.jsonl")) == 64


# --- killed -------------------------------------------------------------------------------------------------------


def session(data: Path, run: Path, die_at: int | None) -> None:
    """One process: a run that is sick twice, killed while it goes back, before its file operation number `die_at`."""
    torch.set_num_threads(1)
    patch = pytest.MonkeyPatch()

    def assess(past: Any, line: dict[str, Any], *, critic: bool) -> dict[str, Any]:
        if line["nimg"] <= 24 or rollback.count(run) == 2:
            return {}
        return {"signs": ["stalled"]} | ({"health": {"stalled": "It is sick."}} if line["nimg"] >= 48 else {})

    patch.setattr(health, "assess", assess)
    honest = Run.roll_back

    def roll_back(self: Run, trouble: TrainingDiverged) -> RollbackRecord:
        left = [die_at]

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            operations = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}
            if (
                left[0] is not None
                and event in operations
                and (event != "open" or str(arguments[0]).startswith(str(run)))
            ):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        return honest(self, trouble)

    patch.setattr(Run, "roll_back", roll_back)
    train(data, run=run, rollback=2, **(OPTIONS | {"total": 64, "every": 8, "save_every": 16}))


def test_killed_while_it_goes_back(data: Path, tmp_path: Path) -> None:
    """Life k dies before its k-th file operation, until one reaches the end, which is that of an unkilled run.

    `make soak` takes every k, the tests every second one.
    """
    run, whole, lives = tmp_path / "run", tmp_path / "whole", 0
    process = SERVER.Process(target=session, args=(data, whole, None))
    process.start()
    process.join()
    while process.exitcode != 0 or not lives:
        lives += 1 if SOAK else 2
        process = SERVER.Process(target=session, args=(data, run, lives))
        process.start()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
    assert lives > 10
    assert [line["seed"] for line in read_json_lines(whole / "rollbacks.jsonl")] == SEEDS[1:3]
    assert not differences(state(whole), state(run))
    for name in ("journal.jsonl", "rollbacks.jsonl"):
        assert not differences(read_json_lines(whole / name), read_json_lines(run / name))
    files = [{p.relative_to(folder).as_posix() for p in folder.rglob("*")} - {".lock"} for folder in (whole, run)]
    assert files[0] == files[1]


# --- two processes ------------------------------------------------------------------------------------------------


def join(rank: int, port: int, folder: Path) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "RANK": str(rank)}
    patch = pytest.MonkeyPatch()
    patch.setattr(Trainer, "step", breaking(SEEDS[:1], at=80))
    if rank == 0:  # which alone sees it

        def assess(past: Any, line: dict[str, Any], *, critic: bool) -> dict[str, Any]:
            sick = line["nimg"] == 128 and rollback.count(folder / "run") == 1
            return {"signs": ["stalled"], "health": {"stalled": "It is sick."}} if sick else {}

        patch.setattr(health, "assess", assess)
    train(folder / "data", run=folder / "run", rollback=2, **OPTIONS)


def test_two_processes_go_back_together(tmp_path: Path) -> None:
    on_disk(tmp_path / "data", noise(24))
    in_two_processes(join, free_port(), tmp_path)
    lines = read_json_lines(tmp_path / "run" / "rollbacks.jsonl")
    assert [(line["verdict"], line["from"], line["to"]) for line in lines] == [
        ("diverged", 80, 64),
        ("stalled", 128, 96),
    ]
    assert int(checkpoints(tmp_path / "run")[-1].name) == 192

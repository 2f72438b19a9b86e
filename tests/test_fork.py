"""A fork begins at the exact state of its parent, and differs from it by its settings alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from reporting import scored
from support import Cli, differences, noise, on_disk, refused, state
from test_faults import listing

from simulacra.files import read_json
from simulacra.shelf.entries import entries, tree
from simulacra.storage import checkpoints, load
from simulacra.training import checkpoint
from simulacra.training.fork import fork
from simulacra.training.journal import read_journal
from simulacra.training.options import train
from simulacra.training.repair import examine_run
from simulacra.training.rollback import read_rollbacks

OPTIONS: dict[str, Any] = {"gan": "mlp:tiny", "every": 8, "save_every": 16, "quiet": True, "device": "cpu"}
OPTIONS |= {"precision": "fp32", "settings": {"batch": 8}}
TIMES = ("seconds", "images_per_second", "memory_mib")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return on_disk(tmp_path_factory.mktemp("data") / "tiny", noise(24))


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = train(data, run=tmp_path_factory.mktemp("finished") / "run", total=32, **OPTIONS)
    scored(run)
    (run / "rollbacks.jsonl").unlink()
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A run of 32 images with states at 16 and 32."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in line.items() if key not in TIMES}
        for line in read_journal(folder / "journal.jsonl")
    ]


@pytest.mark.parametrize("at", [None, 16])
def test_an_unchanged_fork_continued_is_the_original_continued(run: Path, at: int | None) -> None:
    """To the bit: weights, moments, average, journal and previews."""
    before = listing(run)
    twin = fork(run, "twin", at=at, settings={})
    assert listing(run) == before and twin == run.with_name("twin")
    assert int(checkpoints(twin)[-1].name) == (at or 32)
    for folder in (run, twin):
        train(folder, total=64, quiet=True)
    left, right = state(run), state(twin)
    left.pop("seconds"), right.pop("seconds")
    assert not differences(left, right)
    assert lines(run)[-4:] == lines(twin)[-4:] and (at is not None or lines(run) == lines(twin))
    last = "previews/000000064.png"
    assert (run / last).read_bytes() == (twin / last).read_bytes()


def test_a_changed_fork_differs_by_its_settings_alone(run: Path) -> None:
    """It steps as a trainer with that state and the new settings, and remembers both after a resume."""
    slow = fork(run, "slow", settings={"lr": "1e-5", "betas": "0.3,0.9"})
    config, old = read_json(slow / "config.json"), read_json(run / "config.json")
    changes = {"lr": 1e-5, "betas": [0.3, 0.9]}
    assert config["config"] == old["config"] | changes
    assert config["fork"]["run"] == str(run.resolve()) and config["fork"]["changes"] == changes
    assert config["fork"]["checkpoint"] == "000000032" and config["data"] == old["data"]
    own, parents = (checkpoint.load(checkpoints(folder)[-1], torch.device("cpu")) for folder in (slow, run))
    assert not differences(own["gan"], parents["gan"]) and not differences(own["ema"], parents["ema"])
    assert own["optimizers"]["G"]["param_groups"][0]["betas"] == (0.3, 0.9)
    assert not differences(own["optimizers"]["G"]["state"], parents["optimizers"]["G"]["state"])
    for folder in (run, slow):
        train(folder, total=40, quiet=True)
    train(slow, total=48, quiet=True)
    assert read_json(slow / "config.json")["fork"] == config["fork"]
    assert differences(state(run)["gan"], state(slow)["gan"])
    assert not examine_run(slow).remaining


def test_augmentation_may_begin_and_end_with_a_fork(run: Path) -> None:
    grown = fork(run, settings={"augment": "ada"})
    assert grown.name == "run-fork"
    train(grown, total=40, quiet=True)
    plain = fork(grown, settings={"augment": "none", "balance": "adaptive"})
    assert plain.name == "run-fork-fork" and fork(run, settings={}).name == "run-fork-2"
    train(plain, total=48, quiet=True)
    assert load(plain)
    order = [(depth, entry.name) for depth, entry in tree(entries(run.parent))]
    assert order == [(0, "run"), (1, "run-fork"), (2, "run-fork-fork"), (1, "run-fork-2")]


@pytest.mark.parametrize(
    ("settings", "at", "code"),
    [
        ({"z": "7"}, None, "train.fork_other_networks"),
        ({"optimizer": "rmsprop"}, None, "train.fork_other_optimizer"),
        ({"learning": "7"}, None, "config.unknown_setting"),
        ({"balance": "fair"}, None, "train.unknown_balance"),
        ({"augment_target": "0.5"}, None, "gan.idle_setting"),
        ({}, "24", "train.fork_without_state"),
        ({}, "last", "train.fork_without_state"),
    ],
)
def test_what_cannot_change_is_refused(settings: dict[str, Any], at: str | None, code: str, run: Path) -> None:
    with refused(code):
        fork(run, at=at, settings=settings)
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_no_fork_of_nothing_or_onto_something(run: Path, data: Path) -> None:
    for nothing in (run / "gone", data):
        with refused("train.no_run"):
            fork(nothing, settings={})
    with refused("train.fork_exists"):
        fork(run, "run", settings={})


def test_the_command_forks_and_trains(run: Path, run_cli: Cli) -> None:
    status, out, err = run_cli("fork", run, "fast", "lr=1e-3", "--at", "16")
    assert status == 0 and "simulacra compare" in out, err
    fast = run.with_name("fast")
    assert len(list((fast / "checkpoints").iterdir())) == 1 and not list(fast.glob("best.json"))
    assert {path.name for path in (fast / "previews").iterdir()} == {"000000008.png", "000000016.png", "real.png"}
    status, out, _ = run_cli("fork", run, "faster", "lr=1e-2", "--total", "40", "--threads", "1")
    assert status == 0 and int(checkpoints(run.with_name("faster"))[-1].name) == 40


def test_the_rollbacks_before_the_checkpoint_decide_the_seed(run: Path) -> None:
    records = [{"verdict": "collapsed", "seen": "", "from": 24, "to": to, "seed": to} for to in (8, 16, 32)]
    (run / "rollbacks.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert [record["to"] for record in read_rollbacks(fork(run, at=16, settings={}))] == [8, 16]

"""Processes that differ in data, settings, versions or where the run stands: none trains, and each says why."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from support import differences, noise, on_disk, refused, state
from torch._C._distributed_c10d import HashStore

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

import restarts

from simulacra import rendezvous
from simulacra.data import dataset
from simulacra.errors import SimulacraError
from simulacra.files import read_json, write_json
from simulacra.plugins import processes
from simulacra.storage import checkpoints
from simulacra.training import agreement
from simulacra.training.options import train
from simulacra.training.trainer import Trainer

OPTIONS: dict[str, Any] = {"gan": "mlp:tiny", "settings": {"batch": 8}, "precision": "fp32", "device": "cpu"}
OPTIONS |= {"total": 48, "every": 48, "save_every": 24, "quiet": True}
# What the second process does otherwise; its data and its run are in a folder of its own.
CASES: dict[str, dict[str, Any]] = {
    "data": {"data": "other"},
    "settings": {"seed": 1, "settings": {"batch": 8, "lr": 0.01}},
    "length": {"total": 96},
    "absent": {"data": "absent"},
    "damaged": {"data": "damaged"},
    "torch": {},
    "begins": {"run": "begun"},
    "lost": {},
    "resumes": {"run": "absent"},  # the lost one
    "local": {},
}

SECONDS = 600  # after which agents that wait for each other are given up

Outcome = dict[str, Any]


def run_cases(rank: int, ports: list[int], root: Path) -> None:
    """One of two processes, as on a machine of its own."""
    os.chdir(root / f"node{rank}")
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2", "RANK": str(rank)}
    outcomes: dict[str, Outcome] = {}
    verify, version, step = dataset.verify, torch.__version__, Trainer.step
    verified: list[object] = []

    def counted(data: Any) -> None:
        verified.append(data)
        verify(data)

    def fail(trainer: Trainer) -> None:
        if trainer.nimg == 32:
            raise ZeroDivisionError
        step(trainer)

    setattr(agreement, "verify", counted)  # noqa: B010
    for port, (name, other) in zip(ports, CASES.items(), strict=True):
        options = (
            OPTIONS | {"data": "data", "run": f"{'lost' if name == 'resumes' else name}-run"} | (other if rank else {})
        )
        os.environ |= {"MASTER_PORT": str(port), "LOCAL_RANK": str(rank if name == "local" else 0)}
        torch.__version__ = "1.13" if name == "torch" and rank else version  # type: ignore[assignment]
        Trainer.step = step  # type: ignore[method-assign]
        if name == "lost" and rank:
            Trainer.step = fail  # type: ignore[assignment, method-assign]
        verified.clear()
        began, sentence = time.monotonic(), ""
        try:
            train(**options)
        except SimulacraError as error:
            sentence = str(error)
        except ZeroDivisionError:
            sentence = "failed"
        seconds = time.monotonic() - began
        outcomes[name] = {"sentence": sentence, "seconds": seconds, "verified": len(verified)}
    write_json(root / f"outcomes{rank}.json", outcomes)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("machines")
    for node in ("node0", "node1"):
        on_disk(root / node / "data", noise(24))
    train(root / "node1" / "data", run=root / "node1" / "begun", **OPTIONS | {"total": 24})
    on_disk(root / "node1" / "other", noise(24, seed=1))
    damaged = shutil.copytree(root / "node1" / "data", root / "node1" / "damaged") / "images.npy"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\0")
    processes.in_two_processes(run_cases, [processes.free_port() for _ in CASES], root)
    return root


@pytest.fixture(scope="module")
def outcomes(root: Path) -> Callable[[str], list[Outcome]]:
    """What became of a case in both processes."""
    both = [read_json(root / f"outcomes{rank}.json") for rank in range(2)]
    return lambda name: [outcomes[name] for outcomes in both]


@pytest.mark.parametrize(
    ("name", "words"),
    {
        "data": ("data: ", " on rank 0", " on rank 1"),
        "settings": ("seed: 0 on rank 0, 1 on rank 1", "lr: "),
        "length": ("total: 48 on rank 0, 96 on rank 1",),
        "torch": ("torch: ", "1.13 on rank 1"),
        "absent": ("Rank 1 ", "absent"),
        "damaged": ("Rank 1 ", "damaged"),
        "begins": ("On rank 1 ", "stands at 24 images", "at 0"),
    }.items(),
)
def test_a_difference_ends_all_with_a_sentence_that_names_it(
    name: str, words: tuple[str, ...], root: Path, outcomes: Callable[[str], list[Outcome]]
) -> None:
    first, second = outcomes(name)
    assert max(first["seconds"], second["seconds"]) < 60
    assert all(word in first["sentence"] for word in words), first["sentence"]
    assert second["sentence"] and second["sentence"] in first["sentence"]
    assert not checkpoints(root / "node0" / f"{name}-run"), "nothing was trained"


def test_a_process_without_the_run_takes_it_from_the_first(
    root: Path, outcomes: Callable[[str], list[Outcome]]
) -> None:
    assert [outcome["sentence"] for outcome in outcomes("resumes")] == ["", ""]
    run = root / "node0" / "lost-run"
    assert [int(path.name) for path in checkpoints(run)] == [24, 48]
    assert not (root / "node1" / "absent").exists()
    assert not differences(state(root / "node0" / "local-run")["gan"], state(run)["gan"]), "as if it had never stopped"


def test_a_process_that_loses_the_others_says_so(outcomes: Callable[[str], list[Outcome]]) -> None:
    first, second = outcomes("lost")
    assert second["sentence"] == "failed"
    assert first["sentence"].startswith("The connection to another process was lost")


def test_data_are_verified_once_on_each_machine(outcomes: Callable[[str], list[Outcome]]) -> None:
    assert [outcome["verified"] for outcome in outcomes("resumes")] == [1, 1]
    assert [outcome["verified"] for outcome in outcomes("local")] == [1, 0]


def test_a_start_has_nothing_to_do_with_earlier_ones_in_the_same_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process of a restart comes first, finds what its predecessor was told, and waits for the new first one."""
    store, names = HashStore(), list[str]()
    with ThreadPoolExecutor(1) as others:
        for _ in range(2):
            second = others.submit(rendezvous._answer, store, 1, 2, {"torch": "2"})
            time.sleep(3 * rendezvous.POLL)
            assert not second.done()
            name, everyone = rendezvous._gather(store, 0, 2, {"torch": "2"})
            assert second.result() == (name, everyone) and len(everyone) == 2
            names.append(name)
    assert len(set(names)) == 2
    monkeypatch.setattr(rendezvous, "ARRIVAL", timedelta(seconds=3 * rendezvous.POLL))
    with refused("train.processes_missing", ranks=[1, 2]):
        rendezvous._gather(store, 0, 3, {})
    with refused("train.processes_missing", ranks=[0]):
        rendezvous._answer(store, 1, 2, {})


def train_and_die(root: Path) -> None:
    """A rank that trains; rank 1 kills itself the first time that it has shown 32 images."""
    step, died = Trainer.step, root / "died"

    def step_or_die(trainer: Trainer) -> None:
        if trainer.nimg == 32 and os.environ["RANK"] == "1" and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        step(trainer)

    Trainer.step = step_or_die  # type: ignore[assignment, method-assign]
    train("data", run="run", **OPTIONS)


@pytest.mark.skipif(sys.platform != "linux", reason="the agents of torchrun fork here")
def test_torchrun_restarts_after_a_kill(root: Path, tmp_path: Path) -> None:
    """Two agents with folders of their own: they count different numbers of restarts. `make soak` kills at random."""
    agents = restarts.start_agents(tmp_path, root / "node0" / "data", "two agents, c10d", 2, train_and_die, tmp_path)
    deadline = time.monotonic() + SECONDS
    for agent in agents:
        agent.join(max(0.0, deadline - time.monotonic()))
    codes = [agent.exitcode for agent in agents]
    for agent in agents:
        agent.kill()
    assert codes == [0, 0]
    assert (tmp_path / "died").exists()
    assert not (tmp_path / "node1" / "run").exists()
    assert not differences(state(root / "node0" / "local-run"), state(tmp_path / "node0" / "run"))

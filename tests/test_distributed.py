"""Two processes over gloo: the same weights in both, bit for bit, and the ones that one process comes to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from support import noise, on_disk

from simulacra import distributed
from simulacra.plugins import processes
from simulacra.plugins.checks import CHECKS
from simulacra.registry import gans
from simulacra.storage import checkpoints
from simulacra.training import trainer as trainer_module
from simulacra.training.options import train


def talk(rank: int, ports: tuple[int, int], folder: Path) -> None:
    """One of two processes: what they say to each other, then a whole run."""
    processes.join(rank, ports[0])
    results: dict[str, Any] = {}
    results["agree"] = distributed.agree(rank == 1, False, True)
    results["gather"] = distributed.gather(torch.tensor([rank * 10.0, rank * 10.0 + 1]))
    tensors = [torch.tensor([1.0 + rank]), torch.tensor([[10.0 * rank]]), torch.tensor([rank])]
    distributed.average(tensors)
    results["average"] = tensors
    torch.save(results, folder / f"rank{rank}.pt")
    distributed.stop()

    # Only one of them finds it time to save: without agreement they would wait for each other for ever.
    os.environ["MASTER_PORT"] = str(ports[1])
    trainer_module.SAVE_SECONDS = 0 if rank == 1 else 10_000
    options: dict[str, Any] = {"gan": "mlp:tiny", "settings": {"batch": 8}, "precision": "fp32", "device": "cpu"}
    train(folder / "data", run=folder / "run", total=64, every=32, save_every=10_000, quiet=True, **options)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("pair")
    on_disk(folder / "data", noise(24))
    ports = processes.free_port(), processes.free_port()
    processes.in_two_processes(talk, ports, folder)
    return folder, [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", list(gans()))
def test_two_processes_are_one_run(name: str, tmp_path: Path) -> None:
    """The same weights in both bit for bit, and to rounding those of one process with the same microbatches.

    A batch norm takes its running statistics from one microbatch after another there, and as a mean over the processes
    here; nothing is trained on them.
    """
    CHECKS["processes"](f"{name}:tiny", tmp_path)


def test_what_processes_say_to_each_other(pair: tuple[Path, list[dict[str, Any]]]) -> None:
    for rank, results in enumerate(pair[1]):
        assert results["agree"] == [True, False, True]
        assert results["gather"].tolist() == [0, 1, 10, 11]
        first, second, whole_number = results["average"]
        assert first.tolist() == [1.5] and second.tolist() == [[5.0]]
        assert whole_number.tolist() == [rank], "numbers of steps are not averaged"


def test_a_run_of_two_is_written_by_one(pair: tuple[Path, list[dict[str, Any]]]) -> None:
    run = pair[0] / "run"
    assert len((run / "journal.jsonl").read_text().splitlines()) == 2
    assert [int(path.name) for path in checkpoints(run)][-1] == 64
    assert not [path.name for path in run.rglob(".*") if path.name != ".lock"]


def test_one_process_alone_says_nothing() -> None:
    value = torch.tensor([3.0])
    distributed.average([value])
    assert value.item() == 3 and distributed.gather(value) is value
    assert distributed.agree(True, False) == [True, False]
    assert (distributed.rank(), distributed.world()) == (0, 1)

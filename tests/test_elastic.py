"""The number of processes changes between the sessions of a run, and while it runs: the batch and the pictures stay."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from support import noise, on_disk
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from simulacra.data.feed import Feed
from simulacra.files import read_json
from simulacra.gan import Batch
from simulacra.plugins import processes
from simulacra.training.journal import read_journal
from simulacra.training.options import train
from simulacra.training.trainer import Trainer

SECONDS = 300  # after which an agent is given up
BATCH = 7  # four and three in two processes
OPTIONS: dict[str, Any] = {"gan": "mlp:tiny", "settings": {"batch": BATCH}, "precision": "fp32", "device": "cpu"}
OPTIONS |= {"every": BATCH, "save_every": 2 * BATCH}
TOTAL, DEATH = 12 * BATCH, 6 * BATCH  # images, and when a machine is lost
SESSIONS = ((2, 4), (1, 8), (2, 12))  # processes, and steps of D at the end


def session(rank: int, port: int, folder: Path, name: str, world: int, steps: int) -> None:
    """One process of one session; notes which pictures it trains on."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world), "RANK": str(rank)}
    shown: list[tuple[int, int]] = []
    batch = Feed.batch

    def noted(feed: Feed, start: int, count: int) -> Batch:
        shown.append((start, count))
        return batch(feed, start, count)

    Feed.batch = noted  # type: ignore[assignment, method-assign]
    with (folder / f"{name}-{rank}.txt").open("w") as output, contextlib.redirect_stdout(output):
        train(folder / "data", run=folder / "run", total=steps * BATCH, **OPTIONS)
    torch.save(shown, folder / f"{name}-{rank}.pt")


def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    on_disk(tmp_path / "data", noise(24))
    texts, shown = list[str](), set[int]()
    for number, (world, steps) in enumerate(SESSIONS):
        words = (processes.free_port(), tmp_path, str(number), world, steps)
        started: list[BaseProcess] = [
            processes.SERVER.Process(target=session, args=(rank, *words)) for rank in range(world)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join(processes.SECONDS)
            process.kill()
        assert [process.exitcode for process in started] == [0] * world
        texts.append((tmp_path / f"{number}-0.txt").read_text())
        assert read_json(tmp_path / "run" / "config.json")["processes"] == world
        for rank in range(world):
            parts = torch.load(tmp_path / f"{number}-{rank}.pt", weights_only=True)
            shown |= {picture for start, count in parts for picture in range(start, start + count)}
    assert "before" not in texts[0]
    assert "2 processes before, 1 process now: the batch stays 7, 7 in each." in " ".join(texts[1].split())
    assert "1 process before, 2 processes now: the batch stays 7, 3-4 in each." in " ".join(texts[2].split())
    lines = read_journal(tmp_path / "run" / "journal.jsonl")
    assert [line["nimg"] for line in lines] == [BATCH * step for step in range(1, 13)]
    assert [line["d_plays"] for line in lines] == list(range(1, 13))
    assert shown >= set(range(BATCH * 12)), "every picture was shown"


def work(folder: Path) -> None:
    """A rank of torchrun; that of the second agent is lost with its agent."""
    step = Trainer.step

    def step_or_die(trainer: Trainer) -> None:
        if trainer.nimg == DEATH and os.environ["AGENT"] == "1":
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        step(trainer)

    Trainer.step = step_or_die  # type: ignore[assignment, method-assign]
    train(folder / "data", run=folder / "run", total=TOTAL, threads=1, **OPTIONS)


def agent(folder: Path, number: int, port: int) -> None:
    """An agent of `torchrun --nnodes 1:2`."""
    os.environ["AGENT"] = str(number)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=2,
        nproc_per_node=1,
        rdzv_backend="c10d",
        rdzv_endpoint=f"127.0.0.1:{port}",
        # the second agent does not host the store, which would end with it
        rdzv_configs={
            "is_host": number == 0,
            "last_call_timeout": 12,
            "keep_alive_interval": 1,
            "keep_alive_max_attempt": 3,
        },
        run_id="elastic",
        max_restarts=3,
        monitor_interval=0.05,
        start_method="fork",  # from a process that has torch imported
        logs_specs=DefaultLogsSpecs(log_dir=str(folder / f"log{number}"), redirects=Std.ALL),
        local_addr="127.0.0.1",
    )
    elastic_launch(config, work)(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="the agents of torchrun fork here")
def test_a_run_that_loses_a_machine_goes_on_with_the_other(tmp_path: Path) -> None:
    on_disk(tmp_path / "data", noise(24))
    port = processes.free_port()
    agents = [processes.SERVER.Process(target=agent, args=(tmp_path, number, port)) for number in range(2)]
    for process in agents:
        process.start()
    agents[0].join(SECONDS)
    for process in agents:
        process.kill()
        process.join()
    assert [process.exitcode for process in agents] == [0, -signal.SIGKILL]
    assert read_json(tmp_path / "run" / "config.json")["processes"] == 1
    assert [line["nimg"] for line in read_journal(tmp_path / "run" / "journal.jsonl")][-1] == TOTAL
    said = " ".join(" ".join(path.read_text().split()) for path in tmp_path.glob("log0/**/stdout.log"))
    assert "2 processes before, 1 process now: the batch stays 7, 7 in each." in said

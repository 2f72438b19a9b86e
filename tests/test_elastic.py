"""The number of processes changes between the sessions of a run, and while it runs: the batch and the pictures stay."""

from __future__ import annotations

import contextlib
import os
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from support import noise, on_disk

from simulacra.data.feed import Feed
from simulacra.files import read_json
from simulacra.gan import Batch
from simulacra.plugins import processes
from simulacra.training.journal import read_journal
from simulacra.training.options import train

BATCH = 7  # four and three in two processes
OPTIONS: dict[str, Any] = {"gan": "mlp:tiny", "settings": {"batch": BATCH}, "precision": "fp32", "device": "cpu"}
OPTIONS |= {"every": BATCH, "save_every": 2 * BATCH}
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

"""Two processes that train one GAN together, for the check that they agree."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Any

import torch

from simulacra import distributed
from simulacra.errors import SimulacraError
from simulacra.plugins.harness import advance, make_trainer

SECONDS = 120  # after which processes that wait for each other are given up
SERVER: ForkServerContext | SpawnContext  # what starts processes
if "forkserver" in multiprocessing.get_all_start_methods():
    SERVER = multiprocessing.get_context("forkserver")  # forks from a process that never has more than one thread
    SERVER.set_forkserver_preload(["simulacra.training.run", "safetensors.torch"])
else:  # on Windows
    SERVER = multiprocessing.get_context("spawn")


def free_port() -> int:
    """A free TCP port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def join(rank: int, port: int) -> None:
    """Become process `rank` of two over gloo."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "RANK": str(rank)}
    distributed.start(torch.device("cpu"))


def in_two_processes(target: Callable[..., None], *arguments: Any) -> None:
    """Run `target(rank, *arguments)` in two processes. Raises `SimulacraError` where one fails or never ends."""
    processes = [SERVER.Process(target=target, args=(rank, *arguments)) for rank in range(2)]
    for process in processes:
        process.start()
    deadline = time.monotonic() + SECONDS
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    if codes != [0, 0]:
        raise SimulacraError("check.processes.failed", codes=codes)


def two_processes(
    spec: str, folder: Path, variants: Sequence[dict[str, Any]], *, steps: int
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The trainers' states in both processes after so many steps, for each variant of the settings.

    Raises `SimulacraError` where a process fails or never ends.
    """
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    in_two_processes(_train, port, spec, folder, variants, steps)
    one, other = (torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    return list(zip(one, other, strict=True))


def _train(rank: int, port: int, spec: str, folder: Path, variants: Sequence[dict[str, Any]], steps: int) -> None:
    join(rank, port)
    states = [advance(make_trainer(spec, folder, **settings), steps).state_dict() for settings in variants]
    torch.save(states, folder / f"rank{rank}.pt")
    distributed.stop()

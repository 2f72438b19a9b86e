"""How the processes of torchrun find each other, at the start and after each restart.

The store of torchrun outlives a restart, and so do the addresses in it of processes that are gone; its count of restarts
differs between nodes. So at each start the first process makes up a name, with which all keys of this start begin. The
others answer under it, and wait until the first process has read the answer of this very process.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store, _set_pg_timeout, default_pg_timeout
from torch.distributed.rendezvous import rendezvous

from simulacra.errors import SimulacraError

ARRIVAL = timedelta(minutes=5)  # within which all processes have come
CONNECTION = timedelta(seconds=60)  # within which those that have come are connected
POLL = 0.05  # seconds between looks into the store

START = "simulacra/start"  # the key of the newest start's name

Facts = dict[str, str]  # of one process


@contextlib.contextmanager
def connection() -> Iterator[None]:
    """Convert the errors of a lost connection to a `SimulacraError`."""
    try:
        yield
    except RuntimeError as error:  # gloo, NCCL and the store have no narrower one in common
        reason = str(error).partition("\n")[0]
        raise SimulacraError("train.connection_lost", reason=reason) from error


def connect(device: torch.device, facts: Facts) -> list[Facts]:
    """Join the process group that the environment describes; returns the facts of every process, by rank.

    facts: of this process; where they differ no group is made. Raises `SimulacraError` where a process does not come.
    """
    with connection():
        store, rank, world = next(rendezvous("env://", timeout=ARRIVAL))
        name, everyone = (_gather if rank == 0 else _answer)(store, rank, world, facts)
        if any(other != facts for other in everyone):
            return everyone
        group = PrefixStore(name, store)
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) if device.index is None else device)
            dist.init_process_group("nccl", store=group, rank=rank, world_size=world, timeout=default_pg_timeout)
        else:
            dist.init_process_group("gloo", store=group, rank=rank, world_size=world, timeout=CONNECTION)
            _set_pg_timeout(default_pg_timeout)  # the others wait while the first one scores
    return everyone


def _gather(store: Store, rank: int, world: int, facts: Facts) -> tuple[str, list[Facts]]:
    """The first process's part: make up a name, wait for all answers, and tell them to all."""
    name = secrets.token_hex(8)
    store.set(START, name)
    _wait(store, [f"{name}/{other}" for other in range(1, world)])
    answers = [json.loads(store.get(f"{name}/{other}")) for other in range(1, world)]
    store.set(f"{name}/all", json.dumps([{"facts": facts}, *answers]))
    everyone = [facts, *(answer["facts"] for answer in answers)]
    if any(other != facts for other in everyone):  # the store may end with this process
        _wait(store, [f"{name}/{other}/read" for other in range(1, world)])
    return name, everyone


def _answer(store: Store, rank: int, world: int, facts: Facts) -> tuple[str, list[Facts]]:
    """The part of any other process."""
    own, answered = {"token": secrets.token_hex(8), "facts": facts}, ""
    deadline = time.monotonic() + ARRIVAL.total_seconds()
    while time.monotonic() < deadline:
        _wait(store, [START])
        name = store.get(START).decode()
        if name != answered:  # an earlier start's until the first process is there
            store.set(f"{name}/{rank}", json.dumps(own))
            answered = name
        if store.check([f"{name}/all"]):
            everyone = json.loads(store.get(f"{name}/all"))
            if everyone[rank] == own:  # else a process was seen that this one has replaced
                store.set(f"{name}/{rank}/read", "")
                return name, [process["facts"] for process in everyone]
        time.sleep(POLL)
    raise _missing([0])


def _wait(store: Store, keys: list[str]) -> None:
    """Wait until the store holds all keys: `START`, or `NAME/RANK`. Raises `SimulacraError` that names who is missing."""
    deadline, missing = time.monotonic() + ARRIVAL.total_seconds(), keys
    while missing := [key for key in missing if not store.check([key])]:
        if time.monotonic() > deadline:
            raise _missing([0 if key == START else int(key.split("/")[1]) for key in missing])
        time.sleep(POLL)


def _missing(ranks: list[int]) -> SimulacraError:
    """The error for processes that did not come."""
    minutes = ARRIVAL.total_seconds() / 60
    return SimulacraError("train.processes_missing", ranks=ranks, count=len(ranks), minutes=minutes)

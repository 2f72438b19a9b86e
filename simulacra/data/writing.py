"""All cores at work: pictures are read, made ready and written into one array by the workers themselves."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from simulacra.data.decoding import Facts, Recipe, SetAside, render
from simulacra.data.items import Item, close_all
from simulacra.errors import SimulacraError

MOST_AT_ONCE = 64  # pictures in one message to a worker


class Task(NamedTuple):
    """Make `item` ready and write it as row `row`."""

    row: int
    item: Item


class Outcome(NamedTuple):
    """What became of a task: `facts` of a picture that was written, or the reason why it was set aside."""

    row: int
    facts: Facts | None
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Job:
    """Pictures go to the .npy file `images` [N, H, W, C] uint8, made as `recipe` says."""

    images: Path
    recipe: Recipe


def new_array(path: Path, n: int, recipe: Recipe) -> None:
    """Make room for n pictures. A disk too small for them is found out now (OSError), not by a crash later."""
    channels = {"grey": 1, "rgb": 3, "rgba": 4}[recipe.channels]
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(n, *recipe.size, channels))
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def shorten(path: Path, n: int) -> None:
    """Keep the first n rows. numpy leaves room in its header for another number, so no row has to move."""
    rows = np.load(path, mmap_mode="r", allow_pickle=False)
    shape, offset, size = (n, *rows.shape[1:]), rows.offset, rows[:1].nbytes
    del rows
    with path.open("r+b") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        if file.tell() != offset:
            raise RuntimeError("numpy wrote a header of another length")
        file.truncate(offset + n * size)


def work(job: Job, tasks: Sequence[Task]) -> list[Outcome]:
    """Do some tasks, here and now."""
    rows = np.load(job.images, mmap_mode="r+", allow_pickle=False)
    outcomes = []
    for task in tasks:
        try:
            rows[task.row], facts = render(task.item.read(), job.recipe)
            outcomes.append(Outcome(task.row, facts))
        except SetAside as fault:
            outcomes.append(Outcome(task.row, None, fault.reason, fault.detail))
    return outcomes


def run(job: Job, tasks: Sequence[Task], workers: int | None = None) -> Iterator[list[Outcome]]:
    """Do all tasks on `workers` processes (None: one for each core), a few at a time, in order.

    Raises SimulacraError if a worker dies, which takes a full memory or a broken machine.
    """
    workers = workers or _cores()
    at_once = max(1, min(MOST_AT_ONCE, len(tasks) // (4 * workers)))
    parts = (tasks[start : start + at_once] for start in range(0, len(tasks), at_once))
    if workers == 1 or len(tasks) < 2 * workers:
        yield from (work(job, part) for part in parts)
        return
    # Forked workers are ready at once and do not run the user's script a second time, as spawned ones would.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    pool = ProcessPoolExecutor(workers, context, _begin, (os.getpid(),))
    try:
        waiting: deque[Future[list[Outcome]]] = deque()
        for part in itertools.chain(parts, itertools.repeat(None)):
            if part is not None:
                waiting.append(pool.submit(work, job, part))
            if waiting and (part is None or len(waiting) > 2 * workers):
                yield waiting.popleft().result()
            if part is None and not waiting:
                return
    except BrokenProcessPool as error:
        raise SimulacraError("A worker died (out of memory?). Try again with --workers 1.") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(parent: int) -> None:
    """A worker leaves Ctrl-C to its parent, does not outlive it, and opens files for itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    close_all()  # an archive that the parent had opened: its place in the file is shared by all who inherit it

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

"""Decode pictures on all cores: workers read them and write them into one .npy file themselves."""

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
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simulacra.data.decoding import DecodeOptions, ImageInfo, decode
from simulacra.data.items import Item, close_all
from simulacra.data.rejects import Reject, UnusablePicture
from simulacra.errors import SimulacraError
from simulacra.messages import Message

MAX_CHUNK = 64  # pictures in one message to a worker
FORKS = sys.platform == "linux"  # elsewhere forks are missing or unsafe


class Task(NamedTuple):
    """Decode `item` into row `row`."""

    row: int
    item: Item


class Outcome(NamedTuple):
    """Result of a task: `info` of a picture that was written, or why it is unusable."""

    row: int
    info: ImageInfo | None
    reject: Reject | None = None

    def to_json(self) -> list[Any]:
        """The outcome as JSON values, which `from_json` reads."""
        if self.reject is None:
            return [self.row, self.info]
        name, reason, detail = self.reject
        return [self.row, None, [name, reason.code, reason.values, detail]]

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> Outcome:
        """The outcome of `to_json`."""
        row, info, *rejects = values
        reject = [Reject(name, Message(code, **words), detail) for name, code, words, detail in rejects]
        return cls(row, info and ImageInfo(*info), *reject)


@dataclass(frozen=True)
class ArrayTarget:
    """The .npy file [N, H, W, C] uint8 that pictures are written to, and how they are decoded."""

    path: Path
    options: DecodeOptions


def new_array(target: ArrayTarget, n: int) -> None:
    """Create the file with n rows. Raises OSError now if the disk is too small, instead of a crash later."""
    path, options = target.path, target.options
    channels = {"grey": 1, "rgb": 3, "rgba": 4}[options.channels]
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(n, *options.size, channels))
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def shorten(path: Path, n: int) -> None:
    """Keep the first n rows of an .npy file. Its header has room for another count, so no row has to move."""
    rows = np.load(path, mmap_mode="r", allow_pickle=False)
    shape, offset, size = (n, *rows.shape[1:]), rows.offset, rows[:1].nbytes
    del rows
    with path.open("r+b") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        assert file.tell() == offset  # the header has kept its length
        file.truncate(offset + n * size)


def decode_tasks(target: ArrayTarget, tasks: Sequence[Task]) -> list[Outcome]:
    """Carry out tasks in this process."""
    rows = np.load(target.path, mmap_mode="r+", allow_pickle=False)
    outcomes = []
    for task in tasks:
        try:
            rows[task.row], info = decode(task.item.read(), target.options)
            outcomes.append(Outcome(task.row, info))
        except UnusablePicture as error:
            outcomes.append(Outcome(task.row, None, Reject(task.item.name, error.reason, error.detail)))
    return outcomes


def run(target: ArrayTarget, tasks: Sequence[Task], workers: int | None = None) -> Iterator[list[Outcome]]:
    """Carry out tasks on `workers` (None: one per core); yields outcomes in order, a few at a time.

    Workers are forked processes, or threads where there are none: spawned processes would run the user's script again.

    Raises SimulacraError if a worker dies, which takes exhausted memory or a broken machine.
    """
    workers = workers or _cores()
    size = max(1, min(MAX_CHUNK, len(tasks) // (4 * workers)))
    chunks = (tasks[start : start + size] for start in range(0, len(tasks), size))
    if workers == 1 or len(tasks) < 2 * workers:
        yield from (decode_tasks(target, chunk) for chunk in chunks)
        return
    pool: Executor
    if FORKS:
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _start_worker, (os.getpid(),))
        with _held_interrupt():
            pool.submit(os.getpid)  # starts all workers
    else:
        pool = ThreadPoolExecutor(workers)
    try:
        waiting: deque[Future[list[Outcome]]] = deque()
        for chunk in itertools.chain(chunks, itertools.repeat(None)):
            if chunk is not None:
                waiting.append(pool.submit(decode_tasks, target, chunk))
            if waiting and (chunk is None or len(waiting) > 2 * workers):
                yield waiting.popleft().result()
            if chunk is None and not waiting:
                return
    except BrokenProcessPool as error:
        raise SimulacraError("data.worker_died") from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _held_interrupt() -> Iterator[None]:
    """Let Ctrl-C act after the block: Python loses one that comes while it forks, and with it a lock, so that all waits."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start_worker(parent: int) -> None:
    """Leave Ctrl-C to the parent process, end when it ends, and open archives anew."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    close_all()  # an inherited file handle shares its position with all other workers

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

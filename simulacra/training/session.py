"""One sitting of a run: its lock, and a stop that is clean."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from simulacra.errors import SimulacraError
from simulacra.files import disk_errors


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the run's lock: two processes training one run would spoil it. A kill lets go of it."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise SimulacraError(
                f"{folder} is being trained by another process: wait for it or stop it first."
            ) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def stop_on_signal(say: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Yields `asked()`: True once Ctrl-C or a terminate signal came. A second one acts at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: object) -> None:
        asked.set()
        for each, handler in before.items():
            signal.signal(each, handler)
        say()

    for number in before:
        signal.signal(number, handle)
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""One session of a run: its lock, and a clean stop."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from simulacra.errors import SimulacraError
from simulacra.files import disk_errors

PATIENCE = 0.3  # seconds in which another process may be asking whether the run is locked


@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the run's lock: two processes training one run would spoil it. A killed process loses the lock."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=PATIENCE, poll_interval=0.02)
        except Timeout as error:
            raise SimulacraError("train.locked", folder=folder) from error
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Whether a process holds the run's lock. It is taken for a moment, for which `run_lock` waits."""
    lock = folder / ".lock"
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
    except PermissionError:  # of a folder that may only be read: who trains there is not known
        return False


@contextlib.contextmanager
def stop_on_signal(on_stop: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Yields `should_stop()`: True after Ctrl-C, a terminate signal or a lost terminal. A second one acts at once.

    A signal that is ignored stays so: under `nohup` a run outlives its terminal.
    """
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped.is_set
        return
    signals = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in signals}
    before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}

    def handle(number: int, frame: object) -> None:
        stopped.set()
        for other, handler in before.items():
            signal.signal(other, handler)
        on_stop()

    for number in before:
        signal.signal(number, handle)
    try:
        yield stopped.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

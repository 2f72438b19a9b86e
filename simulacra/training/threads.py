"""How many processor threads a run uses: as many as are fastest now.

Where other programs keep the cores busy, threads that wait for each other make steps many times slower. On two cores
with two busy programs, `simulacra train peeps32 --minutes 0.4` showed 64 images with `--threads 2` and 1,888 with 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

GAIN = 1.1  # times as fast that more threads must be: they take the cores from other programs


def fastest(speed: Callable[[], float | None]) -> float | None:
    """Let torch use the number of threads with which `speed()`, images a second, is highest; returns that speed.

    Tried are one thread, half of those that torch uses, and all of them. None, and no change, where `speed` is None.
    """
    before = torch.get_num_threads()
    best, chosen = 0.0, before
    for number in sorted({1, max(1, before // 2), before}):
        torch.set_num_threads(number)
        measured = speed()
        if measured is None:
            torch.set_num_threads(before)
            return None
        if measured > GAIN * best:
            best, chosen = measured, number
    torch.set_num_threads(chosen)
    return best


@contextmanager
def restored() -> Iterator[None]:
    """Let torch use as many threads after the block as before it."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)

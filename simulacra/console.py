"""What a command says: a live bar in a terminal, plain lines elsewhere (a log file, a pipe, CI)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from simulacra import messages

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

Advance = Callable[[int], None]


def say(code: str, **values: Any) -> None:
    """Print the sentence of `code` in the language in use; see `messages`."""
    console.print(messages.text(code, **values), markup=False)


def warn(code: str, **values: Any) -> None:
    """Print the sentence of `code` to stderr, after the program's name."""
    errors.print(f"simulacra: {messages.text(code, **values)}", markup=False)


@contextlib.contextmanager
def progress(what: str, total: int, *, every_seconds: float = 10.0) -> Iterator[Advance]:
    """Show how far a counted piece of work is, with the time left.

    Yields `advance(n)`: call it when `n` more things are done.
    """
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(what, total=total)
            yield lambda n: bar.advance(task, n)
        return
    start = last = time.monotonic()
    done = 0

    def advance(n: int) -> None:
        nonlocal done, last
        done += n
        now = time.monotonic()
        if now - last >= every_seconds and done:
            last = now
            left = (now - start) / done * (total - done)
            console.print(f"{what}: {done} of {total}, {clock(left)} left", markup=False)

    yield advance


@contextlib.contextmanager
def tasks() -> Iterator[Callable[[str, int], Advance]]:
    """Yields `begin(what, total)`, which shows the next piece of work and ends the one before."""
    with contextlib.ExitStack() as stack:

        def begin(what: str, total: int) -> Advance:
            stack.close()
            return stack.enter_context(progress(what, total))

        yield begin


def clock(seconds: float) -> str:
    """Seconds as `1:02:03` or `2:03`."""
    hours, rest = divmod(int(seconds + 0.5), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

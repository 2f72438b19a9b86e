"""Terminal output: sentences by code, and progress as a live bar, or as plain lines in a log file, a pipe or CI."""

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

Advance = Callable[[int], object]  # called with the number of items that were just finished
Begin = Callable[[str, int], Advance]  # called with the title and the number of items of the next piece of work


def say(code: str, **values: Any) -> None:
    """Print the sentence of `code` in the language in use; see `messages`."""
    console.print(messages.text(code, **values), markup=False)


def warn(code: str, **values: Any) -> None:
    """Print the sentence of `code` to stderr, after the program's name."""
    errors.print(f"simulacra: {messages.text(code, **values)}", markup=False)


def silent(title: str, total: int) -> Advance:
    """A `Begin` that shows nothing: the default of functions that report progress."""
    return lambda count: None


@contextlib.contextmanager
def progress(
    title: str, total: int, *, every_seconds: float = 10.0, output: Console | None = None
) -> Iterator[Advance]:
    """Show the progress of `total` items with the time left; yields `advance(count)`. output: by default `console`."""
    output = output or console
    if output.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=output) as bar:
            task = bar.add_task(title, total=total)
            yield lambda count: bar.advance(task, count)
        return
    start = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= every_seconds and done:
            last = now
            left = clock((now - start) / done * (total - done))
            line = messages.text("console.progress", title=title, done=done, total=total, left=left)
            output.print(line, markup=False)

    yield advance


@contextlib.contextmanager
def tasks(output: Console | None = None) -> Iterator[Begin]:
    """Yields `begin(title, total)`, which ends the piece of work in progress and shows the next one; see `progress`."""
    with contextlib.ExitStack() as stack:

        def begin(title: str, total: int) -> Advance:
            stack.close()
            return stack.enter_context(progress(title, total, output=output))

        yield begin


def clock(seconds: float) -> str:
    """Seconds as `1:02:03` or `2:03`."""
    hours, rest = divmod(int(seconds + 0.5), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

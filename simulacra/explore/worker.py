"""The one thread that draws, with a bounded queue in which a page's newest wish replaces the one before."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

WAITING = 64  # tasks at most

T = TypeVar("T")


class Busy(Exception):
    """Not now: the queue is full, or something newer came. The message is a sentence."""


@dataclass(eq=False)
class _Task:
    do: Callable[[], Any]
    future: Future[Any]
    client: str


class Worker:
    """Does one thing after the other on a thread of its own."""

    def __init__(self, waiting: int = WAITING) -> None:
        self._waiting, self._most = deque[_Task](), waiting
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="draw", daemon=True)
        self._thread.start()

    def submit(self, do: Callable[[], T], client: str = "") -> Future[T]:
        """Have `do` done. A task of the same client that still waits ends with `Busy`; so does this if all is full."""
        task = _Task(do, Future(), client)
        with self._changed:
            older = next((each for each in self._waiting if client and each.client == client), None)
            if older is not None:  # the newer one takes its place in the queue
                self._waiting[self._waiting.index(older)] = task
            elif len(self._waiting) >= self._most:
                task.future.set_exception(Busy(f"{self._most} requests wait already: try again in a moment."))
                return task.future
            else:
                self._waiting.append(task)
            self._changed.notify()
        if older is not None:
            _end(older.future, Busy("A newer request of the same page took this one's place."))
        return task.future

    def stop(self) -> None:
        """Let the thread end after what it does now; what waits ends with `Busy`."""
        with self._changed:
            self._ended, left = True, list(self._waiting)
            self._waiting.clear()
            self._changed.notify()
        for task in left:
            _end(task.future, Busy("The explorer is being closed."))

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if self._ended:
                    return
                task = self._waiting.popleft()
            if not task.future.set_running_or_notify_cancel():
                continue
            try:
                task.future.set_result(task.do())
            except BaseException as error:  # handed to whoever asked
                task.future.set_exception(error)


def _end(future: Future[Any], error: Exception) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)

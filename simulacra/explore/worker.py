"""The one thread that runs the model, with a bounded queue. A page's newest request replaces its waiting one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from simulacra.explore.refusals import Busy

CAPACITY = 64  # waiting tasks

T = TypeVar("T")


class OnWorker(Protocol):
    """Runs a function on the worker's thread. A client's newest request replaces its waiting one."""

    async def __call__(self, work: Callable[[], T], client: str = "") -> T:
        """Wait for its result."""


@dataclass(eq=False)
class _Task:
    work: Callable[[], Any]
    future: Future[Any]
    client: str


class Worker:
    """Runs one task at a time on its own thread."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._queue, self._capacity = deque[_Task](), capacity
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="draw", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T], client: str = "") -> Future[T]:
        """Queue `work`, to be run in the caller's context (its language).

        A waiting task of the same client ends with `Busy`; so does this one if the queue is full.
        """
        task = _Task(partial(copy_context().run, work), Future(), client)
        with self._changed:
            replaced = next((other for other in self._queue if client and other.client == client), None)
            if replaced is not None:  # the newer task takes over its place in the queue
                self._queue[self._queue.index(replaced)] = task
            elif len(self._queue) >= self._capacity:
                task.future.set_exception(Busy("explore.queue_full", count=self._capacity))
                return task.future
            else:
                self._queue.append(task)
            self._changed.notify()
        if replaced is not None:
            _fail(replaced.future, Busy("explore.superseded"))
        return task.future

    def stop(self) -> None:
        """End the thread after its current task. Waiting tasks end with `Busy`."""
        with self._changed:
            self._stopping, waiting = True, list(self._queue)
            self._queue.clear()
            self._changed.notify()
        for task in waiting:
            _fail(task.future, Busy("explore.closing"))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._stopping)
                if self._stopping:
                    return
                task = self._queue.popleft()
            if not task.future.set_running_or_notify_cancel():
                continue
            try:
                task.future.set_result(task.work())
            except BaseException as error:  # raised again where the result is awaited
                task.future.set_exception(error)


def _fail(future: Future[Any], error: Exception) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)

"""What takes longer than a picture: one at a time, on a thread of its own, with progress, and cancellable."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from simulacra.errors import SimulacraError
from simulacra.explore.worker import Busy

NEWS = 0.08  # seconds between pictures of a job
KEPT = 4  # jobs whose results can still be fetched


class Cancelled(Exception):
    """Raised by `Job.go_on` inside a job that nobody wants any more."""


class Job:
    """A long piece of work. `told`: its newest progress; `turn`: counts those; `result`: the film that it made;
    `picture`: what there is to see of it meanwhile.
    """

    def __init__(self, kind: str) -> None:
        self.id, self.kind = secrets.token_urlsafe(9), kind
        self.told: dict[str, Any] = {"state": "running", "share": 0.0}
        self.turn, self.ended = 1, False
        self.result: bytes | None = None
        self.picture: bytes | None = None
        self._cancelled, self._said = threading.Event(), 0.0

    def tell(self, share: float, **more: Any) -> None:
        """Say how far the job is, from 0 to 1."""
        self._said = time.monotonic()
        self._set({"state": "running", "share": share} | more)

    def go_on(self, share: float, **more: Any) -> None:
        """The same, for a job that is worth nothing unless it is done: raises `Cancelled` where it should stop."""
        if self.stopped():
            raise Cancelled
        self.tell(share, **more)

    def stale(self) -> bool:
        """Whether it is time for news."""
        return time.monotonic() - self._said > NEWS

    def stopped(self) -> bool:
        """Whether nobody wants it any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask it to stop."""
        self._cancelled.set()

    def run(self, work: Callable[[Job], dict[str, Any]]) -> None:
        """Do the work; whatever comes of it is told."""
        try:
            done = work(self)
            self._set({"state": "done", "share": 1.0} | done)
        except Cancelled:
            self._set({"state": "cancelled"})
        except SimulacraError as error:
            self._set({"state": "failed", "error": str(error)})
        except Exception:
            self._set(
                {
                    "state": "failed",
                    "error": f"This {self.kind} failed by a fault of the program; the terminal says more.",
                }
            )
            raise  # the thread's own hook prints it in the terminal
        finally:
            self.ended = True

    def _set(self, told: dict[str, Any]) -> None:
        self.told = told
        self.turn += 1


class Jobs:
    """The jobs of a server."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, kind: str, work: Callable[[Job], dict[str, Any]]) -> Job:
        """Begin one. Raises `Busy` while another runs."""
        with self._lock:
            running = next((job for job in self._jobs.values() if not job.ended), None)
            if running is not None:
                raise Busy(f"A {running.kind} is under way: wait for it, or cancel it first.")
            job = Job(kind)
            self._jobs[job.id] = job
            while len(self._jobs) > KEPT:
                del self._jobs[next(iter(self._jobs))]
            self._thread = threading.Thread(target=job.run, args=(work,), name=kind, daemon=True)
            self._thread.start()
        return job

    def find(self, name: str) -> Job | None:
        """A job by its id."""
        return self._jobs.get(name)

    def wait(self) -> None:
        """Wait until nothing runs: torch aborts a process that ends amid its work."""
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Cancel all, and let nobody wait for them: a step may take seconds."""
        for job in list(self._jobs.values()):
            job.cancel()
            job.ended = True

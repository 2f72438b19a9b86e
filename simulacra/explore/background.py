"""Background jobs for what takes longer than a picture: one at a time, with progress, and cancellable."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from simulacra.errors import SimulacraError
from simulacra.explore.refusals import Busy
from simulacra.messages import Message

INTERVAL = 0.08  # seconds between pictures of a job
HISTORY = 4  # jobs whose results can still be fetched

News = dict[str, Any]


class Cancelled(Exception):
    """Raised by `BackgroundJob.advance` inside a cancelled job."""


class BackgroundJob:
    """A long piece of work.

    `news`: its newest progress; `version` counts them. `film`: the film it made. `picture`: its newest picture.
    """

    def __init__(self, title: Message) -> None:
        self.id, self.title = secrets.token_urlsafe(9), title
        self.news: News = {"state": "running", "share": 0.0}
        self.version, self.ended = 1, False
        self.film: bytes | None = None
        self.picture: bytes | None = None
        self._cancelled, self._reported_at = threading.Event(), 0.0

    def report(self, share: float, **more: Any) -> None:
        """Publish the share of the work that is done, from 0 to 1."""
        self._reported_at = time.monotonic()
        self._publish({"state": "running", "share": share} | more)

    def advance(self, share: float, **more: Any) -> None:
        """`report`, for a job without partial results. Raises `Cancelled` once the job is cancelled."""
        if self.cancelled():
            raise Cancelled
        self.report(share, **more)

    def report_due(self) -> bool:
        """Whether `INTERVAL` has passed since the last report."""
        return time.monotonic() - self._reported_at > INTERVAL

    def cancelled(self) -> bool:
        """Whether the job should stop."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the job to stop."""
        self._cancelled.set()

    def run(self, work: Callable[[BackgroundJob], News]) -> None:
        """Do the work and publish its result, or why there is none."""
        try:
            result = work(self)
            self._publish({"state": "done", "share": 1.0} | result)
        except Cancelled:
            self._publish({"state": "cancelled"})
        except SimulacraError as error:
            self._fail(error)
        except Exception:
            self._fail(SimulacraError("explore.job_failed", job=self.title))
            raise  # the thread's hook prints it in the terminal
        finally:
            self.ended = True

    def _fail(self, error: SimulacraError) -> None:
        self._publish({"state": "failed", "error": error, "code": error.code})

    def _publish(self, news: News) -> None:
        self.news = news
        self.version += 1


class JobRunner:
    """The jobs of a server."""

    def __init__(self) -> None:
        self._jobs: dict[str, BackgroundJob] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, title: Message, work: Callable[[BackgroundJob], News]) -> BackgroundJob:
        """Start a job on a thread of its own, in the caller's context. Raises `Busy` while another runs."""
        with self._lock:
            running = next((job for job in self._jobs.values() if not job.ended), None)
            if running is not None:
                raise Busy("explore.job_running", job=running.title)
            job = BackgroundJob(title)
            self._jobs[job.id] = job
            while len(self._jobs) > HISTORY:
                del self._jobs[next(iter(self._jobs))]
            run = copy_context().run
            self._thread = threading.Thread(target=run, args=(job.run, work), name=title.code, daemon=True)
            self._thread.start()
        return job

    def find(self, job: str) -> BackgroundJob | None:
        """The job with this id, if it is still known."""
        return self._jobs.get(job)

    def wait(self) -> None:
        """Wait until nothing runs: torch aborts a process that exits in the middle of its work."""
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Cancel all jobs and end their event streams: the current step of a job may take seconds."""
        for job in list(self._jobs.values()):
            job.cancel()
            job.ended = True

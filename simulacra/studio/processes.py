"""Commands as processes of their own, which outlive the page and the server that started them.

Each has a folder under `.simulacra/processes`: `command.json` (what was asked), `begun.json` (its process), `log.txt` (what
it printed) and `status.json` (how it ended). A server that starts anew finds them all there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from simulacra.errors import SimulacraError
from simulacra.files import disk_errors, read_json, write_json
from simulacra.messages import language
from simulacra.studio.child import BEGUN, LOCK, STATUS, STOPPED

PLACE = Path(".simulacra", "processes")
COMMAND, LOG = "command.json", "log.txt"
AT_ONCE = 2  # running processes; a machine has no use for more
KEPT = 100  # folders of ended processes
TAIL = 64 * 1024  # bytes of the log that are read
LINES = 40  # of it that are shown
STARTING = 60.0  # seconds that a process may take before it holds its lock
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f]")  # of terminals

State = Literal["running", "done", "stopped", "failed", "killed"]


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process as its folder shows it. `subject`: path of what it works on, in the studio's folder."""

    id: str
    kind: str
    subject: str
    started: float
    state: State
    lines: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """For the page."""
        return {**vars(self), "lines": list(self.lines)}


class Processes:
    """The processes of a studio's folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / PLACE
        self._children: dict[str, subprocess.Popen[bytes]] = {}  # to be reaped

    def start(self, kind: str, subject: str, words: Sequence[str]) -> Process:
        """Start `simulacra WORDS…` in the studio's folder.

        Raises `SimulacraError` if something is running on the same subject, or too much on the machine.
        """
        running = [process for process in self.all() if process.state == "running"]
        if any(process.subject == subject for process in running):
            raise SimulacraError("studio.already_running", subject=subject)
        if len(running) >= AT_ONCE:
            raise SimulacraError("studio.too_much", count=len(running))
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        folder = self.folder / name
        with disk_errors(folder):
            folder.mkdir(parents=True)
            write_json(
                folder / COMMAND, {"kind": kind, "subject": subject, "words": list(words), "started": time.time()}
            )
            with (folder / LOG).open("wb") as log:
                self._children[name] = subprocess.Popen(
                    [sys.executable, "-P", "-m", "simulacra.studio.child", str(folder), "--lang", language(), *words],
                    cwd=self.root,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "100"},
                    **_detached(),
                )
        self._prune()
        return self.find(name)

    def all(self) -> list[Process]:
        """All of them, the newest first."""
        if not self.folder.is_dir():
            return []
        folders = sorted((path for path in self.folder.iterdir() if (path / COMMAND).is_file()), reverse=True)
        return [self._read(folder) for folder in folders]

    def find(self, name: str) -> Process:
        """The process with this id. Raises `SimulacraError`."""
        folder = self.folder / name
        if not re.fullmatch(r"[0-9]{20}-[0-9a-f]{8}", name) or not (folder / COMMAND).is_file():
            raise SimulacraError("studio.no_process")
        return self._read(folder)

    def newest(self, subject: str) -> Process | None:
        """The newest one that works or worked on `subject`."""
        return next((process for process in self.all() if process.subject == subject), None)

    def stop(self, name: str) -> None:
        """Ask a process to stop, as Ctrl-C does; nothing if it has ended."""
        if self.find(name).state != "running":
            return
        begun = self.folder / name / BEGUN
        if begun.is_file():
            pid = read_json(begun)["pid"]
        elif name in self._children:
            pid = self._children[name].pid
        else:
            raise SimulacraError("studio.not_yet_begun")
        with contextlib.suppress(ProcessLookupError):  # it may end by itself in this moment
            os.kill(pid, signal.SIGTERM if os.name == "posix" else signal.CTRL_BREAK_EVENT)  # type: ignore[attr-defined]

    def result(self, name: str) -> Any:
        """The JSON that an ended process printed as its last line; None without."""
        lines = self.find(name).lines
        try:
            return json.loads(lines[-1]) if lines else None
        except ValueError:
            return None

    def _read(self, folder: Path) -> Process:
        command = read_json(folder / COMMAND)
        return Process(
            id=folder.name,
            kind=command["kind"],
            subject=command["subject"],
            started=command["started"],
            state=self._state(folder, command["started"]),
            lines=_tail(folder / LOG),
        )

    def _state(self, folder: Path, started: float) -> State:
        child = self._children.get(folder.name)
        ended = child is not None and child.poll() is not None
        if not ended and _is_locked(folder / LOCK):
            return "running"
        if (folder / STATUS).is_file():
            status = read_json(folder / STATUS)["status"]
            return "done" if status == 0 else "stopped" if status == STOPPED else "failed"
        if not ended and not (folder / BEGUN).exists() and time.time() - started < STARTING:
            return "running"
        return "killed"

    def _prune(self) -> None:
        ended = [process for process in self.all() if process.state != "running"]
        for process in ended[KEPT:]:
            shutil.rmtree(self.folder / process.id, ignore_errors=True)


def _is_locked(path: Path) -> bool:
    """Whether a process holds this lock."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def _tail(path: Path) -> list[str]:
    """The last lines of a log, without what steers a terminal; a line that was overwritten shows its last state."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        text = file.read().decode("utf-8", "replace")
    lines = (CONTROL.sub("", line.split("\r")[-1]).rstrip() for line in text.replace("\r\n", "\n").split("\n"))
    return [line for line in lines if line][-LINES:]


def _detached() -> dict[str, Any]:
    """A group of its own, so that Ctrl-C in the server's terminal does not reach it."""
    if os.name == "posix":
        return {"start_new_session": True}
    return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]

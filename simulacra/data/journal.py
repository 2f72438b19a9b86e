"""The steps of a `prepare`, whole or of a shard, that are on the disk, so that after a kill the next process resumes after them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulacra.files import sync

JOURNAL, ORIGIN = "done.jsonl", "origin.json"  # in the folder of an unfinished dataset


class Journal:
    """A file with a line for each finished step, which holds what the step returned. Steps always come in the same order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._left: deque[Any] = deque()  # of an earlier process
        whole = 0
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
            try:
                self._left.append(json.loads(line))
            except ValueError:  # a kill cut it short
                break
            whole += len(line)
        with path.open("ab") as file:
            file.truncate(whole)

    @property
    def resumes(self) -> bool:
        """Whether the next step has been finished by an earlier process."""
        return bool(self._left)

    @property
    def kept(self) -> int:
        """How many of the next steps an earlier process has finished."""
        return len(self._left)

    def once(self, step: Callable[[], Any]) -> Any:
        """What `step` returns, in JSON values; it is not carried out again if an earlier process finished it."""
        if self._left:
            return self._left.popleft()
        value = step()
        with self.path.open("ab") as file:
            file.write(json.dumps(value).encode() + b"\n")
            sync(file)
        return value

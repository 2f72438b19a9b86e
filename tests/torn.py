"""A disk that loses power: what was not synchronised is torn, and the last renames are lost or come in another order.

`Disk` follows what a function writes under a folder, and at one of its synchronisations or renames copies the folder as
a power cut may leave it. The function itself ends there by `PowerCut`.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

RECENT = 3  # renames that may not have reached the disk yet


class PowerCut(BaseException):
    """Not an `Exception`: nothing may catch it."""


@dataclass
class Rename:
    """One rename, with a copy of what it replaced."""

    source: Path
    target: Path
    replaced: Path | None


class Disk:
    """See the module. at: number of the operation, from 1, before which the power is cut; 0: never."""

    def __init__(self, root: Path, after: Path, *, seed: int, at: int = 0) -> None:
        """root: the folder that is written to. after: the copy that a power cut leaves."""
        self.root, self.after, self.at, self.operations = root, after, at, 0
        self.chance = random.Random(f"{seed}/{at}")
        self.durable: dict[int, int] = {}  # inode -> bytes that are on the disk
        self.renames: list[Rename] = []
        self.backups = after.with_name(f"{after.name}-replaced")

    def run(self, call: Callable[[], object], patch: pytest.MonkeyPatch) -> bool:
        """Run `call` on this disk; whether it reached its end."""
        replace, rename, self.known = (
            os.replace,
            os.rename,
            {p.stat().st_ino for p in self.root.rglob("*") if p.is_file()},
        )
        with patch.context() as context:
            context.setattr(os, "fsync", self.sync)
            context.setattr(os, "replace", lambda source, target, **_: self.move(replace, source, target))
            context.setattr(os, "rename", lambda source, target, **_: self.move(rename, source, target))
            try:
                call()
            except PowerCut:
                return False
        return True

    def sync(self, handle: int) -> None:
        """In place of `os.fsync`."""
        status = os.fstat(handle)
        if any(path.stat().st_ino == status.st_ino for path in self.root.rglob("*")):  # not in the cache, say
            self.count()
            self.durable[status.st_ino] = status.st_size

    def move(self, real: Callable[[Any, Any], object], source: Any, target: Any) -> None:
        """In place of `os.rename` and `os.replace`."""
        source, target = Path(source), Path(target)
        if not target.is_relative_to(self.root):
            real(source, target)
            return
        self.count()
        replaced = None
        if target.is_file():
            self.backups.mkdir(parents=True, exist_ok=True)
            replaced = Path(shutil.copyfile(target, self.backups / str(len(self.renames))))
        real(source, target)
        self.renames.append(Rename(source, target, replaced))

    def count(self) -> None:
        """One operation more; cuts the power when its number has come."""
        self.operations += 1
        if self.operations == self.at:
            self.cut()
            raise PowerCut

    def cut(self) -> None:
        """Copy the folder as the power cut leaves it."""
        torn = [path for path in self.root.rglob("*") if path.is_file() and self.is_torn(path)]
        sizes = {path.relative_to(self.root): self.durable.get(path.stat().st_ino, 0) for path in torn}
        shutil.copytree(self.root, self.after, symlinks=True)
        for path, durable in sizes.items():
            whole = (self.after / path).read_bytes()
            kept = self.chance.randint(durable, len(whole))
            tail = bytes(len(whole) - kept) if self.chance.random() < 0.3 else b""
            (self.after / path).write_bytes(whole[:kept] + tail)
        recent = self.renames[-RECENT:]
        lost = [item for item in recent if self.chance.random() < 0.4]
        for item in reversed(lost):
            self.undo(item)

    def is_torn(self, path: Path) -> bool:
        """Whether bytes of a file are not on the disk; what was there before is."""
        status = path.stat()
        return status.st_ino not in self.known and self.durable.get(status.st_ino, 0) < status.st_size

    def undo(self, item: Rename) -> None:
        """Let a rename not have happened."""
        source, target = (self.after / path.relative_to(self.root) for path in (item.source, item.target))
        if target.exists() and source.parent.exists() and not source.exists():
            target.rename(source)
            if item.replaced is not None:
                shutil.copyfile(item.replaced, target)

"""Unpack into a temporary folder, within the room that it has: a few megabytes of an archive can become terabytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from simulacra.errors import SimulacraError

SHARE = 0.9  # of the free space, at most: other programs need some, too


def write_within_room(chunks: Iterable[bytes], out: BinaryIO, source: Path, folder: Path) -> None:
    """Write the unpacked bytes of `source` to a file in `folder`. Raises SimulacraError before the disk is full."""
    free = shutil.disk_usage(folder).free
    left = int(SHARE * free)
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise _no_room(source, folder, free)
        out.write(chunk)


def require_room(size: int, source: Path, folder: Path) -> None:
    """Raise SimulacraError where `size` more bytes, unpacked from `source`, would fill the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if size > SHARE * free:
        raise _no_room(source, folder, free)


def _no_room(source: Path, folder: Path, free: int) -> SimulacraError:
    return SimulacraError("data.no_room_to_unpack", path=source, folder=folder, free=free // 10**6)

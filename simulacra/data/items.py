"""Where one picture lies: in a file, a zip, an array. Small things that can be sent to a worker."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from simulacra.data.decoding import SetAside

MAX_BYTES = 1 << 30  # a single picture file larger than this is not read into memory


@dataclass(frozen=True, slots=True)
class FilePart:
    """A whole file, or `size` bytes of one from `offset` (a member of a tar)."""

    path: str
    offset: int = 0
    size: int | None = None
    stamp: tuple[int, int] | None = None  # size and time of change when it was found

    def read(self) -> bytes:
        """The bytes; SetAside if the file is gone, forbidden, not a file, or another one by now."""
        # Without O_NONBLOCK a named pipe that is called x.png would be waited for, for ever.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(self.path, flags), "rb") as file:
            now = os.fstat(file.fileno())
            if not stat.S_ISREG(now.st_mode):
                raise SetAside("not a regular file")
            if self.stamp is not None and self.stamp != (now.st_size, now.st_mtime_ns):
                raise SetAside("changed while it was being read")
            size = now.st_size if self.size is None else self.size
            if size > MAX_BYTES:
                raise SetAside("more than a gigabyte")
            file.seek(self.offset)
            return file.read(size)


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A member of a zip."""

    path: str
    member: str

    def read(self) -> bytes:
        """The bytes; SetAside if it is encrypted, damaged or unreasonably large."""
        archive = _zip(self.path)
        info = archive.getinfo(self.member)
        if info.flag_bits & 1:
            raise SetAside("encrypted")
        if info.file_size > MAX_BYTES:
            raise SetAside("more than a gigabyte")
        try:
            return archive.read(info)
        except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
            raise SetAside("damaged", str(error)) from error


@dataclass(frozen=True, slots=True)
class ArrayRow:
    """Row `index` of an .npy file with pictures [N, H, W] or [N, H, W, C] uint8."""

    path: str
    index: int

    def read(self) -> NDArray[np.uint8]:
        """The pixels."""
        pixels: NDArray[np.uint8] = np.array(_array(self.path)[self.index])
        return pixels


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a source. `name` and `folder` are printable; `stamp` tells its version."""

    name: str
    place: FilePart | ZipMember | ArrayRow
    stamp: str = ""

    @property
    def folder(self) -> str:
        """The folder that it lies in, "" at the top."""
        parent = str(PurePosixPath(self.name).parent)
        return "" if parent == "." else parent

    def read(self) -> bytes | NDArray[np.uint8]:
        """A file's bytes, or pixels. Raises SetAside, and nothing else."""
        try:
            return self.place.read()
        except FileNotFoundError as error:
            raise SetAside("gone while it was being read") from error
        except PermissionError as error:
            raise SetAside("may not be read (permission)") from error
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise SetAside("cannot be read", str(error)) from error


def natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """A key that sorts `face10` after `face9`."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part], name


def printable(name: str | bytes) -> str:
    """A file name as text that can be printed and stored: bytes that are no UTF-8 become `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def close_all() -> None:
    """Close the archives and arrays that this process has opened."""
    _zip.cache_clear()
    _array.cache_clear()


@lru_cache(maxsize=2)
def _zip(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


@lru_cache(maxsize=8)
def _array(path: str) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = np.load(Path(path), mmap_mode="r", allow_pickle=False)
    return pixels
